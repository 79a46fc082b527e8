// What the pages on rollouts ask for, and order.
import { get, name, post } from "../api";

export type RolloutState = "running" | "paused" | "aborting" | "aborted" | "completed";
export type MemberState = "waiting" | "published" | "applied" | "normal" | "reverting" | "reverted" | "stuck" | "overtaken" | "left_out";

export interface StageFigures {
  share: number;
  soak_s: number;
  target: number;
  n_touched: number;
  n_applied: number;
  n_normal: number;
  n_failed: number;
  n_reverting: number;
  n_reverted: number;
}

export interface Rollout {
  id: string;
  title: string;
  state: RolloutState;
  reason: string;
  actor: string;
  begun_ns: number;
  changed_ns: number;
  ended_ns: number | null;
  stage: number;
  stage_ns: number;
  stages: StageFigures[];
  n_sensors: number;
  n_touched: number;
  n_failed: number;
  n_reverted: number;
  n_waiting: number;
  n_left_out: number;
  n_stuck: number;
  n_overtaken: number;
}

interface Residual {
  rms: number;
  limit: number;
  n: number;
}

export interface Member {
  sensor: string;
  edge: string;
  reference: string;
  state: MemberState;
  stage: number | null;
  failure: string | null;
  reason: string;
  set_id: string;
  changed_ns: number;
  before: Residual | null;
  after: Residual | null;
}

export interface Move {
  number: number;
  action: string;
  sensor: string | null;
  actor: string;
  at_ns: number;
  reason: string;
}

export interface Candidate {
  sensor: string;
  edge: string | null;
  reference: string;
  model: string;
  set_id: string;
  since_ns: number;
}

export interface Order {
  id: string;
  subject: string;
  state: "waiting" | "done" | "refused";
  answer: string;
}

export interface Wish {
  title: string;
  reason: string;
  sensors: string[];
  plan: {
    stages: { share: number; soak_s: number }[];
    success_share: number;
    abort_share: number;
    arrangement: string;
    needs_residual: boolean;
  };
}

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

const HISTORY = 50;
const MEMBERS = 50;

export const getRollouts = (cursor: string | null) => get<Page<Rollout>>("/v1/rollouts", cursor ? { cursor } : {});
export const getRollout = (id: string) => get<Rollout>(`/v1/rollouts/${name(id)}`);
export const getHistory = (id: string) => get<Page<Move>>(`/v1/rollouts/${name(id)}/history`, { limit: HISTORY });
export const getCandidates = () => get<{ items: Candidate[] }>("/v1/rollouts/candidates", { limit: 20_000 });
export const getMembers = (id: string, state: string, cursor: string | null) =>
  get<Page<Member>>(`/v1/rollouts/${name(id)}/members`, { limit: MEMBERS, ...(state ? { state } : {}), ...(cursor ? { cursor } : {}) });

/** Give an order, once, and wait a while for what becomes of it. */
const order = (path: string, body: unknown) => post<Order>(path, body, { Prefer: "wait=8", "Idempotency-Key": crypto.randomUUID() });

export const begin = (wish: Wish) => order("/v1/rollouts", wish);
export const pause = (id: string, reason: string) => order(`/v1/rollouts/${name(id)}/pause`, { reason });
export const abort = (id: string, reason: string) => order(`/v1/rollouts/${name(id)}/abort`, { reason });
export const resume = (id: string, reason: string, accept: boolean) => order(`/v1/rollouts/${name(id)}/resume`, { reason, accept });
