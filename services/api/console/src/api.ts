// The interface of the service as the console needs it: sensors and samples. What only one page asks for is beside it.
export type SensorState =
  | "normal"
  | "reference"
  | "learning"
  | "cannot_tell"
  | "maintenance_required"
  | "out_of_specification"
  | "check_function"
  | "failure";
export type Verdict = "accepted" | "not_excited" | "not_identifiable" | "inconsistent" | "diverged" | "bad_data";

export interface Latest {
  t_ns: number | null;
  raw: number | null;
  quality: number;
  corrected_t_ns: number | null;
  corrected: number | null;
  u: number | null;
  set_id: string | null;
}

export interface Sensor {
  id: string;
  site: string;
  edge: string;
  unit: string;
  dt_ns: number;
  label: string;
  state: SensorState;
  state_detail: string;
  state_since_ns: number | null;
  edge_online: boolean | null;
  stale_after_s: number;
  pairing: { reference: string; model: string } | null;
  reference_of: string[];
  latest: Latest | null;
  active_set: { id: string; sequence: number; since_ns: number; band_hz: number; latency_s: number } | null;
  alarms: string[];
  health?: Health | null;
}

export interface Health {
  at_ns: number;
  holds_until_ns: number;
  watch: "learning" | "in_control" | "drift" | "cannot_tell";
  since_ns: number;
  informed_ns: number | null;
  reason: string;
  parameter: string;
  change: number | null;
  u_change: number | null;
  attribution: { cause: string; sensor: number; reference: number; process: number; nothing: number } | null;
  conformity: {
    parameter: string;
    change: number | null;
    u: number | null;
    tolerance: number;
    p_within: number;
    verdict: "conforms" | "undecided" | "fails";
  }[];
  outlook: {
    parameter: string;
    early_ns: number | null;
    likely_ns: number | null;
    late_ns: number | null;
    rate_per_day: number | null;
    u_rate_per_day: number | null;
  }[];
}

/** All sensors in columns. */
interface Fleet {
  now_ns: number;
  n_unread: number;
  id: string[];
  site: string[];
  edge: string[];
  unit: string[];
  label: string[];
  dt_ns: number[];
  state: SensorState[];
  state_detail: string[];
  state_since_ns: (number | null)[];
  edge_online: (boolean | null)[];
  stale_after_s: number[];
  reference: (string | null)[];
  model: (string | null)[];
  reference_of: string[][];
  t_ns: (number | null)[];
  raw: (number | null)[];
  quality: number[];
  corrected_t_ns: (number | null)[];
  corrected: (number | null)[];
  u: (number | null)[];
  set_id: (string | null)[];
  active_id: (string | null)[];
  active_sequence: (number | null)[];
  active_since_ns: (number | null)[];
  active_band_hz: (number | null)[];
  active_latency_s: (number | null)[];
  alarms: string[][];
}

export interface DriftTrends {
  sensor: string[];
  parameter: string[];
  change: number[];
  u: number[];
  since_ns: number[];
  to_ns: number[];
  points: number[][];
}

export interface Samples {
  decimated: boolean;
  t_ns: number[];
  raw: (number | null)[];
  corrected: (number | null)[];
  u: (number | null)[];
  quality: number[];
  set_index: number[];
  sets: string[];
  aggregated: boolean;
  /** Where `aggregated`: how long the interval is that a row stands for; 0 of a sample. */
  width_ns?: number[];
  raw_min?: (number | null)[];
  raw_max?: (number | null)[];
}

export interface Gap {
  after_ns: number;
  before_ns: number;
  cause: string;
  n_lost: number | null;
}

export class ApiError extends Error {
  constructor(
    readonly status: number,
    detail: string,
    /** The problem document, where there was one. */
    readonly problem: Record<string, unknown> = {},
  ) {
    super(detail);
  }
}

export type Query = Record<string, string | number | string[]>;

let refused: () => void = () => {};

/** Have `listener` called when the service says that it does not know who asks, or that they may not. */
export function whenRefused(listener: () => void): void {
  refused = listener;
}

