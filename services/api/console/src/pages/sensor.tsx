import { useEffect } from "preact/hooks";
import { type Calibration, type CoefficientSet, getCalibrations, getSets, type Parameters, type Sensor } from "../api";
import { frequency, instant, ms, plain, span, unit, withU } from "../format";
import { type Theme, useAnswer, useModel } from "../hooks";
import { StateBadge } from "../parts/state";
import { Trend } from "../parts/trend";
import { Age, reading, Value } from "../parts/value";
import { modelText, parameterText, text, verdictText } from "../text";
import { AlarmTable } from "./alarms";

export function SensorPage({ id, theme }: { id: string; theme: Theme }) {
  const model = useModel();
  const sensor = model.sensors.get(id);
  useEffect(() => {
    model.refresh(id).catch(() => {});
  }, [id]);
  const setId = sensor?.active_set?.id;
  const calibrations = useAnswer(() => getCalibrations(id), [id, setId, model.structure]);
  const sets = useAnswer(() => getSets(id), [id, setId, model.structure]);
  if (!sensor) return <main class="page empty">{model.loaded ? text.sensor.unknown(id) : text.loading}</main>;
  const alarms = [...model.alarms.values()].filter((alarm) => alarm.sensor === id && alarm.state !== "normal");
  const last = calibrations.answer?.items[0] ?? null;
  return (
    <main class="page sensor">
      <Title sensor={sensor} />
      <Trend sensor={sensor} theme={theme} />
      <div class="panels">
        <ParametersPanel sensor={sensor} parameters={sets.answer?.items.find((s) => s.id === setId)?.parameters ?? last?.parameters ?? null} />
        <CalibrationPanel sensor={sensor} calibration={last} />
        <SetPanel sensor={sensor} sets={sets.answer?.items ?? []} />
        <section class="panel wide">
          <h2>{text.sensor.alarms}</h2>
          {alarms.length ? <AlarmTable alarms={alarms} label={text.sensor.alarms} /> : <p class="empty">{text.sensor.noAlarms}</p>}
        </section>
      </div>
    </main>
  );
}

function Title({ sensor }: { sensor: Sensor }) {
  const now = reading(sensor);
  const latest = sensor.latest;
  return (
    <div class="title">
      <div class="names">
        <a class="back" href="#/">
          ← {text.sensor.back}
        </a>
        <h1>{sensor.id}</h1>
        <p class="label">{sensor.label}</p>
        <p class="standing">
          <StateBadge state={sensor.state} />
          {sensor.state_detail && <span class="muted">{sensor.state_detail}</span>}
        </p>
      </div>
      <div class="figures-big">
        <div>
          <span class="caption">{now.corrected ? text.sensor.value : text.sensor.rawValue}</span>
          <Value value={now.value} u={now.u} live={now.live} class="big" />
          <span class="unit-big">{unit(sensor.unit)}</span>
          <Age seconds={now.ageS} live={now.live} />
        </div>
        {now.corrected && (
          <div class="second">
            <span class="caption">{text.sensor.rawValue}</span>
            <Value value={latest?.raw ?? null} u={null} live={now.live} />
            <span>{unit(sensor.unit)}</span>
          </div>
        )}
      </div>
    </div>
  );
}

function Facts({ facts }: { facts: [string, preact.ComponentChildren][] }) {
  return (
    <dl>
      {facts.map(([term, fact]) => (
        <>
          <dt>{term}</dt>
          <dd>{fact}</dd>
        </>
      ))}
    </dl>
  );
}

