// What the page of one sensor asks for about the life of its sets, and orders.
import { ApiError, get, getTagged, name, post, put, remove } from "../api";
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

export type Mode = "automatic" | "within_bounds" | "approval";

export interface Policy {
  mode: Mode;
  max_parameter_change: Record<string, number>;
  max_response_change: number | null;
  shadow_s: number;
}

export interface Lifecycle {
  sensor: string;
  policy: Policy | null;
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

const policyOf = (sensor: string): string => `/v1/sensors/${name(sensor)}/policy`;

/** The policy of a sensor and its tag; null where it has none of its own. */
export async function getPolicy(sensor: string): Promise<{ value: Policy; tag: string } | null> {
  try {
    return await getTagged<Policy>(policyOf(sensor));
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

const seen = (tag: string): Record<string, string> => (tag ? { "If-Match": tag } : {});

export const putPolicy = (sensor: string, policy: Policy, reason: string, tag: string) =>
  put<Policy>(policyOf(sensor), policy, { reason }, seen(tag));
export const removePolicy = (sensor: string, reason: string, tag: string) => remove(policyOf(sensor), { reason }, seen(tag));
