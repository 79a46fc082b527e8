import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Sensor, SensorState } from "../api";
import { instant, ms, unit } from "../format";
import { arrange, type Column, STATES, type View } from "../fleet/arrange";
import { DriftCell } from "../fleet/drift";
import { Tree } from "../fleet/tree";
import { ViewPicker } from "../fleet/picker";
import { ALL } from "../fleet/views";
import { go, useModel } from "../hooks";
import type { model as Model } from "../model";
import { Rows } from "../parts/rows";
import { StateBadge } from "../parts/state";
import { Age, reading, standing, Value } from "../parts/value";
import { kindText, parameterText, text } from "../text";

const ROW_HEIGHT = 40;

// What the reader set stays when a sensor is opened and left again.
const kept = { view: ALL, selected: null as string | null };

export function Fleet() {
  const model = useModel();
  const [view, setView] = useState<View>(kept.view);
  const [selected, select] = useState(kept.selected);
  kept.view = view;
  kept.selected = selected;
  const change = (part: Partial<View>) => setView((before) => ({ ...before, ...part }));

  // Values move all the time; the order follows every two seconds, so that rows can be read and hit.
  const beat = view.sort === "value" || view.sort === "age" ? Math.floor(Date.now() / 2000) : 0;
  const ids = useMemo(() => arrange(model.sensors, model.drifts, view), [model.structure, view, beat]);
  const turn = (by: Column) => change({ sort: by, up: view.sort === by ? !view.up : true });

  // The first time that rows are in sight, for those who measure.
  const marked = useRef(false);
  useLayoutEffect(() => {
    if (marked.current || !ids.length) return;
    marked.current = true;
    performance.mark("dyncal.fleet");
  });

  return (
    <main class="fleet" id="main" tabIndex={-1}>
      <Tree model={model} place={view.place} choose={(place) => change({ place })} />
      <div class="table">
        <div class="bar">
          <h1>{text.fleet.title}</h1>
          <input
            type="search"
            value={view.filter}
            placeholder={text.fleet.filter}
            title={text.fleet.filterHint}
            aria-label={text.fleet.filter}
            onInput={(event) => change({ filter: event.currentTarget.value })}
            onKeyDown={(event) => event.key === "Escape" && (change({ filter: "" }), event.currentTarget.blur())}
          />
          <ViewPicker view={view} show={setView} />
          <span class="muted" role="status">
            {text.fleet.count(ids.length, model.sensors.size)}
          </span>
          <div class="spacer" />
          <Summary model={model} only={view.states} choose={(states) => change({ states })} />
        </div>
        {ids.length === 0 ? (
          <p class="empty">{model.sensors.size ? text.fleet.none : model.loaded ? text.fleet.empty : text.loading}</p>
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
            head={<Head sort={view.sort} up={view.up} turn={turn} />}
            row={(id) => <Row sensor={model.sensors.get(id)} model={model} />}
          />
        )}
        <p class="foot muted">{text.fleet.coverage}</p>
      </div>
    </main>
  );
}

interface SummaryProps {
  model: typeof Model;
  only: SensorState[];
  choose: (states: SensorState[]) => void;
}

function Summary({ model, only, choose }: SummaryProps) {
  const counts = useMemo(() => {
    const found = new Map<SensorState, number>();
    for (const sensor of model.sensors.values()) found.set(sensor.state, (found.get(sensor.state) ?? 0) + 1);
    return found;
  }, [model.structure]);
  const toggle = (state: SensorState) => choose(only.includes(state) ? only.filter((each) => each !== state) : [...only, state]);
  return (
    <div class="summary" role="group" aria-label={text.fleet.summary}>
      {STATES.filter((state) => counts.has(state)).map((state) => (
        <button key={state} class="chip" aria-pressed={only.includes(state)} onClick={() => toggle(state)}>
          <StateBadge state={state} />
          <span class="n">{counts.get(state)}</span>
        </button>
      ))}
    </div>
  );
}

function Head({ sort, up, turn }: { sort: Column; up: boolean; turn: (column: Column) => void }) {
  return (
    <div class="row head" role="row">
      {(Object.keys(text.fleet.columns) as Column[]).map((column) => (
        <span key={column} role="columnheader" class={`cell c-${column}`} aria-sort={sort === column ? (up ? "ascending" : "descending") : "none"}>
          <button onClick={() => turn(column)}>
            {text.fleet.columns[column]}
            {sort === column && (
              <span class="arrow" aria-hidden="true">
                {up ? "▲" : "▼"}
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
  const stands = standing(sensor, now);
  const active = sensor.active_set;
  return (
    <>
      <span role="gridcell" class="cell c-state">
        <StateBadge state={stands.state} detail={stands.detail} />
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
      <span role="gridcell" class="cell c-drift">
        <DriftCell drift={model.drifts.get(sensor.id)} paired={sensor.pairing !== null} />
      </span>
      <span role="gridcell" class="cell c-set">
        {active ? `№ ${active.sequence}` : <span class="muted">{sensor.pairing ? text.fleet.uncorrected : text.nothing}</span>}
      </span>
      <span role="gridcell" class="cell c-since">
        {active && <time title={instant(ms(active.since_ns))}>{since(ms(active.since_ns), model.now())}</time>}
      </span>
      <span role="gridcell" class="cell c-alarm">
        <Remarks sensor={sensor} model={model} detail={stands.detail} />
      </span>
    </>
  );
}

/** A date; of the last day, a time. */
function since(at: number, now: number): string {
  const whole = instant(at);
  return now - at < 86_400_000 ? whole.slice(11) : whole.slice(0, 10);
}

function Remarks({ sensor, model, detail }: { sensor: Sensor; model: typeof Model; detail: string }) {
  const active = sensor.alarms.flatMap((id) => model.alarms.get(id) ?? []).filter((alarm) => alarm.active);
  if (active.length) {
    const words = active.map((alarm) => {
      const parameter = parameterText[alarm.parameter]?.symbol ?? alarm.parameter;
      return `${kindText[alarm.kind] ?? alarm.kind}${parameter ? ` · ${parameter}` : ""}`;
    });
    return <span class="alarm-words">{words.join(", ")}</span>;
  }
  // Of what is wrong, or cannot be told, since when; that all is well needs no date.
  const from = detail && sensor.state_since_ns ? text.sensor.since(instant(ms(sensor.state_since_ns))) : "";
  const all = [detail, from].filter(Boolean).join(", ");
  return (
    <span class="muted" title={all || undefined}>
      {all || text.fleet.noAlarm}
    </span>
  );
}