function ParametersPanel({ sensor, parameters }: { sensor: Sensor; parameters: Parameters | null }) {
  const online = sensor.edge_online === null ? text.sensor.unknownEdge : sensor.edge_online ? text.sensor.online : text.sensor.offline;
  const facts: [string, preact.ComponentChildren][] = [
    [text.sensor.edge, `${sensor.edge} (${online})`],
    [text.sensor.interval, span(sensor.dt_ns / 1e9)],
  ];
  if (sensor.pairing) {
    facts.unshift(
      [text.sensor.model, modelText[sensor.pairing.model] ?? sensor.pairing.model],
      [text.sensor.reference, <a href={`#/sensors/${sensor.pairing.reference}`}>{sensor.pairing.reference}</a>],
    );
  }
  if (sensor.reference_of.length) {
    facts.push([text.sensor.referenceOf, sensor.reference_of.map((id) => <a href={`#/sensors/${id}`}>{id} </a>)]);
  }
  return (
    <section class="panel">
      <h2>{text.sensor.parameters}</h2>
      {parameters && (
        <table class="list parameters">
          <thead>
            <tr>
              <th>{text.sensor.parameter}</th>
              <th class="right">{text.sensor.estimate}</th>
            </tr>
          </thead>
          <tbody>
            {parameters.names.map((name, k) => {
              const known = parameterText[name];
              const pair = withU(parameters.values[k], parameters.u[k]);
              return (
                <tr key={name}>
                  <td>{known?.symbol ?? name}</td>
                  <td class="right figures-cell">
                    {pair.value}
                    {pair.expanded && <span class="expanded"> ± {pair.expanded}</span>} {known?.unit}
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      )}
      <Facts facts={facts} />
    </section>
  );
}

function CalibrationPanel({ sensor, calibration }: { sensor: Sensor; calibration: Calibration | null }) {
  if (!calibration) {
    return (
      <section class="panel">
        <h2>{text.sensor.calibration}</h2>
        <p class="empty">{text.sensor.noCalibration}</p>
      </section>
    );
  }
  const { conformity } = calibration;
  return (
    <section class="panel">
      <h2>{text.sensor.calibration}</h2>
      {conformity && <Deviations conformity={conformity} unitName={unit(sensor.unit)} />}
      <Facts
        facts={[
          [text.sensor.verdict, <span title={calibration.detail}>{verdictText[calibration.verdict]}</span>],
          ...(conformity
            ? ([[text.sensor.rule, `${conformity.rule}: ${conformity.passed ? text.sensor.passed : text.sensor.failed}`]] as [string, string][])
            : []),
          [text.sensor.fittedAt, instant(ms(calibration.fitted_at_ns))],
          [text.sensor.reference, calibration.reference],
          [text.sensor.samples, String(calibration.n_samples)],
          [text.sensor.method, calibration.method],
          ...(calibration.unobservable.length ? ([[text.sensor.unobservable, calibration.unobservable.join(", ")]] as [string, string][]) : []),
        ]}
      />
    </section>
  );
}

const WIDTH = 160;

function Deviations({ conformity, unitName }: { conformity: NonNullable<Calibration["conformity"]>; unitName: string }) {
  const rows = (["raw", "as_found", "as_left"] as const).map((key) => ({ key, ...conformity[key] }));
  const most = Math.max(...rows.map((row) => row.rms ?? 0)) || 1;
  return (
    <table class="list deviations" aria-label={text.sensor.conformity}>
      <caption>{text.sensor.conformity}</caption>
      <tbody>
        {rows.map((row) => (
          <tr key={row.key}>
            <td>{text.sensor.deviation[row.key]}</td>
            <td class="right figures-cell">
              {plain(row.rms, 3)} {unitName}
            </td>
            <td>
              <svg viewBox={`0 0 ${WIDTH} 8`} width={WIDTH} height="8" aria-hidden="true">
                <rect width={WIDTH} height="8" rx="2" class="bar-back" />
                <rect width={Math.max(1.5, (WIDTH * (row.rms ?? 0)) / most)} height="8" rx="2" class={`bar-${row.key}`} />
              </svg>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function SetPanel({ sensor, sets }: { sensor: Sensor; sets: CoefficientSet[] }) {
  const active = sensor.active_set;
  return (
    <section class="panel">
      <h2>{text.sensor.coefficients}</h2>
      {active ? (
        <Facts
          facts={[
            [text.sensor.set, `№ ${active.sequence} · ${active.id}`],
            [text.sensor.activeSince, instant(ms(active.since_ns))],
            [text.sensor.bandwidth, frequency(active.band_hz)],
            [text.sensor.latency, span(active.latency_s)],
          ]}
        />
      ) : (
        <p class="empty">{text.sensor.noSet}</p>
      )}
      {sets.length > 0 && (
        <table class="list" aria-label={text.sensor.history}>
          <caption>{text.sensor.history}</caption>
          <tbody>
            {sets.map((set) => (
              <tr key={set.id} class={set.state === "active" ? "" : "calm"}>
                <td class="instant">№ {set.sequence}</td>
                <td>{set.state}</td>
                <td class="instant">{instant(ms(set.changed_ns))}</td>
                <td class="words">{set.reason}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
