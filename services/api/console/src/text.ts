// Every word that people read, in one place, so that it can be translated.
import type { AlarmState, Priority, SensorState, Verdict } from "./api";

export const text = {
  product: "dyncal",
  nav: { fleet: "Sensors", alarms: "Alarms" },
  theme: { toLight: "Light theme", toDark: "Dark theme" },
  loading: "Loading …",
  nothing: "–",
  stale: "stale",
  connection: {
    live: "Live",
    lost: "Connection lost",
    lostDetail: (s: string) => `Nothing has arrived for ${s}. Values below are as last received, not live.`,
    connecting: "Connecting …",
    lagging: "This display cannot keep up; some trend frames were left out.",
  },
  fleet: {
    title: "Sensors",
    filter: "Filter by id, label, edge, unit or state",
    filterHint: "Press / to filter",
    count: (shown: number, total: number) => (shown === total ? `${total} sensors` : `${shown} of ${total} sensors`),
    none: "No sensor matches.",
    empty: "No sensor is known yet. Edges announce their sensors when they connect.",
    columns: {
      state: "State",
      id: "Sensor",
      value: "Value ± U",
      unit: "Unit",
      age: "Age",
      set: "Coefficients",
      since: "Since",
      alarm: "Drift and alarms",
    },
    coverage: "U is the expanded uncertainty, k = 2, about 95 %",
    uncorrected: "uncorrected",
    noAlarm: "none",
    summary: "State of the fleet",
  },
  sensor: {
    back: "All sensors",
    trend: "Trend",
    windows: [
      { label: "10 s", seconds: 10 },
      { label: "1 min", seconds: 60 },
      { label: "10 min", seconds: 600 },
      { label: "1 h", seconds: 3600 },
    ],
    follow: "Follow",
    following: "Live",
    raw: "Raw",
    corrected: "Corrected",
    band: "± 2u",
    readoutHint: "Point at the trend to read it; drag to enlarge.",
    gap: "No data",
    bad: "Bad quality",
    value: "Corrected value",
    rawValue: "Raw indication",
    parameters: "Parameters",
    parameter: "Parameter",
    estimate: "Estimate ± U (k = 2)",
    calibration: "Last calibration",
    noCalibration: "Not calibrated yet.",
    reference: "Reference",
    model: "Model",
    verdict: "Verdict",
    fittedAt: "Fitted",
    window: "Data window",
    samples: "Samples",
    method: "Method",
    unobservable: "Not determined by the data",
    conformity: "Deviation from the reference, rms",
    deviation: { raw: "Uncorrected", as_found: "As found", as_left: "As left" },
    passed: "Passed",
    failed: "Failed",
    rule: "Decision rule",
    coefficients: "Coefficients",
    noSet: "No coefficient set is active: values are uncorrected.",
    set: "Set",
    activeSince: "Active since",
    bandwidth: "Valid up to",
    latency: "Latency",
    edge: "Edge",
    interval: "Sampling interval",
    alarms: "Alarms",
    noAlarms: "No alarm is active.",
    history: "History of coefficients",
    unknown: (id: string) => `There is no sensor ${id}.`,
    offline: "offline",
    online: "online",
    unknownEdge: "unknown",
    referenceOf: "Reference of",
  },
  alarms: {
    title: "Alarms",
    active: "Active",
    history: "History",
    none: "No alarm is active.",
    noHistory: "Nothing has happened yet.",
    columns: { priority: "Priority", state: "State", sensor: "Sensor", what: "What", since: "Raised", response: "Response" },
    changed: "Changed",
  },
} as const;

export const stateText: Record<SensorState, string> = {
  normal: "Normal",
  reference: "Reference",
  learning: "Learning",
  maintenance_required: "Maintenance",
  out_of_specification: "Out of spec",
  check_function: "Check",
  failure: "Failure",
};

export const alarmStateText: Record<AlarmState, string> = {
  normal: "Returned",
  unacknowledged: "Unacknowledged",
  acknowledged: "Acknowledged",
  returned_unacknowledged: "Returned, unacknowledged",
};

export const priorityText: Record<Priority, string> = { high: "High", medium: "Medium", low: "Low" };

export const kindText: Record<string, string> = {
  drift: "Drift",
  out_of_tolerance: "Out of tolerance",
  reference_lost: "Reference lost",
  correction_reverted: "Correction reverted",
};

export const verdictText: Record<Verdict, string> = {
  accepted: "Accepted",
  not_excited: "Too little change in the data",
  not_identifiable: "Not identifiable",
  inconsistent: "Inconsistent",
  diverged: "Diverged",
  bad_data: "Bad data",
};

export const modelText: Record<string, string> = {
  first_order: "First order",
  second_order: "Second order",
  lead_lag: "Two modes (lead–lag)",
  rational: "Rational",
  static: "Static",
};

export const causeText: Record<string, string> = {
  server_overflow: "server overflow",
  connection_lost: "connection lost",
  spool_capped: "spool full",
  spool_damaged: "spool damaged",
  source_silent: "source silent",
  clock_step: "clock step",
  rejected: "rejected",
};

// Parameters come with their unit in the name; people see a symbol and a unit.
export const parameterText: Record<string, { symbol: string; unit: string; scale: number }> = {
  gain: { symbol: "Gain", unit: "", scale: 1 },
  tau_s: { symbol: "Time constant τ", unit: "s", scale: 1 },
  tau1_s: { symbol: "Time constant τ₁", unit: "s", scale: 1 },
  tau2_s: { symbol: "Time constant τ₂", unit: "s", scale: 1 },
  tauz_s: { symbol: "Lead time τz", unit: "s", scale: 1 },
  damping: { symbol: "Damping δ", unit: "", scale: 1 },
  f0_hz: { symbol: "Natural frequency f₀", unit: "Hz", scale: 1 },
  delay_s: { symbol: "Dead time", unit: "s", scale: 1 },
};
