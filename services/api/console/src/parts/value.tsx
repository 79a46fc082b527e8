import type { Sensor, SensorState } from "../api";
import { age, withU } from "../format";
import { model } from "../model";
import { parameterText, text } from "../text";

export interface Reading {
  value: number | null;
  u: number | null;
  ageS: number | null;
  rawAgeS: number | null;
  live: boolean;
  corrected: boolean;
}

/** The value to show: the corrected one where there is one that is as fresh as the correction allows. */
export function reading(sensor: Sensor): Reading {
  const latest = sensor.latest;
  if (!latest) return { value: null, u: null, ageS: null, rawAgeS: null, live: false, corrected: false };
  const now = model.now();
  const rawAge = latest.t_ns === null ? null : (now - latest.t_ns / 1e6) / 1000;
  const age = latest.corrected_t_ns === null ? null : (now - latest.corrected_t_ns / 1e6) / 1000;
  const limit = sensor.stale_after_s;
  const corrected =
    latest.corrected !== null && age !== null && rawAge !== null && age - rawAge <= limit + (sensor.active_set?.latency_s ?? 0);
  const shown = corrected ? age : rawAge;
  return {
    value: corrected ? latest.corrected : latest.raw,
    u: corrected ? latest.u : null,
    ageS: shown,
    rawAgeS: rawAge,
    // Before the stream is up for the first time, what was just read is as live as its age says.
    live: (model.connected || !model.everConnected) && rawAge !== null && rawAge <= limit,
    corrected,
  };
}

/** What the service says, with parameters as people call them. */
const named = (detail: string): string => detail.replace(/\b[a-z0-9]+_(?:s|hz)\b/g, (name) => parameterText[name]?.symbol ?? name);

/** How a sensor stands now: the service said so when it was asked last, and values may have stopped since. */
export function standing(sensor: Sensor, now: Reading): { state: SensorState; detail: string } {
  const stopped = model.connected && now.rawAgeS !== null && now.rawAgeS > sensor.stale_after_s && sensor.state !== "failure";
  return stopped ? { state: "failure", detail: text.fleet.stopped } : { state: sensor.state, detail: named(sensor.state_detail) };
}

interface ValueProps {
  value: number | null;
  u: number | null;
  live: boolean;
  class?: string;
  /** In a column, numbers and uncertainties stand one below the other. */
  column?: boolean;
}

export function Value({ value, u, live, class: extra = "", column = false }: ValueProps) {
  const pair = withU(value, u);
  return (
    <span class={`value ${live ? "" : "dead"} ${column ? "column" : ""} ${extra}`}>
      <span class="number">{pair.value}</span>
      {(pair.expanded || column) && <span class="expanded">{pair.expanded ? ` ± ${pair.expanded}` : ""}</span>}
    </span>
  );
}

export function Age({ seconds, live }: { seconds: number | null; live: boolean }) {
  return (
    <span class={live ? "age" : "age dead"}>
      {age(seconds)}
      {!live && seconds !== null && <span class="stale-mark">{text.stale}</span>}
    </span>
  );
}
