import { useMemo } from "preact/hooks";
import { AlarmTable } from "../alarms/table";
import { getAlarmHistory } from "../ask/alarms";
import { useAnswer, useModel } from "../hooks";
import { text } from "../text";

const RANK = { high: 0, medium: 1, low: 2 } as const;

export function Alarms() {
  const model = useModel();
  const active = useMemo(
    () =>
      [...model.alarms.values()]
        .filter((alarm) => alarm.active || alarm.state === "returned_unacknowledged")
        .sort((a, b) => RANK[a.priority] - RANK[b.priority] || b.raised_ns - a.raised_ns),
    [model.alarming],
  );
  const history = useAnswer(() => getAlarmHistory(), [model.alarming]);
  return (
    <main class="page" id="main" tabIndex={-1}>
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