export async function answered<T>(response: Response): Promise<T> {
  if (!response.ok) {
    if (response.status === 401 || response.status === 403) refused();
    const problem = (await response.json().catch(() => ({}))) as { detail?: string };
    throw new ApiError(response.status, problem.detail ?? response.statusText, problem);
  }
  return (response.status === 204 ? undefined : await response.json()) as T;
}

export async function get<T>(path: string, query: Query = {}): Promise<T> {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    for (const each of Array.isArray(value) ? value : [value]) params.append(key, String(each));
  }
  return answered<T>(await fetch(params.size ? `${path}?${params}` : path));
}

export async function post<T>(path: string, body: unknown, headers: Record<string, string> = {}): Promise<T> {
  return answered<T>(
    await fetch(path, {
      method: "POST",
      headers: { Accept: "application/json", "Content-Type": "application/json", ...headers },
      body: JSON.stringify(body),
    }),
  );
}

export async function put<T>(path: string, body: unknown, query: Query, headers: Record<string, string> = {}): Promise<T> {
  const params = new URLSearchParams(Object.entries(query).map(([key, value]) => [key, String(value)]));
  return answered<T>(
    await fetch(`${path}?${params}`, {
      method: "PUT",
      headers: { Accept: "application/json", "Content-Type": "application/json", ...headers },
      body: JSON.stringify(body),
    }),
  );
}

/** What is there, and the tag that a change of it has to name. */
export async function getTagged<T>(path: string): Promise<{ value: T; tag: string }> {
  const response = await fetch(path);
  return { value: await answered<T>(response), tag: response.headers.get("ETag") ?? "" };
}

export async function remove(path: string, query: Query = {}, headers: Record<string, string> = {}): Promise<void> {
  const params = new URLSearchParams(Object.entries(query).map(([key, value]) => [key, String(value)]));
  await answered<void>(await fetch(params.size ? `${path}?${params}` : path, { method: "DELETE", headers: { Accept: "application/json", ...headers } }));
}

export const name = encodeURIComponent;

/** All sensors in one answer, with the server's time [ns]. */
export async function getFleet(): Promise<{ now_ns: number; n_unread: number; sensors: Sensor[] }> {
  const f = await get<Fleet>("/v1/fleet");
  return { now_ns: f.now_ns, n_unread: f.n_unread, sensors: f.id.map((_, k) => row(f, k)) };
}

function row(f: Fleet, k: number): Sensor {
  const [t, reference, active] = [f.t_ns[k] ?? null, f.reference[k], f.active_id[k]];
  return {
    id: f.id[k]!,
    site: f.site[k]!,
    edge: f.edge[k]!,
    unit: f.unit[k]!,
    dt_ns: f.dt_ns[k]!,
    label: f.label[k]!,
    state: f.state[k]!,
    state_detail: f.state_detail[k]!,
    state_since_ns: f.state_since_ns[k] ?? null,
    edge_online: f.edge_online[k] ?? null,
    stale_after_s: f.stale_after_s[k]!,
    pairing: reference ? { reference, model: f.model[k] ?? "" } : null,
    reference_of: f.reference_of[k]!,
    latest:
      t === null
        ? null
        : {
            t_ns: t,
            raw: f.raw[k] ?? null,
            quality: f.quality[k]!,
            corrected_t_ns: f.corrected_t_ns[k] ?? null,
            corrected: f.corrected[k] ?? null,
            u: f.u[k] ?? null,
            set_id: f.set_id[k] ?? null,
          },
    active_set: active
      ? {
          id: active,
          sequence: f.active_sequence[k]!,
          since_ns: f.active_since_ns[k]!,
          band_hz: f.active_band_hz[k]!,
          latency_s: f.active_latency_s[k]!,
        }
      : null,
    alarms: f.alarms[k]!,
  };
}

export const getDriftTrends = () => get<DriftTrends>("/v1/drift-trends");
export const getSensor = (id: string) => get<Sensor>(`/v1/sensors/${name(id)}`);
export const getSamples = (sensor: string, fromNs: string, toNs: string, points: number) =>
  get<Samples>(`/v1/sensors/${name(sensor)}/samples`, { from: fromNs, to: toNs, max_points: points });
export const getGaps = (sensor: string, fromNs: string, toNs: string) =>
  get<{ items: Gap[] }>(`/v1/sensors/${name(sensor)}/gaps`, { from: fromNs, to: toNs });
