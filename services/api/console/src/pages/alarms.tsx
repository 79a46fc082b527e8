import { useMemo } from "preact/hooks";
import { type Alarm, getAlarmHistory } from "../api";
import { instant, ms, plain, withU } from "../format";
import { useAnswer, useModel } from "../hooks";
import { PriorityBadge } from "../parts/state";
import { alarmStateText, kindText, parameterText, text } from "../text";

const RANK = { high: 0, medium: 1, low: 2 } as const;

export function Alarms() {
  const model = useModel();
  const active = useMemo(
    () =>
      [...model.alarms.values()]
        .filter((alarm) => alarm.active || alarm.state === "returned_unacknowledged")
        .sort((a, b) => RANK[a.priority] - RANK[b.priority] || b.raised_ns - a.raised_ns),
    [model.structure],
  );
  const history = useAnswer(() => getAlarmHistory(), [model.structure]);
  return (
    <main class="page">
      <div class="bar">
        <h1>{text.alarms.title}</h1>
      </div>
      <section class="panel">
        <h2>{text.alarms.active}</h2>
        {active.length ? <AlarmTable alarms={active} label={text.alarms.active} /> : <p class="empty">{model.loaded ? text.alarms.none : text.loading}</p>}
      </section>
      <section class="panel">
        <h2>{text.alarms.history}</h2>
        {history.answer?.items.length ? (
          <AlarmTable alarms={history.answer.items} label={text.alarms.history} changes />
        ) : (
          <p class="empty">{history.error?.message ?? (history.answer ? text.alarms.noHistory : text.loading)}</p>
        )}
      </section>
    </main>
  );
}

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
            <td>
              <a href={`#/sensors/${alarm.sensor}`}>{alarm.sensor}</a>
            </td>
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

function What({ alarm }: { alarm: Alarm }) {
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
