import type uPlot from "uplot";
import type { Health } from "../api";
import { getHistory, type History } from "../ask/findings";
import { axis, Chart } from "../charts/chart";
import { colour } from "../charts/colours";
import { moment } from "../format";
import { type Theme, useAnswer } from "../hooks";
import { parameterText, text } from "../text";

const words = text.history;
const WHITE = 0.01;

interface Props {
  id: string;
  theme: Theme;
  keys: readonly unknown[];
  health: Health | null | undefined;
}

/** Each parameter at each calibration with its uncertainty, its tolerance, and how white the residuals were. */
export function ParameterHistory({ id, theme, keys, health }: Props) {
  const { answer, error } = useAnswer(() => getHistory(id), [id, ...keys]);
  if (!answer || answer.fitted_at_ns.length < 2) {
    return (
      <section class="panel wide">
        <h2>{words.title}</h2>
        <p class="empty">{error ? text.failed(error.message) : answer ? words.none : text.loading}</p>
      </section>
    );
  }
  const tested = answer.whiteness_p.some((p) => p !== null);
  return (
    <section class="panel wide">
      <h2>{words.title}</h2>
      <div class="charts three">
        {answer.names.map((name, k) => {
          const known = parameterText[name];
          const title = `${known?.symbol ?? name}${known?.unit ? ` [${known.unit}]` : ""}`;
          return (
            <figure key={name}>
              <figcaption>{title}</figcaption>
              <Chart label={title} height={180} keys={[answer, theme, health?.at_ns]} make={() => parameter(answer, k, foretold(answer, k, health))} />
            </figure>
          );
        })}
        {tested && (
          <figure>
            <figcaption>
              {words.whiteness} <span class="muted">({words.whitenessHint})</span>
            </figcaption>
            <Chart label={words.whiteness} height={180} keys={[answer, theme]} make={() => whiteness(answer)} />
          </figure>
        )}
      </div>
      <p class="muted note">
        {answer.baseline_values ? words.bands : words.noBaseline} {health?.outlook.length ? words.forecastNote : ""} {answer.truncated && words.truncated}
      </p>
    </section>
  );
}

const seconds = (answer: History): number[] => answer.fitted_at_ns.map((ns) => ns / 1e9);

function timeAxis(): uPlot.Axis {
  const values = (u: uPlot, splits: number[]) => {
    const [min = 0, max = 0] = [u.scales["x"]?.min, u.scales["x"]?.max];
    return splits.map((t) => moment(t * 1000, max - min));
  };
  return axis({ values, space: 80 });
}

/** Where a parameter is heading: a value and its standard uncertainty at each of some instants [s]. */
interface Forecast {
  t: number[];
  value: number[];
  u: number[];
}

const STEPS = 24;

/** What calibration foretells of a parameter, for as long again as half of what is shown of the past. */
function foretold(answer: History, k: number, health: Health | null | undefined): Forecast | null {
  const base = answer.baseline_values?.[k];
  const part = health?.conformity.find((each) => each.parameter === answer.names[k]);
  const outlook = health?.outlook.find((each) => each.parameter === answer.names[k]);
  if (!health || !base || part?.change == null || part.u === null || outlook?.rate_per_day == null) return null;
  const [from, first] = [health.at_ns / 1e9, answer.fitted_at_ns[0]! / 1e9];
  const t = Array.from({ length: STEPS + 1 }, (_, i) => from + (i / STEPS) * 0.5 * Math.max(from - first, 60));
  const days = t.map((at) => (at - from) / 86_400);
  return {
    t,
    value: days.map((d) => base * (1 + part.change! + outlook.rate_per_day! * d)),
    u: days.map((d) => Math.abs(base) * Math.hypot(part.u!, (outlook.u_rate_per_day ?? 0) * d)),
  };
}

/** Draw a forecast: a dotted line, and the band in which the parameter will lie. */
function ahead(u: uPlot, forecast: Forecast): void {
  const { ctx } = u;
  const at = (i: number, sign: number) => [u.valToPos(forecast.t[i]!, "x", true), u.valToPos(forecast.value[i]! + sign * 2 * forecast.u[i]!, "y", true)] as const;
  const indices = forecast.t.map((_, i) => i);
  ctx.save();
  ctx.fillStyle = colour("gap");
  ctx.beginPath();
  for (const i of indices) ctx.lineTo(...at(i, 1));
  for (const i of [...indices].reverse()) ctx.lineTo(...at(i, -1));
  ctx.fill();
  ctx.strokeStyle = colour("corrected");
  ctx.lineWidth = 1.25 * devicePixelRatio;
  ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
  ctx.beginPath();
  for (const i of indices) ctx.lineTo(...at(i, 0));
  ctx.stroke();
  ctx.restore();
}

