import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { plain } from "../format";
import { colour, FONT } from "./colours";

interface Props {
  /** Says in words what the chart shows, for those who cannot see it. */
  label: string;
  height: number;
  /** Everything but the size; called again when one of `keys` is another. */
  make: () => { options: Partial<uPlot.Options> & Pick<uPlot.Options, "series">; data: uPlot.AlignedData };
  keys: readonly unknown[];
}

/** A chart that fills the width it has, in the colours of the theme. */
export function Chart({ label, height, make, keys }: Props) {
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const box = element.current;
    if (!box) return undefined;
    const { options, data } = make();
    const chart = new uPlot(
      { legend: { show: false }, cursor: { drag: { x: false, y: false }, points: { size: 5 } }, ...options, width: box.clientWidth, height } as uPlot.Options,
      data,
      box,
    );
    const resize = new ResizeObserver(() => chart.setSize({ width: box.clientWidth, height }));
    resize.observe(box);
    return () => {
      resize.disconnect();
      chart.destroy();
    };
  }, keys);
  return <div class="small-chart" ref={element} role="img" aria-label={label} style={{ height }} />;
}

export function axis(part: Partial<uPlot.Axis> = {}): uPlot.Axis {
  const grid = { stroke: colour("grid"), width: 1 };
  return { stroke: colour("muted"), grid, ticks: { ...grid, size: 4 }, font: FONT, labelFont: FONT, labelSize: 18, ...part };
}

/** Labels of a logarithmic axis: powers of ten alone. */
export function decades(_: uPlot, splits: (number | null)[]): string[] {
  return splits.map((v) => (v !== null && v > 0 && Math.abs(Math.log10(v) - Math.round(Math.log10(v))) < 1e-6 ? plain(v, 1) : ""));
}
