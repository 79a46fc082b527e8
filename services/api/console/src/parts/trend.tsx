import { useEffect, useRef, useState } from "preact/hooks";
import type uPlot from "uplot";
import { getGaps, getSamples, type Sensor } from "../api";
import { unit } from "../format";
import type { Theme } from "../hooks";
import { model } from "../model";
import { text } from "../text";
import { TrendData } from "../trend/data";
import { plot } from "../trend/plot";
import { type Interval, moved, zoomed } from "../trend/range";

const POINTS = 3000;
const FRAME_MS = 100;
// The store is a little behind the stream: asked again, it has what fell between the two.
const AGAIN_MS = 2500;
const SETTLE_MS = 180;
/** Longer windows are read again now and then; every frame of the stream would fill the memory with what nobody sees. */
const LIVE_S = 600;

export function Trend({ sensor, theme }: { sensor: Sensor; theme: Theme }) {
  const element = useRef<HTMLDivElement>(null);
  const readout = useRef<HTMLParagraphElement>(null);
  const [windowS, setWindow] = useState(sensor.dt_ns < 20_000_000 ? 10 : 60);
  /** The interval that is looked at; null: up to now. */
  const [at, look] = useState<Interval | null>(null);
  const [decimated, setDecimated] = useState(false);
  const [aggregated, setAggregated] = useState(false);
  const following = at === null;
  const chartRef = useRef<uPlot | null>(null);
  const dtS = sensor.dt_ns / 1e9;

  const shown = (): Interval => {
    const now = model.now() / 1000;
    return at ?? { from: now - windowS, to: now };
  };
  const zoom = (factor: number, about?: number) => look(zoomed(shown(), factor, about, dtS));
  const shift = (share: number) => look(moved(shown(), share));
  const acts = useRef({ zoom, shift });
  acts.current = { zoom, shift };

  useEffect(() => {
    const box = element.current;
    if (!box) return undefined;
    const data = new TrendData(dtS);
    const chart = plot(box, data, unit(sensor.unit), readout.current ?? box, {
      look: (from, to) => look(zoomed({ from, to }, 1, undefined, dtS)),
    });
    chartRef.current = chart;
    let [ended, stale, drawn] = [false, true, 0];

    const length = at ? at.to - at.from : windowS;
    const history = async () => {
      const { from, to } = at ?? { from: model.now() / 1000 - windowS, to: model.now() / 1000 + 2 };
      const ns = (s: number) => `${Math.max(0, Math.round(s * 1e6))}000`;
      try {
        const [samples, gaps] = await Promise.all([
          getSamples(sensor.id, ns(from), ns(to), POINTS),
          getGaps(sensor.id, ns(from), ns(to)),
        ]);
        if (ended) return;
        data.load(samples, gaps.items, at === null && windowS <= LIVE_S);
        setDecimated(samples.decimated);
        setAggregated(samples.aggregated);
        stale = true;
      } catch {
        // The banner says what is wrong; the next frame or reload goes on.
      }
    };
    const first = setTimeout(() => void history(), at ? SETTLE_MS : 0);
    const again = at ? undefined : setTimeout(() => void history(), AGAIN_MS);
    const often = !at && windowS > LIVE_S ? setInterval(() => void history(), Math.max(5000, (windowS / POINTS) * 3000)) : undefined;
    const unwatch = at
      ? () => {}
      : model.watchTrend(sensor.id, (frame) => {
          if (frame === null) void history();
          else if (windowS <= LIVE_S) data.append(frame);
          stale = true;
        });

    const limitS = Math.max(10 * dtS, (4 * length) / POINTS, Math.min(0.3, length / 20));
    const step = (now: number) => {
      if (ended) return;
      requestAnimationFrame(step);
      if (now - drawn < FRAME_MS || document.hidden) return;
      drawn = now;
      if (at && !stale) return;
      const { from, to } = shown();
      if (!at) data.trim(from - 0.2 * windowS);
      if (stale) chart.setData(data.aligned(limitS), false);
      stale = false;
      // Also while nothing arrives: time goes on, and an empty right edge says that data do not.
      chart.setScale("x", { min: from, max: to });
    };
    requestAnimationFrame(step);

    const resize = new ResizeObserver(() => {
      chart.setSize({ width: box.clientWidth, height: box.clientHeight });
      stale = true;
    });
    resize.observe(box);
    return () => {
      ended = true;
      clearTimeout(first);
      clearTimeout(again);
      clearInterval(often);
      unwatch();
      resize.disconnect();
      chart.destroy();
    };
  }, [sensor.id, windowS, theme, at]);

  // The wheel zooms about what it points at, but only on a chart that somebody has turned to: the page scrolls by it too.
  useEffect(() => {
    const box = element.current;
    const wheel = (event: WheelEvent) => {
      const chart = chartRef.current;
      if (!chart || !(event.ctrlKey || box?.contains(document.activeElement))) return;
      event.preventDefault();
      const left = event.clientX - chart.over.getBoundingClientRect().left;
      acts.current.zoom(event.deltaY > 0 ? 1.3 : 1 / 1.3, chart.posToVal(left, "x"));
    };
    box?.addEventListener("wheel", wheel, { passive: false });
    return () => box?.removeEventListener("wheel", wheel);
  }, []);

  const keys = (event: KeyboardEvent) => {
    const todo: Record<string, () => void> = {
      "+": () => zoom(0.5),
      "=": () => zoom(0.5),
      "-": () => zoom(2),
      ArrowLeft: () => shift(-0.25),
      ArrowRight: () => shift(0.25),
      "0": () => look(null),
    };
    const act = todo[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  };
  const words = text.sensor;
  return (
    <section class="panel trend">
      <div class="panel-head">
        <h2>{words.trend}</h2>
        <Legend />
        <div class="spacer" />
        <div class="segments" role="group" aria-label={words.trend}>
          {words.windows.map(({ label, seconds }) => (
            <button
              key={seconds}
              aria-pressed={following && windowS === seconds}
              onClick={() => {
                setWindow(seconds);
                look(null);
              }}
            >
              {label}
            </button>
          ))}
        </div>
        <div class="segments">
          <button onClick={() => shift(-0.5)} aria-label={words.earlier} title={`${words.earlier} (←)`}>
            ◀
          </button>
          <button onClick={() => zoom(0.5)} aria-label={words.zoomIn} title={`${words.zoomIn} (+)`}>
            +
          </button>
          <button onClick={() => zoom(2)} aria-label={words.zoomOut} title={`${words.zoomOut} (−)`}>
            −
          </button>
          <button onClick={() => shift(0.5)} aria-label={words.later} title={`${words.later} (→)`}>
            ▶
          </button>
        </div>
        <button class="follow" aria-pressed={following} onClick={() => look(following ? shown() : null)}>
          {following ? words.following : words.follow}
        </button>
      </div>
      <div class="chart" ref={element} tabIndex={0} role="group" aria-label={words.trend} aria-describedby="trend-readout" onKeyDown={keys} />
      <p class="readout" id="trend-readout" ref={readout}>
        {words.readoutHint}
      </p>
      {decimated && <p class="muted note">{words.decimated}</p>}
      {aggregated && <p class="muted note">{words.aggregated}</p>}
    </section>
  );
}

function Legend() {
  return (
    <span class="legend">
      <span class="key">
        <svg width="18" height="8" aria-hidden="true">
          <path d="M0 4H18" class="key-raw" />
        </svg>
        {text.sensor.raw}
      </span>
      <span class="key">
        <svg width="18" height="12" aria-hidden="true">
          <path d="M0 1H18V11H0Z" class="key-band" />
          <path d="M0 6H18" class="key-corrected" />
        </svg>
        {text.sensor.corrected} {text.sensor.band}
      </span>
    </span>
  );
}
