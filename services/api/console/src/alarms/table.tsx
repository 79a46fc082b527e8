import type { Alarm } from "../ask/alarms";
import { age, instant, ms, percent, plain, withU } from "../format";
import { PriorityBadge } from "../parts/state";
import { alarmStateText, kindText, parameterText, text } from "../text";
import { Source } from "./source";

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
            <td class="instant"><Source alarm={alarm} /></td>
            <td>
              <What alarm={alarm} />
            </td>
            <td class="instant">{instant(ms((changes ? alarm.changed_ns : alarm.raised_ns) ?? Number.NaN))}</td>
            <td class="words">{alarm.response}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** What an alarm is about: kind, parameter, figures; and its cause, unless it is to be `short`. */
export function What({ alarm, short = false }: { alarm: Alarm; short?: boolean }) {
  const known = parameterText[alarm.parameter];
  return (
    <>
      <strong>{kindText[alarm.kind] ?? alarm.kind}</strong>
      {alarm.parameter && ` · ${known?.symbol ?? alarm.parameter}`}
      {alarm.value !== null && <span class="figures">{figures(alarm)}</span>}
      {alarm.cause && !short && (
        <div class="muted cause" title={alarm.cause}>
          {alarm.cause}
        </div>
      )}
    </>
  );
}

/** What was found. Of drift and tolerance it is a relative change; the limit of a drift is that of a statistic. */
function figures({ kind, value, u, limit }: Alarm): string {
  switch (kind) {
    case "drift":
      return percent(value, u);
    case "out_of_tolerance":
      return `${percent(value, u)}${limit === null ? "" : ` (${text.alarms.tolerance(percent(limit).replace("+", "±"))})`}`;
    case "reference_lost":
    case "source_silent":
      return text.alarms.ago(age(value));
    default: {
      const pair = withU(value, u);
      return `${pair.value}${pair.expanded ? ` ± ${pair.expanded}` : ""}${limit === null ? "" : ` (${text.alarms.limit(plain(limit, 4))})`}`;
    }
  }
}
