// What was picked, and what it becomes: sections of an edge's file.
import type { FoundNode, FoundTopic, Section, Sources } from "../ask/commissioning";
import { text } from "../text";

export interface Pick {
  key: string;
  sensor: string;
  label: string;
  unit: string;
  dt: string;
  reference: string;
  model: string;
  from: string;
  /** Of an OPC UA server: how to connect, and the node. */
  server?: Section;
  node?: string;
  array?: boolean;
  /** Of a broker: which (null: the edge's own), and how its messages are read. */
  broker?: Section | null;
  mapping?: Section;
}

export const ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** Units as servers show them, as UCUM writes them. */
const UCUM: Record<string, string> = { "°C": "Cel", "°F": "[degF]", "%": "%", "m³/h": "m3/h", "m/s²": "m/s2", Ohm: "Ohm", Ω: "Ohm" };

export const ucum = (unit: string): string => (Object.hasOwn(UCUM, unit) ? UCUM[unit]! : unit);

/** A name as ids may be: what they may not have becomes a hyphen. */
export function idOf(name: string): string {
  return name.replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[^A-Za-z0-9]+|-+$/g, "").slice(0, 128);
}

const blank = { label: "", dt: "0.1", reference: "", model: "first_order" };

export function ofNode(server: Section, found: FoundNode): Pick {
  return {
    ...blank,
    key: `${server["url"]} ${found.node}`,
    sensor: idOf(found.name),
    unit: ucum(found.unit),
    from: `${server["url"]} ${found.node}`,
    server,
    node: found.node,
    array: found.array,
  };
}

/** `seconds` is how long was listened: how often messages came tells the interval, roughly. */
export function ofTopic(broker: Section | null, found: FoundTopic, valueAt: string, timeAt: string, seconds: number): Pick {
  const time = found.times.find((each) => each.place === timeAt);
  const mapping: Section = { topic: found.topic, format: found.format };
  if (found.format !== "number") mapping["value_at"] = valueAt;
  if (time) Object.assign(mapping, { time_at: timeAt, time_format: timeFormat(time.value) });
  return {
    ...blank,
    dt: found.n_messages > 1 ? String(Number((seconds / found.n_messages).toPrecision(1))) : blank.dt,
    key: `${found.topic} ${valueAt}`,
    sensor: idOf(found.topic.split("/").filter(Boolean).slice(-2).join("-")),
    unit: "",
    from: `${found.topic} ${valueAt}`,
    broker,
    mapping,
  };
}

/** How a time is written: ISO 8601, or a number since 1970 whose size tells its unit. */
export function timeFormat(value: string): string {
  const number = Number(value.replace(/^\[/, "").split(",")[0]);
  if (!Number.isFinite(number)) return "iso";
  if (number < 1e11) return "s";
  if (number < 1e14) return "ms";
  return number < 1e17 ? "us" : "ns";
}

/** What is wrong with a pick, by column; nothing where it can be read. */
export function faults(pick: Pick, others: Pick[], known: ReadonlySet<string>, there: ReadonlyMap<string, { unit: string }>): Record<string, string> {
  const found: Record<string, string> = {};
  if (!ID.test(pick.sensor)) found["sensor"] = text.commissioning.faults.id;
  else if (known.has(pick.sensor) || others.some((each) => each.key !== pick.key && each.sensor === pick.sensor))
    found["sensor"] = text.commissioning.faults.twice;
  if (!pick.unit.trim()) found["unit"] = text.commissioning.faults.unit;
  if (!(Number(pick.dt) > 0)) found["dt"] = text.commissioning.faults.dt;
  const of = units(pick.reference, others, there);
  if (pick.reference && of !== undefined && of !== pick.unit.trim()) found["reference"] = text.commissioning.faults.otherUnit(of);
  return found;
}

/** The unit of a sensor, picked or there already. */
function units(sensor: string, picks: Pick[], there: ReadonlyMap<string, { unit: string }>): string | undefined {
  return picks.find((each) => each.sensor === sensor)?.unit.trim() ?? there.get(sensor)?.unit;
}

/** Names that a new sensor of an edge must not have: what other edges read, and what this one was told to read. */
export function taken(sources: Sources | null, edge: string, there: ReadonlyMap<string, { edge: string }>): Set<string> {
  const found = new Set(sources ? sensorsOf(sources).map((each) => each.sensor) : []);
  for (const [id, sensor] of there) if (sensor.edge !== edge) found.add(id);
  return found;
}

/** The sources with what was picked beside what is there; a server or broker that is there already gets more. */
export function withPicks(sources: Sources, picks: Pick[]): { opcua: Section[]; mqtt: Section[] } {
  const opcua = sources.opcua.map((each) => ({ ...each, nodes: [...list(each, "nodes")] }));
  const mqtt = sources.mqtt.map((each) => ({ ...each, mappings: [...list(each, "mappings")] }));
  for (const pick of picks) {
    const sensor = {
      sensor: pick.sensor,
      unit: pick.unit.trim(),
      dt_s: Number(pick.dt),
      ...(pick.label ? { label: pick.label } : {}),
      ...(pick.reference ? { reference: pick.reference, model: pick.model } : {}),
    };
    if (pick.server) {
      let place = opcua.find((each) => same(each, pick.server!, ["nodes"]));
      if (!place) opcua.push((place = { ...pick.server, nodes: [] }));
      place.nodes.push({ ...sensor, node: pick.node, ...(pick.array ? { array: true } : {}) });
    } else {
      const broker = pick.broker ? { broker: pick.broker } : {};
      let place = mqtt.find((each) => same(each, broker, ["mappings"]));
      if (!place) mqtt.push((place = { ...broker, mappings: [] }));
      place.mappings.push({ ...sensor, ...pick.mapping });
    }
  }
  return { opcua, mqtt };
}

/** The sources without one sensor; what is empty then goes too. */
export function without(sources: Sources, sensor: string): { opcua: Section[]; mqtt: Section[] } {
  const strip = (sections: Section[], key: string) =>
    sections
      .map((each) => ({ ...each, [key]: list(each, key).filter((one) => one["sensor"] !== sensor) }))
      .filter((each) => list(each, key).length > 0 || list(each, "browse").length > 0);
  return { opcua: strip(sources.opcua, "nodes"), mqtt: strip(sources.mqtt, "mappings") };
}

/** The sensors of sources, each with where it comes from. */
export function sensorsOf(sources: Sources): { sensor: string; from: string }[] {
  return [
    ...sources.opcua.flatMap((server) => list(server, "nodes").map((node) => ({ sensor: `${node["sensor"]}`, from: `${server["url"]} ${node["node"]}` }))),
    ...sources.mqtt.flatMap((source) =>
      list(source, "mappings").map((mapping) => ({ sensor: `${mapping["sensor"]}`, from: `${mapping["topic"]} ${mapping["value_at"] ?? ""}` })),
    ),
  ];
}

function list(section: Section, key: string): Section[] {
  const found = section[key];
  return Array.isArray(found) ? (found as Section[]) : [];
}

function same(a: Section, b: Section, but: string[]): boolean {
  const shown = (section: Section) =>
    JSON.stringify(
      Object.entries(section)
        .filter(([key]) => !but.includes(key))
        .sort(([x], [y]) => (x < y ? -1 : 1)),
    );
  return shown(a) === shown(b);
}
