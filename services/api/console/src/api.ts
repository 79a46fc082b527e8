// The interface of the service as the console needs it.
export type SensorState =
  | "normal"
  | "reference"
  | "learning"
  | "maintenance_required"
  | "out_of_specification"
  | "check_function"
  | "failure";
export type AlarmState = "normal" | "unacknowledged" | "acknowledged" | "returned_unacknowledged";
export type Priority = "low" | "medium" | "high";
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
  edge_online: boolean | null;
  stale_after_s: number;
  pairing: { reference: string; model: string } | null;
  reference_of: string[];
  latest: Latest | null;
  active_set: { id: string; sequence: number; since_ns: number; band_hz: number; latency_s: number } | null;
  alarms: string[];
}

export interface SensorPage {
  now_ns: number;
  n_total: number;
  items: Sensor[];
  next_cursor: string | null;
}

export interface Alarm {
  id: string;
  sensor: string;
  kind: string;
  state: AlarmState;
  priority: Priority;
  active: boolean;
  raised_ns: number;
  changed_ns: number;
  parameter: string;
  value: number | null;
  u: number | null;
  limit: number | null;
  cause: string;
  response: string;
}

export interface Parameters {
  model: string;
  names: string[];
  values: (number | null)[];
  u: (number | null)[];
}

export interface Deviation {
  rms: number | null;
  maximum: number | null;
  u: number | null;
  n: number;
}

export interface Calibration {
  id: string;
  sensor: string;
  reference: string;
  verdict: Verdict;
  parameters: Parameters;
  unobservable: string[];
  n_samples: number;
  window_from_ns: number;
  window_to_ns: number;
  fitted_at_ns: number;
  method: string;
  detail: string;
  conformity: { raw: Deviation; as_found: Deviation; as_left: Deviation; rule: string; passed: boolean } | null;
}

export interface CoefficientSet {
  id: string;
  sequence: number;
  state: string;
  reason: string;
  changed_ns: number;
  parameters: Parameters;
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
  ) {
    super(detail);
  }
}

async function get<T>(path: string, query: Record<string, string | number> = {}): Promise<T> {
  const params = new URLSearchParams(Object.entries(query).map(([key, value]) => [key, String(value)]));
  const response = await fetch(params.size ? `${path}?${params}` : path, { headers: { Accept: "application/json" } });
  if (!response.ok) {
    const problem = (await response.json().catch(() => ({}))) as { detail?: string };
    throw new ApiError(response.status, problem.detail ?? response.statusText);
  }
  return (await response.json()) as T;
}

const name = encodeURIComponent;

/** All sensors, page by page; `each` sees every page as it comes. */
export async function eachSensorPage(each: (page: SensorPage) => void): Promise<void> {
  let cursor: string | null = null;
  do {
    const page: SensorPage = await get("/v1/sensors", { limit: 1000, ...(cursor ? { cursor } : {}) });
    each(page);
    cursor = page.next_cursor;
  } while (cursor);
}

export const getSensor = (id: string) => get<Sensor>(`/v1/sensors/${name(id)}`);
export const getAlarms = () => get<{ now_ns: number; items: Alarm[] }>("/v1/alarms", { limit: 1000 });
export const getAlarmHistory = (sensor = "") =>
  get<{ items: Alarm[] }>("/v1/alarms/history", { limit: 200, ...(sensor ? { sensor } : {}) });
export const getCalibrations = (sensor: string) =>
  get<{ items: Calibration[] }>("/v1/calibrations", { sensor, limit: 5 });
export const getSets = (sensor: string) => get<{ items: CoefficientSet[] }>("/v1/coefficient-sets", { sensor, limit: 8 });
export const getSamples = (sensor: string, fromNs: string, toNs: string, points: number) =>
  get<Samples>(`/v1/sensors/${name(sensor)}/samples`, { from: fromNs, to: toNs, max_points: points });
export const getGaps = (sensor: string, fromNs: string, toNs: string) =>
  get<{ items: Gap[] }>(`/v1/sensors/${name(sensor)}/gaps`, { from: fromNs, to: toNs });
