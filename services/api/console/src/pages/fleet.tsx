import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Sensor, SensorState } from "../api";
import { instant, ms, unit } from "../format";
import { go, useModel } from "../hooks";
import type { model as Model } from "../model";
import { Rows } from "../parts/rows";
import { StateBadge } from "../parts/state";
import { Age, reading, Value } from "../parts/value";
import { kindText, parameterText, stateText, text } from "../text";

const ROW_HEIGHT = 40;

type Column = keyof typeof text.fleet.columns;

// Gravest first: what needs somebody stands at the top.
const GRAVITY: Record<SensorState, number> = {
  failure: 0,
  out_of_specification: 1,
  check_function: 2,
  maintenance_required: 3,
  learning: 4,
  normal: 5,
  reference: 6,
};
const STATES = Object.keys(GRAVITY) as SensorState[];

type Key = (sensor: Sensor) => number | string;
const KEYS: Record<Column, Key> = {
  state: (s) => GRAVITY[s.state],
  id: (s) => s.id,
  value: (s) => s.latest?.corrected ?? s.latest?.raw ?? Number.NEGATIVE_INFINITY,
  unit: (s) => s.unit,
  age: (s) => -(s.latest?.t_ns ?? 0),
  set: (s) => s.active_set?.sequence ?? -1,
  since: (s) => -(s.active_set?.since_ns ?? 0),
  alarm: (s) => -s.alarms.length,
};

// What the reader set stays when a sensor is opened and left again.
const kept = { filter: "", state: null as SensorState | null, sort: "state" as Column, up: true, selected: null as string | null };

export function Fleet() {
  const model = useModel();
  const [filter, setFilter] = useState(kept.filter);
  const [only, setOnly] = useState(kept.state);
  const [sort, setSort] = useState({ by: kept.sort, up: kept.up });
  const [selected, select] = useState(kept.selected);
  Object.assign(kept, { filter, state: only, sort: sort.by, up: sort.up, selected });

  const box = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const slash = (event: KeyboardEvent) => {
      if (event.key === "/" && document.activeElement !== box.current) {
        event.preventDefault();
        box.current?.focus();
      }
    };
    addEventListener("keydown", slash);
    return () => removeEventListener("keydown", slash);
  }, []);

  // Values move all the time; the order follows every two seconds, so that rows can be read and hit.
  const beat = sort.by === "value" || sort.by === "age" ? Math.floor(Date.now() / 2000) : 0;
  const ids = useMemo(() => arrange(model, filter, only, sort), [model.structure, filter, only, sort, beat]);
  const turn = (by: Column) => setSort((now) => ({ by, up: now.by === by ? !now.up : true }));

  return (
    <main class="fleet">
      <div class="bar">
        <h1>{text.fleet.title}</h1>
        <input
          ref={box}
          type="search"
          value={filter}
          placeholder={text.fleet.filter}
          title={text.fleet.filterHint}
          aria-label={text.fleet.filter}
          onInput={(event) => setFilter(event.currentTarget.value)}
          onKeyDown={(event) => event.key === "Escape" && (setFilter(""), event.currentTarget.blur())}
        />
        <span class="muted" role="status">
          {text.fleet.count(ids.length, model.sensors.size)}
        </span>
        <div class="spacer" />
        <Summary model={model} only={only} choose={setOnly} />
      </div>
      {model.sensors.size === 0 ? (
        <p class="empty">{model.loaded ? text.fleet.empty : text.loading}</p>
      ) : (
        <Rows
          ids={ids}
          rowHeight={ROW_HEIGHT}
          label={text.fleet.title}
          selected={selected}
          select={select}
          open={(id) => {
            kept.selected = id;
            go(`/sensors/${id}`);
          }}
          head={<Head sort={sort} turn={turn} />}
          row={(id) => <Row sensor={model.sensors.get(id)} model={model} />}
        />
      )}
      <p class="foot muted">{text.fleet.coverage}</p>
    </main>
  );
}

