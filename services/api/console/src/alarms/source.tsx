import type { Alarm } from "../ask/alarms";

type Named = Pick<Alarm, "sensor" | "source" | "scope">;

/** What an alarm is about, with the way to its page where it has one. */
export function Source({ alarm }: { alarm: Named }) {
  if (alarm.sensor) return <a href={`#/sensors/${encodeURIComponent(alarm.sensor)}`}>{alarm.sensor}</a>;
  if (alarm.scope === "rollout" && alarm.source) return <a href={`#/rollouts/${encodeURIComponent(alarm.source)}`}>{alarm.source}</a>;
  return <>{alarm.source}</>;
}
