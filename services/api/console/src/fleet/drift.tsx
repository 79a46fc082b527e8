import { day, ms, percent } from "../format";
import type { Drift } from "../model";
import { parameterSign, parameterText, text } from "../text";

const [WIDTH, HEIGHT] = [46, 18];

/** How a sensor has moved: the parameter, by how much, and a line through its calibrations. */
export function DriftCell({ drift, paired }: { drift: Drift | undefined; paired: boolean }) {
  if (!drift) return paired ? <span class="muted" title={text.fleet.noDrift}>{text.nothing}</span> : null;
  const moved = Math.abs(drift.change) > 2 * drift.u;
  const symbol = parameterText[drift.parameter]?.symbol ?? drift.parameter;
  const detail = text.fleet.driftDetail(symbol, percent(drift.change, drift.u), day(ms(drift.since_ns)), day(ms(drift.to_ns)));
  return (
    <span class="drift" title={detail}>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} height={HEIGHT} aria-hidden="true">
        <polyline points={line(drift.points)} class="spark" />
      </svg>
      <span class={moved ? "" : "muted"}>{moved ? `${parameterSign[drift.parameter] ?? drift.parameter} ${percent(drift.change)}` : text.fleet.steady}</span>
    </span>
  );
}

/** A line through the points; a fifth of a per cent is at least half of its height, so that noise looks like noise. */
function line(points: number[]): string {
  const [low, high] = [Math.min(...points), Math.max(...points)];
  const range = Math.max(high - low, 0.004);
  const middle = (high + low) / 2;
  return points
    .map((value, k) => {
      const x = 1 + ((WIDTH - 2) * k) / Math.max(points.length - 1, 1);
      const y = HEIGHT / 2 - ((HEIGHT - 4) * (value - middle)) / range;
      return `${x.toFixed(1)},${y.toFixed(1)}`;
    })
    .join(" ");
}
