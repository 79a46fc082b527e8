// What the page and whoever holds the event stream say to each other.
export interface Want {
  kind: "want";
  trend: string[];
}

export type ToStream = Want | { kind: "ping" } | { kind: "bye" };

export interface Series {
  t0_ns: number;
  offset_ns: number[];
  value: (number | null)[];
}

export interface TrendFrame {
  sensor: string;
  raw: (Series & { quality?: number[] }) | null;
  corrected: (Series & { u: (number | null)[]; set: string })[];
  gaps?: { after_ns: number; before_ns: number; cause: string; n_lost: number | null }[];
}

export interface ValueFrame {
  sensor: string;
  t_ns: number | null;
  raw: number | null;
  quality: number;
  corrected_t_ns: number | null;
  corrected: number | null;
  u: number | null;
  set: string;
}

export interface Flood {
  active: boolean;
  began_ns: number | null;
  ended_ns: number | null;
  n_alarms: number;
  n_held_back: Record<string, number>;
}

export type FromStream =
  | { kind: "status"; connected: boolean; silent: number }
  | { kind: "nobody" }
  | { kind: "event"; name: string; data: unknown };

export const EVENTS = ["samples", "values", "alarm", "edge", "registry", "backfill", "health", "flood"] as const;
export const NOTICES = ["hello", "reset", "lagged", "beat"] as const;
