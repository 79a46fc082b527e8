// Which alarms a list shows, and in which order.
import type { Alarm, AlarmState, Verb } from "../ask/alarms";
import { kindText } from "../text";

export type Group = "standing" | "waiting" | "aside";

const ASIDE = new Set<AlarmState>(["shelved", "suppressed", "out_of_service"]);
const WAITING = new Set<AlarmState>(["unacknowledged", "returned_unacknowledged", "latched_unacknowledged"]);
const RANK = { high: 0, medium: 1, low: 2 } as const;

export const isAside = (alarm: Alarm): boolean => ASIDE.has(alarm.state);
export const isWaiting = (alarm: Alarm): boolean => WAITING.has(alarm.state);

export function inGroup(alarm: Alarm, group: Group): boolean {
  if (alarm.state === "normal") return false;
  return group === "aside" ? isAside(alarm) : group === "waiting" ? isWaiting(alarm) : !isAside(alarm);
}

/** What waits for somebody first, the gravest of it first, the newest of those first. */
export function choose(alarms: Iterable<Alarm>, group: Group, filter: string): Alarm[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const found: Alarm[] = [];
  for (const alarm of alarms) {
    if (!inGroup(alarm, group)) continue;
    const all = words.length ? `${alarm.id} ${kindText[alarm.kind] ?? ""} ${alarm.cause}`.toLowerCase() : "";
    if (words.every((word) => all.includes(word))) found.push(alarm);
  }
  return found.sort(
    (a, b) =>
      Number(isWaiting(b)) - Number(isWaiting(a)) ||
      RANK[a.priority] - RANK[b.priority] ||
      (b.raised_ns ?? 0) - (a.raised_ns ?? 0) ||
      (a.id < b.id ? -1 : 1),
  );
}

/** Whether a command can do anything to an alarm as it stands; the service has the last word. */
export function applies(verb: Verb, alarm: Alarm): boolean {
  const aside = isAside(alarm);
  switch (verb) {
    case "acknowledge":
      return isWaiting(alarm);
    case "reset":
      return alarm.state === "latched_acknowledged";
    case "shelve":
      return !aside;
    case "unshelve":
      return alarm.state === "shelved";
    case "suppress":
      return !aside;
    case "unsuppress":
      return alarm.state === "suppressed";
    case "take_out_of_service":
      return alarm.state !== "out_of_service";
    case "return_to_service":
      return alarm.state === "out_of_service";
    case "comment":
      return true;
  }
}
