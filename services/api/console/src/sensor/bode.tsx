import type uPlot from "uplot";
import { type Curve, getResponse } from "../ask/findings";
import { axis, Chart, decades } from "../charts/chart";
import { colour } from "../charts/colours";
import { day, ms } from "../format";
import { type Theme, useAnswer } from "../hooks";
import { text } from "../text";

const words = text.response;
const DEGREES = 180 / Math.PI;
const DASHES: Record<Curve["what"], number[]> = { now: [], last_calibration: [6, 4], baseline: [2, 3], certificate: [10, 3, 2, 3] };
const INK: Record<Curve["what"], string> = { now: "corrected", last_calibration: "text", baseline: "raw", certificate: "text" };

interface Props {
  id: string;
  theme: Theme;
  keys: readonly unknown[];
}

/** The frequency response with its bands, and how far it is from what it was. */
export function Bode({ id, theme, keys }: Props) {
  const { answer, error } = useAnswer(() => getResponse(id), [id, ...keys]);
  const curves = answer?.curves ?? [];
  if (!answer || !curves.length) {
    return (
      <section class="panel wide">
        <h2>{words.title}</h2>
        <p class="empty">{error ? text.failed(error.message) : answer ? words.none : text.loading}</p>
      </section>
    );
  }
  const then = comparison(curves);
  const drawing = { curves, band: answer.band_hz };
  return (
    <section class="panel wide">
      <div class="panel-head">
        <h2>{words.title}</h2>
        <Legend curves={curves} />
      </div>
      <div class="charts three">
        <figure>
          <figcaption>{words.magnitude}</figcaption>
          <Chart label={words.magnitude} height={230} keys={[answer, theme]} make={() => magnitude(drawing)} />
        </figure>
        <figure>
          <figcaption>{words.phase}</figcaption>
          <Chart label={words.phase} height={230} keys={[answer, theme]} make={() => phase(drawing)} />
        </figure>
        {then && (
          <figure>
            <figcaption>{then.what === "baseline" ? words.deviationBaseline : words.deviation}</figcaption>
            <Chart label={words.deviation} height={230} keys={[answer, theme]} make={() => deviation(curves[0]!, then, answer.band_hz)} />
          </figure>
        )}
      </div>
      <p class="muted note">{words.bands}</p>
    </section>
  );
}

/** What the present response is compared with: the baseline, or a calibration that is another than that of the set. */
function comparison(curves: Curve[]): Curve | null {
  const now = curves.find((curve) => curve.what === "now");
  if (!now) return null;
  const baseline = curves.find((curve) => curve.what === "baseline");
  const last = curves.find((curve) => curve.what === "last_calibration" && curve.at_ns !== now.at_ns);
  return baseline ?? last ?? null;
}

function Legend({ curves }: { curves: Curve[] }) {
  return (
    <span class="legend">
      {curves.map((curve) => (
        <span key={curve.what} class="key">
          <svg width="26" height="8" aria-hidden="true">
            <path d="M0 4H26" class={`key-line ink-${INK[curve.what]}`} stroke-dasharray={DASHES[curve.what].join(" ")} />
          </svg>
          {words.curves[curve.what]} ({day(ms(curve.at_ns))})
        </span>
      ))}
    </span>
  );
}

interface Drawing {
  curves: Curve[];
  band: number | null;
}

/** Three columns a curve: value, upper and lower bound. */
function columns(curves: Curve[], of: (curve: Curve, k: number) => [number, number]): uPlot.AlignedData {
  const f = curves[0]!.f_hz;
  const data: (number | null)[][] = curves.flatMap((curve) => {
    const pairs = f.map((_, k) => of(curve, k));
    return [pairs.map(([v]) => v), pairs.map(([v, u]) => v + 2 * u), pairs.map(([v, u]) => v - 2 * u)];
  });
  return [f, ...data] as uPlot.AlignedData;
}

function series(curves: Curve[]): Pick<uPlot.Options, "series" | "bands"> {
  const none = { points: { show: false } };
  return {
    series: [
      {},
      ...curves.flatMap((curve) => [
        { ...none, stroke: colour(INK[curve.what]), width: 1.75, dash: DASHES[curve.what] },
        { ...none, stroke: "transparent", width: 0 },
        { ...none, stroke: "transparent", width: 0 },
      ]),
    ],
    bands: curves.map((_, k) => ({ series: [3 * k + 2, 3 * k + 3] as [number, number], fill: colour(k ? "gap" : "band") })),
  };
}

const X: Pick<uPlot.Options, "scales"> = { scales: { x: { time: false, distr: 3 } } };

function common(band: number | null): Pick<uPlot.Options, "hooks"> {
  return { hooks: { draw: [(u) => bandEnd(u, band)] } };
}

/** Mark the end of the band in which the correction is valid. */
function bandEnd(u: uPlot, band: number | null): void {
  if (band === null) return;
  const x = u.valToPos(band, "x", true);
  const { ctx, bbox } = u;
  if (x < bbox.left || x > bbox.left + bbox.width) return;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = colour("switch");
  ctx.lineWidth = ratio;
  ctx.setLineDash([3 * ratio, 3 * ratio]);
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.font = `${11 * ratio}px system-ui, sans-serif`;
  ctx.textAlign = x > bbox.left + bbox.width / 2 ? "right" : "left";
  ctx.fillText(words.bandEnd, x + (ctx.textAlign === "right" ? -5 : 5) * ratio, bbox.top + bbox.height - 7 * ratio);
  ctx.restore();
}

const frequencyAxis = () => axis({ values: decades, label: words.frequency, size: 30 });

function magnitude({ curves, band }: Drawing) {
  return {
    options: {
      ...series(curves),
      ...common(band),
      scales: { ...X.scales, y: { distr: 3 as const } },
      axes: [frequencyAxis(), axis({ size: 58, values: decades })],
    },
    data: columns(curves, (curve, k) => [curve.magnitude[k]!, Math.min(curve.u_magnitude[k]!, 0.49 * curve.magnitude[k]!)]),
  };
}

function phase({ curves, band }: Drawing) {
  return {
    options: { ...series(curves), ...common(band), ...X, axes: [frequencyAxis(), axis({ size: 58 })] },
    data: columns(curves, (curve, k) => [DEGREES * curve.phase_rad[k]!, DEGREES * curve.u_phase_rad[k]!]),
  };
}

function deviation(now: Curve, then: Curve, band: number | null) {
  const relative = (k: number): [number, number] => {
    const [a, b] = [now.magnitude[k]!, then.magnitude[k]!];
    return [100 * (a / b - 1), (100 * a * Math.hypot(now.u_magnitude[k]! / a, then.u_magnitude[k]! / b)) / b];
  };
  return {
    options: {
      ...series([now]),
      ...common(band),
      scales: { ...X.scales, y: { range: (_: uPlot, low: number, high: number) => around(low, high) } },
      axes: [frequencyAxis(), axis({ size: 58 })],
    },
    data: columns([now], (_, k) => relative(k)),
  };
}

/** At least ±0.5 % about zero, so that nothing looks like much. */
function around(low: number, high: number): [number, number] {
  const size = Math.max(0.5, Math.abs(low), Math.abs(high)) * 1.1;
  return [-size, size];
}
