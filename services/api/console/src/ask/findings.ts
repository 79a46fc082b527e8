// What the page of one sensor asks for.
import { get, name, type Verdict } from "../api";

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
  reduced_chi2: number | null;
  whiteness_p: number | null;
  noise_std: number | null;
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
  parent: string | null;
  state: string;
  reason: string;
  changed_ns: number;
  fitted_at_ns: number;
  calibration_id: string;
  parameters: Parameters;
}

export interface Curve {
  what: "now" | "last_calibration" | "baseline" | "certificate";
  source: string;
  at_ns: number;
  f_hz: number[];
  magnitude: number[];
  u_magnitude: number[];
  phase_rad: number[];
  u_phase_rad: number[];
}

export interface History {
  names: string[];
  calibration: string[];
  fitted_at_ns: number[];
  values: (number | null)[][];
  u: (number | null)[][];
  whiteness_p: (number | null)[];
  reduced_chi2: (number | null)[];
  baseline: string | null;
  baseline_values: (number | null)[] | null;
  tolerance: number[];
  truncated: boolean;
}

export interface Budget {
  set_id: string;
  unit: string;
  u: number;
  n: number;
  from_ns: number;
  to_ns: number;
  lines: { name: string; u: number; counts: boolean }[];
}

export interface Step {
  sensor: string;
  label: string;
  unit: string;
  set_id: string;
  key_id: string;
  sha256: string;
  calibration: Calibration | null;
  reference: string | null;
  u_reference: number | null;
  u_reference_gain: number | null;
  u_clock_s: number | null;
  certificate: { id: string; laboratory: string; certificate: string; calibrated_at_ns: number } | null;
}

const of = (sensor: string, what: string) => `/v1/sensors/${name(sensor)}/${what}`;

export const getCalibrations = (sensor: string) => get<{ items: Calibration[] }>("/v1/calibrations", { sensor, limit: 5 });
export const getSets = (sensor: string) => get<{ items: CoefficientSet[] }>("/v1/coefficient-sets", { sensor, limit: 50 });
export const getResponse = (sensor: string) => get<{ curves: Curve[]; band_hz: number | null }>(of(sensor, "response"));
export const getHistory = (sensor: string) => get<History>(of(sensor, "parameter-history"));
export const getBudget = (sensor: string) => get<Budget>(of(sensor, "budget"));
export const getChain = (setId: string) => get<{ steps: Step[] }>(`/v1/coefficient-sets/${name(setId)}/chain`);
