import uPlot from "uplot";
import { colour, FONT } from "../charts/colours";
import { instant, moment, plain, span, withU, zoneNow } from "../format";
import { causeText, text } from "../text";
import type { TrendData } from "./data";

function times(u: uPlot, splits: number[]): string[] {
  const [min = 0, max = 0] = [u.scales["x"]?.min, u.scales["x"]?.max];
  return splits.map((t) => moment(t * 1000, max - min));
}

/** Shade intervals behind the curves: where there is no data, and where the source calls it bad. */
function shades(u: uPlot, data: TrendData): void {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  const ratio = uPlot.pxRatio;
  const paint = (from: number, to: number, fill: string, words: string) => {
    const left = u.valToPos(from, "x", true);
    const width = Math.max(u.valToPos(to, "x", true) - left, 2 * ratio);
    ctx.fillStyle = fill;
    ctx.fillRect(left, bbox.top, width, bbox.height);
    if (words && width > 70 * ratio) {
      ctx.fillStyle = colour("muted");
      ctx.font = `${11 * ratio}px system-ui, sans-serif`;
      ctx.textAlign = "center";
      ctx.fillText(words, left + width / 2, bbox.top + 16 * ratio);
    }
  };
  for (const gap of data.gaps) paint(gap.from, gap.to, colour("gap"), `${text.sensor.gap}: ${causeText[gap.cause] ?? gap.cause}`);
  for (const bad of data.bad) paint(bad.from, bad.to, colour("bad"), text.sensor.bad);
  ctx.restore();
}

/** Mark where another coefficient set took over. */
function switches(u: uPlot, data: TrendData): void {
  const { ctx, bbox } = u;
  const ratio = uPlot.pxRatio;
  ctx.save();
  ctx.strokeStyle = colour("switch");
  ctx.fillStyle = colour("switch");
  ctx.lineWidth = ratio;
  ctx.setLineDash([3 * ratio, 3 * ratio]);
  ctx.font = `${11 * ratio}px system-ui, sans-serif`;
  ctx.textAlign = "left";
  for (const mark of data.switches()) {
    const x = u.valToPos(mark.t, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.fillText(`${text.sensor.set} ${mark.label}`, x + 5 * ratio, bbox.top + bbox.height - 7 * ratio);
  }
  ctx.restore();
}

/** Tick labels with as many decimals as their step needs. */
function amounts(_: uPlot, splits: number[], _axis: number, _space: number, step: number): string[] {
  const decimals = Math.min(Math.max(0, -Math.floor(Math.log10(step) + 1e-9)), 9);
  return splits.map((v) => (Math.abs(v) >= 1e6 ? plain(v, 4) : v.toFixed(decimals).replace("-", "\u2212")));
}

/** What stands under the cursor: the nearest value of each curve, in words. */
function underCursor(u: uPlot, data: TrendData, unit: string): string {
  const at = u.cursor.idx;
  if (at === null || at === undefined || (u.cursor.left ?? -1) < 0) return "";
  const t = u.data[0][at];
  if (t === undefined) return "";
  const near = (series: number): number | null => {
    const column = u.data[series] ?? [];
    for (let off = 0; off < 200; off++) {
      const value = column[at - off] ?? column[at + off];
      if (value !== undefined) return value;
    }
    return null;
  };
  const [raw, corrected, upper] = [near(1), near(2), near(3)];
  const pair = withU(corrected, corrected === null || upper === null ? null : (upper - corrected) / 2);
  const parts = [instant(t * 1000).replace(/:\d\d(?=[Z+-])/, (s) => `${s}.${String(Math.floor((t * 1000) % 1000)).padStart(3, "0")}`)];
  if (corrected !== null) parts.push(`${text.sensor.corrected} ${pair.value}${pair.expanded ? ` ± ${pair.expanded}` : ""} ${unit}`);
  if (raw !== null) parts.push(`${text.sensor.raw} ${plain(raw, 6)} ${unit}`);
  const stood = data.stoodAt(t);
  if (stood) parts.push(text.sensor.meanOf(span(stood.widthS), plain(stood.low, 6), plain(stood.high, 6), unit));
  return parts.join("   ");
}

/** What a chart asks for: `from` and `to` are instants in seconds since 1970. */
export interface Wishes {
  /** Look at this interval. */
  look: (from: number, to: number) => void;
}

export function plot(element: HTMLElement, data: TrendData, unit: string, readout: HTMLElement, wishes: Wishes): uPlot {
  const grid = { stroke: colour("grid"), width: 1 };
  const axis = { stroke: colour("muted"), grid, ticks: { ...grid, size: 4 }, font: FONT };
  return new uPlot(
    {
      width: element.clientWidth,
      height: element.clientHeight,
      ms: 1e-3,
      cursor: { drag: { x: true, y: false, setScale: false }, points: { size: 6 }, bind: { dblclick: () => null } },
      legend: { show: false },
      scales: { x: { time: true } },
      axes: [
        { ...axis, values: times, space: 110, size: 30, label: text.sensor.time(zoneNow()), labelSize: 18, labelFont: FONT },
        { ...axis, size: 64, label: unit, labelSize: 18, labelFont: FONT, values: amounts },
      ],
      series: [
        {},
        { label: text.sensor.raw, stroke: colour("raw"), width: 1.25, points: { size: 4 } },
        { label: text.sensor.corrected, stroke: colour("corrected"), width: 1.75, points: { size: 5 } },
        { label: `+2u`, stroke: colour("band-edge"), width: 0.5, points: { show: false } },
        { label: `\u22122u`, stroke: colour("band-edge"), width: 0.5, points: { show: false } },
        { label: text.sensor.largest, stroke: colour("extremes"), width: 0.5, points: { show: false } },
        { label: text.sensor.smallest, stroke: colour("extremes"), width: 0.5, points: { show: false } },
      ],
      bands: [
        { series: [3, 4], fill: colour("band") },
        { series: [5, 6], fill: colour("extremes") },
      ],
      hooks: {
        drawClear: [(u) => shades(u, data)],
        draw: [(u) => switches(u, data)],
        setCursor: [
          (u) => {
            readout.textContent = underCursor(u, data, unit) || text.sensor.readoutHint;
          },
        ],
        setSelect: [
          (u) => {
            const { left, width } = u.select;
            if (width <= 0) return;
            wishes.look(u.posToVal(left, "x"), u.posToVal(left + width, "x"));
            u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          },
        ],
      },
    },
    data.aligned(Number.POSITIVE_INFINITY),
    element,
  );
}
