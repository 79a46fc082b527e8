import { useEffect } from "preact/hooks";
import type { Sensor } from "../api";
import { type Calibration, getCalibrations, getSets, type Parameters } from "../ask/findings";
import { instant, ms, plain, span, unit, withU } from "../format";
import { type Theme, useAnswer, useModel } from "../hooks";
import { AlarmTable } from "../alarms/table";
import { type Fact, FactList } from "../parts/facts";
import { StateBadge } from "../parts/state";
import { Trend } from "../parts/trend";
import { Age, reading, standing, Value } from "../parts/value";
import { Bode } from "../sensor/bode";
import { BudgetPanel } from "../sensor/budget";
import { ChainPanel } from "../sensor/chain";
import { CoefficientsPanel } from "../sensor/coefficients";
import { Deviations, residuals } from "../sensor/conformity";
import { HealthPanel } from "../sensor/health";
import { ParameterHistory } from "../sensor/history";
import { modelText, parameterText, text, verdictText } from "../text";

export function SensorPage({ id, theme }: { id: string; theme: Theme }) {
  const model = useModel();
  const sensor = model.sensors.get(id);
  useEffect(() => {
    model.refresh(id).catch(() => {});
  }, [id, model.registry]);
  const setId = sensor?.active_set?.id;
  const keys = [setId, model.registry] as const;
  const calibrations = useAnswer(() => getCalibrations(id), [id, ...keys]);
  const sets = useAnswer(() => getSets(id), [id, ...keys]);
  if (!sensor) {
    return (
      <main class="page empty" id="main" tabIndex={-1}>
        <h1 class="hidden">{id}</h1>
        {model.loaded ? text.sensor.unknown(id) : text.loading}
      </main>
    );
  }
  const alarms = [...model.alarms.values()].filter((alarm) => alarm.sensor === id && alarm.state !== "normal");
  const last = calibrations.answer?.items[0] ?? null;
  const inForce = sets.answer?.items.find((s) => s.id === setId)?.parameters ?? last?.parameters ?? null;
  return (
    <main class="page sensor" id="main" tabIndex={-1}>
      <Title sensor={sensor} />
      {alarms.length > 0 && (
        <section class="panel sensor-alarms">
          <h2>{text.sensor.alarms}</h2>
          <AlarmTable alarms={alarms} label={text.sensor.alarms} />
        </section>
      )}
      <Trend sensor={sensor} theme={theme} />
      <div class="panels">
        <HealthPanel sensor={sensor} />
        <ParametersPanel sensor={sensor} parameters={inForce} />
        <CalibrationPanel sensor={sensor} calibration={last} />
        <BudgetPanel id={id} setId={setId} />
        <ChainPanel setId={setId} />
        <CoefficientsPanel sensor={sensor} keys={keys} />
        <Bode id={id} theme={theme} keys={keys} />
        <ParameterHistory id={id} theme={theme} keys={keys} health={sensor.health} />
        {alarms.length === 0 && (
          <section class="panel wide">
            <h2>{text.sensor.alarms}</h2>
            <p class="empty">{text.sensor.noAlarms}</p>
          </section>
        )}
      </div>
    </main>
  );
}

function Title({ sensor }: { sensor: Sensor }) {
  const now = reading(sensor);
  const latest = sensor.latest;
  const stands = standing(sensor, now);
  return (
    <div class="title">
      <div class="names">
        <a class="back" href="#/">
          ← {text.sensor.back}
        </a>
        <h1>{sensor.id}</h1>
        <p class="label">{sensor.label}</p>
        <p class="standing">
          <StateBadge state={stands.state} />
          {stands.detail && <span class="muted">{stands.detail}</span>}
          {sensor.state_since_ns && stands.state === sensor.state ? (
            <span class="muted">{text.sensor.since(instant(ms(sensor.state_since_ns)))}</span>
          ) : null}
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
            <span>{unit(sensor.unit)}</span> <Age seconds={now.rawAgeS} live={now.live} />
          </div>
        )}
      </div>
    </div>
  );
}

function ParametersPanel({ sensor, parameters }: { sensor: Sensor; parameters: Parameters | null }) {
  const online = sensor.edge_online === null ? text.sensor.unknownEdge : sensor.edge_online ? text.sensor.online : text.sensor.offline;
  const facts: Fact[] = [
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
      <FactList facts={facts} />
    </section>
  );
}

function CalibrationPanel({ sensor, calibration }: { sensor: Sensor; calibration: Calibration | null }) {
  const words = text.sensor;
  if (!calibration) {
    return (
      <section class="panel">
        <h2>{words.calibration}</h2>
        <p class="empty">{words.noCalibration}</p>
      </section>
    );
  }
  const { conformity } = calibration;
  const facts: Fact[] = [
    [words.verdict, <span title={calibration.detail}>{verdictText[calibration.verdict]}</span>],
    ...(conformity ? ([[words.rule, `${conformity.rule}: ${conformity.passed ? words.passed : words.failed}`]] as Fact[]) : []),
    [words.residuals, residuals(calibration.whiteness_p)],
    [words.chi2, plain(calibration.reduced_chi2, 3)],
    [words.fittedAt, instant(ms(calibration.fitted_at_ns))],
    [words.window, `${instant(ms(calibration.window_from_ns))} – ${instant(ms(calibration.window_to_ns))}`],
    [words.reference, calibration.reference],
    [words.samples, String(calibration.n_samples)],
    [words.method, calibration.method],
    ...(calibration.unobservable.length ? ([[words.unobservable, calibration.unobservable.join(", ")]] as Fact[]) : []),
  ];
  return (
    <section class="panel">
      <h2>{words.calibration}</h2>
      {conformity && <Deviations conformity={conformity} unitName={unit(sensor.unit)} />}
      <FactList facts={facts} />
    </section>
  );
}
