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
  scope?: "sensor" | "edge" | "service" | "rollout";
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
  raised_ns: number | null;
  cleared_ns?: number | null;
  changed_ns: number;
  acknowledged_ns?: number | null;
  acknowledged_by?: string;
  shelved_until_ns?: number | null;
  suppressed_by?: string[];
  set_aside_ns?: number | null;
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

/** All alarms that stand, and the number of the newest change that the answer surely knows of (null: it does not say). */
export async function getAlarms(): Promise<{ items: Alarm[]; number: number | null }> {
  const items: Alarm[] = [];
  let cursor: string | null = null;
  let number: number | null = null;
  do {
    const page: { items: Alarm[]; next_cursor?: string | null; number?: number } = await get("/v1/alarms", {
      standing: "true",
      limit: 1000,
      ...(cursor ? { cursor } : {}),
    });
    items.push(...page.items);
    number ??= page.number ?? null;
    cursor = page.next_cursor ?? null;
  } while (cursor);
  return { items, number };
}

export const getAlarmHistory = (query: Query = {}) => get<{ items: Change[] }>("/v1/alarms/history", { limit: 200, ...query });

export type Verb =
  | "acknowledge"
  | "reset"
  | "shelve"
  | "unshelve"
  | "suppress"
  | "unsuppress"
  | "take_out_of_service"
  | "return_to_service"
  | "comment";

export interface Command {
  command: Verb;
  alarms: string[];
  reason?: string;
  duration_s?: number;
  upto?: number;
}

export interface CommandResult {
  n_done: number;
  n_refused: number;
  outcomes: { id: string; done: boolean; refusal: string; detail: string; alarm: Alarm | null }[];
}

export interface Detail {
  alarm: Alarm;
  definition: { max_shelving_s: number; alarm_class: string };
  history: Change[];
  comments: Change[];
}

export interface Often {
  id: string;
  n: number;
  share: number;
  n_per_minute: number;
}

export interface Kpis {
  from_ns: number;
  to_ns: number;
  history_from_ns: number | null;
  n_operators: number;
  n_annunciated: number;
  n_held_back: number;
  per_operator_hour: number;
  peak_per_10_min: number;
  flood_share: number;
  n_floods: number;
  top: Often[];
  top_share: number;
  chattering: Often[];
  fleeting: Often[];
  stale: string[];
  n_by_priority: Record<Priority, number>;
  n_acknowledged: number;
  mean_acknowledge_s: number | null;
}

export const getAlarm = (id: string) => get<Detail>(`/v1/alarms/${name(id)}`);
export const getKpis = (from: string) => get<Kpis>("/v1/alarms/kpis", { from });

/** Carry out a command for several alarms; asked again with the same key it is not carried out twice. */
export function command(what: Command): Promise<CommandResult> {
  return post("/v1/alarms/commands", what, { "Idempotency-Key": key() });
}

/** A key of its own for each command. (`randomUUID` is there on secure origins alone.) */
function key(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
