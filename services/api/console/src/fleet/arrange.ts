// Which sensors a table shows, and in which order: plain functions over the model, quick enough for every key pressed.
import type { Sensor, SensorState } from "../api";
import type { Drift } from "../model";
import { stateText, type text } from "../text";

export type Column = keyof typeof text.fleet.columns;

/** A place in the plant: everything, a site, or an edge of one. */
export interface Place {
  site: string | null;
  edge: string | null;
}

export interface View {
  filter: string;
  states: SensorState[];
  place: Place;
  sort: Column;
  up: boolean;
}

// Gravest first: what needs somebody stands at the top.
export const GRAVITY: Record<SensorState, number> = {
  failure: 0,
  out_of_specification: 1,
  check_function: 2,
  maintenance_required: 3,
  cannot_tell: 4,
  learning: 5,
  normal: 6,
  reference: 7,
};
export const STATES = Object.keys(GRAVITY) as SensorState[];
export const TROUBLE: SensorState[] = ["failure", "out_of_specification", "check_function", "maintenance_required"];

type Key = (sensor: Sensor, drift: Drift | undefined) => number;
const LAST = Number.POSITIVE_INFINITY;

const KEYS: Partial<Record<Column, Key>> = {
  state: (s) => GRAVITY[s.state],
  value: (s) => s.latest?.corrected ?? s.latest?.raw ?? -LAST,
  age: (s) => -(s.latest?.t_ns ?? 0),
  drift: (_, drift) => (drift ? -Math.abs(drift.change) : LAST),
  set: (s) => s.active_set?.sequence ?? -1,
  since: (s) => -(s.active_set?.since_ns ?? 0),
  alarm: (s) => -s.alarms.length,
};

/** What does not change with a value: kept for each sensor as long as its object stands. */
const words = new WeakMap<Sensor, string>();

function wordsOf(sensor: Sensor): string {
  let all = words.get(sensor);
  if (all === undefined) {
    all = `${sensor.id} ${sensor.label} ${sensor.site} ${sensor.edge} ${sensor.unit} ${stateText[sensor.state]}`.toLowerCase();
    words.set(sensor, all);
  }
  return all;
}

export function inPlace(sensor: Sensor, place: Place): boolean {
  return (place.site === null || sensor.site === place.site) && (place.edge === null || sensor.edge === place.edge);
}

/** The ids of the sensors that a view shows, in its order; equal ones in the order of the map. */
export function arrange(sensors: ReadonlyMap<string, Sensor>, drifts: ReadonlyMap<string, Drift>, view: View): string[] {
  const asked = view.filter.toLowerCase().split(/\s+/).filter(Boolean);
  const states = view.states.length ? new Set(view.states) : null;
  const found: Sensor[] = [];
  for (const sensor of sensors.values()) {
    if (states && !states.has(sensor.state)) continue;
    if (!inPlace(sensor, view.place)) continue;
    if (asked.length) {
      const all = wordsOf(sensor);
      if (!asked.every((word) => all.includes(word))) continue;
    }
    found.push(sensor);
  }
  const key = KEYS[view.sort];
  const keys = key ? Float64Array.from(found, (sensor) => key(sensor, drifts.get(sensor.id))) : ranks(found, view.sort);
  const sign = view.up ? 1 : -1;
  const order = Uint32Array.from(found, (_, k) => k).sort((a, b) => {
    const [x, y] = [keys[a]!, keys[b]!];
    return x < y ? -sign : x > y ? sign : a - b;
  });
  return Array.from(order, (k) => found[k]!.id);
}

/** Positions in the order of words. The service gives sensors in order of id. */
function ranks(found: Sensor[], column: Column): Float64Array {
  if (column !== "unit") return Float64Array.from(found, (_, k) => k);
  const units = [...new Set(found.map((sensor) => sensor.unit))].sort();
  const rank = new Map(units.map((unit, k) => [unit, k]));
  return Float64Array.from(found, (sensor) => rank.get(sensor.unit)!);
}