function parameter(answer: History, k: number, forecast: Forecast | null) {
  const value = answer.values.map((row) => row[k] ?? null);
  const u = answer.u.map((row) => row[k] ?? null);
  const expanded = (sign: number) => value.map((v, i) => (v === null || u[i] === null || u[i] === undefined ? null : v + sign * 2 * u[i]!));
  const [upper, lower] = [expanded(1), expanded(-1)];
  const base = answer.baseline_values?.[k] ?? null;
  const limits = base === null ? [] : [base * (1 + answer.tolerance[k]!), base * (1 - answer.tolerance[k]!)];
  return {
    options: {
      series: [
        {},
        { stroke: colour("corrected"), width: 1.25, points: { show: true, size: 6, fill: colour("corrected") } },
        { stroke: "transparent", points: { show: false } },
        { stroke: "transparent", points: { show: false } },
      ],
      scales: {
        x: { range: (_: uPlot, low: number, high: number): [number, number] => [low, Math.max(high, forecast?.t.at(-1) ?? high)] },
        // The tolerance is in sight, also where the parameter is far from it.
        y: {
          range: (_: uPlot, low: number, high: number): [number, number] => {
            const ends = forecast ? [forecast.value.at(-1)! + 2 * forecast.u.at(-1)!, forecast.value.at(-1)! - 2 * forecast.u.at(-1)!] : [];
            const [least, most] = [Math.min(low, ...limits, ...ends), Math.max(high, ...limits, ...ends)];
            const margin = 0.08 * (most - least || Math.abs(most) || 1);
            return [least - margin, most + margin];
          },
        },
      },
      axes: [timeAxis(), axis({ size: 64 })],
      hooks: {
        drawClear: [(u: uPlot) => forecast && ahead(u, forecast)],
        draw: [(u: uPlot) => bars(u, upper, lower), (u: uPlot) => limits.forEach((limit) => level(u, limit, words.tolerance))],
      },
    },
    data: [seconds(answer), value, upper, lower] as uPlot.AlignedData,
  };
}

/** Draw an uncertainty bar at each point. */
function bars(u: uPlot, upper: (number | null)[], lower: (number | null)[]): void {
  const { ctx } = u;
  const half = 3 * devicePixelRatio;
  ctx.save();
  ctx.strokeStyle = colour("corrected");
  ctx.lineWidth = devicePixelRatio;
  ctx.beginPath();
  u.data[0].forEach((t, i) => {
    const [high, low] = [upper[i], lower[i]];
    if (high === null || high === undefined || low === null || low === undefined) return;
    const [x, top, bottom] = [u.valToPos(t, "x", true), u.valToPos(high, "y", true), u.valToPos(low, "y", true)];
    ctx.moveTo(x, top);
    ctx.lineTo(x, bottom);
    for (const y of [top, bottom]) {
      ctx.moveTo(x - half, y);
      ctx.lineTo(x + half, y);
    }
  });
  ctx.stroke();
  ctx.restore();
}

/** Draw a dashed line at a value, and say what it is. */
function level(u: uPlot, value: number, label: string): void {
  const { ctx, bbox } = u;
  const y = u.valToPos(value, "y", true);
  if (y < bbox.top || y > bbox.top + bbox.height) return;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = colour("switch");
  ctx.lineWidth = ratio;
  ctx.setLineDash([5 * ratio, 4 * ratio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.font = `${11 * ratio}px system-ui, sans-serif`;
  ctx.textAlign = "left";
  ctx.fillText(label, bbox.left + 4 * ratio, y - 4 * ratio);
  ctx.restore();
}

function whiteness(answer: History) {
  return {
    options: {
      series: [{}, { stroke: colour("raw"), width: 0, points: { show: true, size: 6, fill: colour("text"), stroke: colour("text") } }],
      scales: { y: { range: [0, 1] as [number, number] } },
      axes: [timeAxis(), axis({ size: 44 })],
      hooks: { draw: [(u: uPlot) => level(u, WHITE, "")] },
    },
    data: [seconds(answer), answer.whiteness_p] as uPlot.AlignedData,
  };
}
