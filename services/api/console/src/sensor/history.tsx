import type uPlot from "uplot";
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
}

/** Each parameter at each calibration with its uncertainty, its tolerance, and how white the residuals were. */
export function ParameterHistory({ id, theme, keys }: Props) {
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
              <Chart label={title} height={180} keys={[answer, theme]} make={() => parameter(answer, k)} />
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
        {answer.baseline_values ? words.bands : words.noBaseline} {answer.truncated && words.truncated}
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

function parameter(answer: History, k: number) {
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
        // The tolerance is in sight, also where the parameter is far from it.
        y: {
          range: (_: uPlot, low: number, high: number): [number, number] => {
            const [least, most] = [Math.min(low, ...limits), Math.max(high, ...limits)];
            const margin = 0.08 * (most - least || Math.abs(most) || 1);
            return [least - margin, most + margin];
          },
        },
      },
      axes: [timeAxis(), axis({ size: 64 })],
      hooks: { draw: [(u: uPlot) => bars(u, upper, lower), (u: uPlot) => limits.forEach((limit) => level(u, limit, words.tolerance))] },
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
