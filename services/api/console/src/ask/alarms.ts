// Alarms and their life cycle: docs/alarms.md has the meanings.
import { get, name, post, type Query } from "../api";

export type AlarmState =
  | "normal"
  | "unacknowledged"
  | "acknowledged"
  | "returned_unacknowledged"
  | "latched_unacknowledged"
  | "latched_acknowledged"
  | "shelved"
  | "suppressed"
  | "out_of_service";
export type Priority = "low" | "medium" | "high";

export interface Alarm {
  id: string;
  site?: string;
  source?: string;
  scope?: "sensor" | "edge" | "service";
  sensor: string;
  kind: string;
  alarm_class?: string;
  state: AlarmState;
  priority: Priority;
  active: boolean;
  acknowledged?: boolean;
  latched?: boolean;
  annunciation?: string;
  chattering?: boolean;
  stale?: boolean;
  raised_ns: number;
  cleared_ns?: number | null;
  changed_ns: number;
  acknowledged_ns?: number | null;
  acknowledged_by?: string;
  shelved_until_ns?: number | null;
  set_aside_by?: string;
  set_aside_reason?: string;
  parameter: string;
  value: number | null;
  u: number | null;
  limit: number | null;
  cause: string;
  consequence?: string;
  response: string;
  n_raised?: number;
  n_comments?: number;
  number?: number;
}

export interface Change extends Alarm {
  event?: string;
  at_ns?: number;
  actor?: string;
  reason?: string;
  annunciated?: boolean;
}

/** All alarms that stand. */
export async function getAlarms(): Promise<{ items: Alarm[] }> {
  const items: Alarm[] = [];
  let cursor: string | null = null;
  do {
    const page: { items: Alarm[]; next_cursor?: string | null } = await get("/v1/alarms", {
      standing: "true",
      limit: 1000,
      ...(cursor ? { cursor } : {}),
    });
    items.push(...page.items);
    cursor = page.next_cursor ?? null;
  } while (cursor);
  return { items };
}
export const getAlarmHistory = (query: Query = {}) => get<{ items: Change[] }>("/v1/alarms/history", { limit: 200, ...query });

export { name, post };
