// What the page of one sensor asks for about the life of its sets, and orders.
import { get, name, post } from "../api";
import type { Calibration, CoefficientSet } from "./findings";

export interface Move {
  set_id: string;
  before: string | null;
  state: string;
  actor: string;
  at_ns: number;
  reason: string;
  number: number;
}

export interface Residual {
  rms: number;
  n: number;
  limit: number;
  shadow: boolean;
  difference: number | null;
  fault: string;
  at_ns: number;
}

export interface Life {
  set: CoefficientSet;
  calibration: Calibration | null;
  moves: Move[];
  residual: Residual | null;
  waits: boolean;
  can_go_back: boolean;
}

export interface Lifecycle {
  sensor: string;
  policy: { mode: string; shadow_s: number } | null;
  in_force: string | null;
  items: Life[];
}

export interface Order {
  id: string;
  state: "waiting" | "done" | "refused";
  answer: string;
}

export type Verb = "approve" | "reject" | "back";

const WAIT = { Prefer: "wait=10" };

export const getLifecycle = (sensor: string) => get<Lifecycle>(`/v1/sensors/${name(sensor)}/coefficients`);

export function order(verb: Verb, sensor: string, setId: string, reason: string): Promise<Order> {
  const of = `/v1/sensors/${name(sensor)}`;
  if (verb === "back") return post(`${of}/roll-back`, { reason, to: setId }, WAIT);
  return post(`${of}/coefficients/${name(setId)}/${verb}`, { reason }, WAIT);
}