function arrange(model: typeof Model, filter: string, only: SensorState | null, sort: { by: Column; up: boolean }): string[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const found: Sensor[] = [];
  for (const sensor of model.sensors.values()) {
    if (only && sensor.state !== only) continue;
    const all = `${sensor.id} ${sensor.label} ${sensor.edge} ${sensor.unit} ${stateText[sensor.state]}`.toLowerCase();
    if (words.every((word) => all.includes(word))) found.push(sensor);
  }
  const key = KEYS[sort.by];
  const sign = sort.up ? 1 : -1;
  found.sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    return x < y ? -sign : x > y ? sign : a.id < b.id ? -1 : 1;
  });
  return found.map((sensor) => sensor.id);
}

function Summary({ model, only, choose }: { model: typeof Model; only: SensorState | null; choose: (state: SensorState | null) => void }) {
  const counts = new Map<SensorState, number>();
  for (const sensor of model.sensors.values()) counts.set(sensor.state, (counts.get(sensor.state) ?? 0) + 1);
  return (
    <div class="summary" role="group" aria-label={text.fleet.summary}>
      {STATES.filter((state) => counts.has(state)).map((state) => (
        <button key={state} class="chip" aria-pressed={only === state} onClick={() => choose(only === state ? null : state)}>
          <StateBadge state={state} />
          <span class="n">{counts.get(state)}</span>
        </button>
      ))}
    </div>
  );
}

function Head({ sort, turn }: { sort: { by: Column; up: boolean }; turn: (column: Column) => void }) {
  return (
    <div class="row head" role="row">
      {(Object.keys(text.fleet.columns) as Column[]).map((column) => (
        <span
          key={column}
          role="columnheader"
          class={`cell c-${column}`}
          aria-sort={sort.by === column ? (sort.up ? "ascending" : "descending") : "none"}
        >
          <button onClick={() => turn(column)}>
            {text.fleet.columns[column]}
            {sort.by === column && (
              <span class="arrow" aria-hidden="true">
                {sort.up ? "▲" : "▼"}
              </span>
            )}
          </button>
        </span>
      ))}
    </div>
  );
}

function Row({ sensor, model }: { sensor: Sensor | undefined; model: typeof Model }) {
  if (!sensor) return null;
  const now = reading(sensor);
  return (
    <>
      <span role="gridcell" class="cell c-state">
        <StateBadge state={sensor.state} detail={sensor.state_detail} />
      </span>
      <span role="gridcell" class="cell c-id">
        <a href={`#/sensors/${sensor.id}`} tabIndex={-1}>
          {sensor.id}
        </a>
        <span class="label">{sensor.label}</span>
      </span>
      <span role="gridcell" class="cell c-value">
        <Value value={now.value} u={now.u} live={now.live} column />
      </span>
      <span role="gridcell" class="cell c-unit">
        {unit(sensor.unit)}
      </span>
      <span role="gridcell" class="cell c-age">
        <Age seconds={now.ageS} live={now.live} />
      </span>
      <span role="gridcell" class="cell c-set">
        {sensor.active_set ? `№ ${sensor.active_set.sequence}` : <span class="muted">{sensor.pairing ? text.fleet.uncorrected : text.nothing}</span>}
      </span>
      <span role="gridcell" class="cell c-since">
        {sensor.active_set ? instant(ms(sensor.active_set.since_ns)) : ""}
      </span>
      <span role="gridcell" class="cell c-alarm">
        <Alarms sensor={sensor} model={model} />
      </span>
    </>
  );
}

function Alarms({ sensor, model }: { sensor: Sensor; model: typeof Model }) {
  const active = sensor.alarms.flatMap((id) => model.alarms.get(id) ?? []).filter((alarm) => alarm.active);
  if (active.length) {
    const words = active.map((alarm) => {
      const parameter = parameterText[alarm.parameter]?.symbol ?? alarm.parameter;
      return `${kindText[alarm.kind] ?? alarm.kind}${parameter ? ` · ${parameter}` : ""}`;
    });
    return <span class="alarm-words">{words.join(", ")}</span>;
  }
  return (
    <span class="muted" title={sensor.state_detail || undefined}>
      {sensor.state_detail || text.fleet.noAlarm}
    </span>
  );
}
