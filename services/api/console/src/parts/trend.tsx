import { useEffect, useRef, useState } from "preact/hooks";
import type uPlot from "uplot";
import { getGaps, getSamples, type Sensor } from "../api";
import { unit } from "../format";
import type { Theme } from "../hooks";
import { model } from "../model";
import { text } from "../text";
import { TrendData } from "../trend/data";
import { plot } from "../trend/plot";

const POINTS = 3000;
const FRAME_MS = 100;
// The store is a little behind the stream: asked again, it has what fell between the two.
const AGAIN_MS = 2500;

export function Trend({ sensor, theme }: { sensor: Sensor; theme: Theme }) {
  const element = useRef<HTMLDivElement>(null);
  const readout = useRef<HTMLParagraphElement>(null);
  const [windowS, setWindow] = useState(sensor.dt_ns < 20_000_000 ? 10 : 60);
  const [following, setFollowing] = useState(true);
  const follow = useRef(true);
  follow.current = following;

  useEffect(() => {
    const box = element.current;
    if (!box) return;
    const dtS = sensor.dt_ns / 1e9;
    const data = new TrendData(dtS);
    const chart: uPlot = plot(box, data, unit(sensor.unit), readout.current ?? box, () => setFollowing(false));
    let [ended, stale, drawn] = [false, true, 0];

    const history = async () => {
      const now = model.now();
      const from = `${Math.round(now - windowS * 1000)}000000`;
      const to = `${Math.round(now + 2000)}000000`;
      try {
        const [samples, gaps] = await Promise.all([getSamples(sensor.id, from, to, POINTS), getGaps(sensor.id, from, to)]);
        if (!ended) data.load(samples, gaps.items);
        stale = true;
      } catch {
        // The banner says what is wrong; the next frame or reload goes on.
      }
    };
    void history();
    const again = setTimeout(() => void history(), AGAIN_MS);
    const unwatch = model.watchTrend(sensor.id, (frame) => {
      if (frame) data.append(frame);
      else void history();
      stale = true;
    });

    const limitS = Math.max(10 * dtS, (4 * windowS) / POINTS, 0.3);
    const step = (at: number) => {
      if (ended) return;
      requestAnimationFrame(step);
      if (at - drawn < FRAME_MS || document.hidden) return;
      drawn = at;
      if (!follow.current) return;
      const now = model.now() / 1000;
      data.trim(now - windowS * 1.2);
      if (stale) chart.setData(data.aligned(limitS), false);
      stale = false;
      // Also while nothing arrives: time goes on, and an empty right edge says that data do not.
      chart.setScale("x", { min: now - windowS, max: now });
    };
    requestAnimationFrame(step);

    const resize = new ResizeObserver(() => chart.setSize({ width: box.clientWidth, height: box.clientHeight }));
    resize.observe(box);
    return () => {
      ended = true;
      clearTimeout(again);
      unwatch();
      resize.disconnect();
      chart.destroy();
    };
  }, [sensor.id, windowS, theme]);

  return (
    <section class="panel trend">
      <div class="panel-head">
        <h2>{text.sensor.trend}</h2>
        <Legend />
        <div class="spacer" />
        <div class="segments" role="group" aria-label={text.sensor.trend}>
          {text.sensor.windows.map(({ label, seconds }) => (
            <button
              key={seconds}
              aria-pressed={windowS === seconds}
              onClick={() => {
                setWindow(seconds);
                setFollowing(true);
              }}
            >
              {label}
            </button>
          ))}
        </div>
        <button class="follow" aria-pressed={following} onClick={() => setFollowing(!following)}>
          {following ? text.sensor.following : text.sensor.follow}
        </button>
      </div>
      <div class="chart" ref={element} />
      <p class="readout" ref={readout}>
        {text.sensor.readoutHint}
      </p>
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
