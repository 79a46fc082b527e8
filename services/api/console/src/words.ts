// Names that people read for what the service names by a word of its own.
import type { SensorState, Verdict } from "./api";
import type { AlarmState, Priority } from "./ask/alarms";

export const stateText: Record<SensorState, string> = {
  normal: "Normal",
  reference: "Reference",
  learning: "Learning",
  cannot_tell: "Cannot tell",
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
  latched_unacknowledged: "Latched, unacknowledged",
  latched_acknowledged: "Latched, to be reset",
  shelved: "Shelved",
  suppressed: "Suppressed by design",
  out_of_service: "Out of service",
};

export const priorityText: Record<Priority, string> = { high: "High", medium: "Medium", low: "Low" };

export const kindText: Record<string, string> = {
  drift: "Drift",
  out_of_tolerance: "Out of tolerance",
  reference_lost: "Reference lost",
  correction_reverted: "Correction reverted",
  source_silent: "Source silent",
  records_lost: "Records lost",
  edge_offline: "Edge offline",
  clock_doubtful: "Clock doubtful",
  spool_filling: "Spool filling up",
  store_failing: "Store failing",
  release_waits: "Set waits to be released",
  release_expires: "Set about to expire",
  rollout_paused: "Rollout paused",
  rollout_aborted: "Rollout aborted",
};

export const verdictText: Record<Verdict, string> = {
  accepted: "Accepted",
  not_excited: "Too little change in the data",
  not_identifiable: "Not identifiable",
  inconsistent: "Inconsistent",
  diverged: "Diverged",
  bad_data: "Bad data",
};

export const setStateText: Record<string, string> = {
  candidate: "Candidate",
  verified: "Verified",
  published: "Sent to the edge",
  active: "Active",
  superseded: "Superseded",
  rejected: "Rejected",
  reverted: "Reverted",
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

export const clockText: Record<string, string> = {
  synchronised: "Synchronised",
  declared: "As declared",
  degraded: "Poor",
  holdover: "Not synchronised any more",
  unknown: "Not synchronised",
};

export const partText: Record<string, string> = { registry: "Registry", store: "Sample store", bus: "Message bus" };

export const messageText: Record<string, string> = {
  samples: "Samples",
  status: "Births and states of edges",
  ledger: "Ledgers",
  alarms: "Alarms",
  conditions: "Conditions",
  health: "Health of sensors",
  sensor: "Sensors",
  unknown: "Unknown",
};

export const contributionText: Record<string, string> = {
  noise: "Noise of the sensor",
  model: "What the filter does not restore",
  sampling: "Instants beside the grid",
  parameters: "Parameters of the sensor, with those of the reference",
  time: "Time stamps",
  reference_gain: "Gain of the reference",
  reference_offset: "Offset of the reference",
};

// Parameters come with their unit in the name; people see a symbol and a unit.
export const parameterText: Record<string, { symbol: string; unit: string }> = {
  gain: { symbol: "Gain", unit: "" },
  tau_s: { symbol: "Time constant τ", unit: "s" },
  tau1_s: { symbol: "Time constant τ₁", unit: "s" },
  tau2_s: { symbol: "Time constant τ₂", unit: "s" },
  tauz_s: { symbol: "Lead time τz", unit: "s" },
  damping: { symbol: "Damping δ", unit: "" },
  f0_hz: { symbol: "Natural frequency f₀", unit: "Hz" },
  delay_s: { symbol: "Dead time", unit: "s" },
};

/** The sign of a parameter where there is little room. */
export const parameterSign: Record<string, string> = {
  gain: "K",
  tau_s: "τ",
  tau1_s: "τ₁",
  tau2_s: "τ₂",
  tauz_s: "τz",
  damping: "δ",
  f0_hz: "f₀",
  delay_s: "t_d",
};

export const alarmEventText: Record<string, string> = {
  raised: "Raised",
  cleared: "Cleared",
  updated: "Updated",
  re_alarmed: "Annunciated again",
  acknowledged: "Acknowledged",
  reset: "Reset",
  shelved: "Shelved",
  unshelved: "Unshelved",
  shelving_ended: "Shelving ended",
  suppressed: "Suppressed",
  unsuppressed: "Suppression ended",
  taken_out_of_service: "Taken out of service",
  returned_to_service: "Returned to service",
  commented: "Commented",
  redefined: "Definition changed",
};
