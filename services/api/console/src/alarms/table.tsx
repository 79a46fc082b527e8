import type { Alarm } from "../ask/alarms";
import { instant, ms, plain, withU } from "../format";
import { PriorityBadge } from "../parts/state";
import { alarmStateText, kindText, parameterText, text } from "../text";

/** Alarms in a table to read: on the page of a sensor. */
export function AlarmTable({ alarms, label, changes = false }: { alarms: Alarm[]; label: string; changes?: boolean }) {
  const columns = text.alarms.columns;
  return (
    <table class="list" aria-label={label}>
      <thead>
        <tr>
          <th>{columns.priority}</th>
          <th>{columns.state}</th>
          <th>{columns.sensor}</th>
          <th>{columns.what}</th>
          <th>{changes ? text.alarms.changed : columns.since}</th>
          <th>{columns.response}</th>
        </tr>
      </thead>
      <tbody>
        {alarms.map((alarm) => (
          <tr key={`${alarm.id}@${alarm.changed_ns}`} class={alarm.active ? "" : "calm"}>
            <td>
              <PriorityBadge priority={alarm.priority} active={alarm.active} />
            </td>
            <td>{alarmStateText[alarm.state]}</td>
            <td>{alarm.sensor ? <a href={`#/sensors/${alarm.sensor}`}>{alarm.sensor}</a> : alarm.source}</td>
            <td>
              <What alarm={alarm} />
            </td>
            <td class="instant">{instant(ms(changes ? alarm.changed_ns : alarm.raised_ns))}</td>
            <td class="words">{alarm.response}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function What({ alarm }: { alarm: Alarm }) {
  const known = parameterText[alarm.parameter];
  const pair = withU(alarm.value, alarm.u);
  return (
    <>
      <strong>{kindText[alarm.kind] ?? alarm.kind}</strong>
      {alarm.parameter && ` · ${known?.symbol ?? alarm.parameter}`}
      {alarm.value !== null && (
        <span class="figures">
          {pair.value}
          {pair.expanded && ` ± ${pair.expanded}`} {known?.unit}
          {alarm.limit !== null && ` (limit ${plain(alarm.limit, 4)})`}
        </span>
      )}
      {alarm.cause && <div class="muted">{alarm.cause}</div>}
    </>
  );
}
