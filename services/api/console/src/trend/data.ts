import type { AlignedData } from "uplot";
import type { Gap, Samples } from "../api";
import type { TrendFrame } from "../live/protocol";

type Column = (number | null | undefined)[];

export interface Mark {
  t: number;
  label: string;
}

export interface Shade {
  from: number;
  to: number;
  cause: string;
}

/** The smallest and largest of the samples that a mean stands for, and the length of their interval [s]. */
export interface Stood {
  low: number | null;
  high: number | null;
  widthS: number;
}

const NOTHING = { rawT: [], raw: [], corT: [], cor: [], u: [], set: [] };

/** Raw and corrected samples of one sensor: two time axes, since a correction is about instants that have passed. */
export class TrendData {
  private rawT: number[] = [];
  private raw: (number | null)[] = [];
  private corT: number[] = [];
  private cor: (number | null)[] = [];
  private u: (number | null)[] = [];
  private set: string[] = [];
  /** By instant: means that stand for samples which are not kept any more. */
  private stood = new Map<number, Stood>();
  gaps: Shade[] = [];
  bad: Shade[] = [];

  constructor(private readonly dtS: number) {}

  get lastT(): number | null {
    return this.rawT.at(-1) ?? null;
  }

  /** Take the history from the store; what came live after its end stays where that is wanted. */
  load(history: Samples, gaps: Gap[], keepLive = true): void {
    const live = { ...(keepLive ? this.columns() : NOTHING) };
    this.rawT = [];
    this.raw = [];
    this.corT = [];
    this.cor = [];
    this.u = [];
    this.set = [];
    this.bad = [];
    this.stood = new Map();
    history.t_ns.forEach((ns, k) => {
      const widthS = (history.width_ns?.[k] ?? 0) / 1e9;
      const t = ns / 1e9 + widthS / 2; // a mean is drawn in the middle of what it is of
      if (widthS > 0) this.stood.set(t, { low: history.raw_min?.[k] ?? null, high: history.raw_max?.[k] ?? null, widthS });
      this.pushRaw(t, history.raw[k] ?? null, history.quality[k] ?? 0);
      const value = history.corrected[k];
      if (value !== null && value !== undefined) {
        this.pushCorrected(t, value, history.u[k] ?? null, history.sets[history.set_index[k] ?? -1] ?? "");
      }
    });
    live.rawT.forEach((t, k) => this.pushRaw(t, live.raw[k] ?? null, 0));
    live.corT.forEach((t, k) => this.pushCorrected(t, live.cor[k] ?? null, live.u[k] ?? null, live.set[k] ?? ""));
    this.gaps = gaps.map((gap) => ({ from: gap.after_ns / 1e9, to: gap.before_ns / 1e9, cause: gap.cause }));
  }

  append(frame: TrendFrame): void {
    const raw = frame.raw;
    raw?.offset_ns.forEach((offset, k) =>
      this.pushRaw(raw.t0_ns / 1e9 + offset / 1e9, raw.value[k] ?? null, raw.quality?.[k] ?? 0),
    );
    for (const run of frame.corrected) {
      run.offset_ns.forEach((offset, k) =>
        this.pushCorrected(run.t0_ns / 1e9 + offset / 1e9, run.value[k] ?? null, run.u[k] ?? null, run.set),
      );
    }
    for (const gap of frame.gaps ?? []) {
      this.gaps.push({ from: gap.after_ns / 1e9, to: gap.before_ns / 1e9, cause: gap.cause });
    }
  }

  /** Forget what lies before `t`. */
  trim(t: number): void {
    const nRaw = firstAfter(this.rawT, t);
    if (nRaw > 500) for (const column of [this.rawT, this.raw]) column.splice(0, nRaw);
    const nCor = firstAfter(this.corT, t);
    if (nCor > 500) for (const column of [this.corT, this.cor, this.u, this.set]) column.splice(0, nCor);
    this.gaps = this.gaps.filter((gap) => gap.to >= t);
    this.bad = this.bad.filter((shade) => shade.to >= t);
  }

  /** Instants at which the set changed. */
  switches(): Mark[] {
    const marks: Mark[] = [];
    for (let k = 1; k < this.set.length; k++) {
      if (this.set[k] !== this.set[k - 1]) marks.push({ t: this.corT[k]!, label: this.set[k]! });
    }
    return marks;
  }

  /** What the value at an instant stands for, where it is a mean. */
  stoodAt(t: number): Stood | undefined {
    return this.stood.get(t);
  }

  /** Columns on one axis: time, raw, corrected, upper and lower bound, largest and smallest of a mean. `undefined` is drawn over, `null` is a gap. */
  aligned(limitS: number): AlignedData {
    const t: number[] = [];
    const raw: Column = [];
    const cor: Column = [];
    const upper: Column = [];
    const lower: Column = [];
    const largest: Column = [];
    const smallest: Column = [];
    let [i, j, before, halfBefore] = [0, 0, Number.NaN, 0];
    while (i < this.rawT.length || j < this.corT.length) {
      const a = this.rawT[i] ?? Number.POSITIVE_INFINITY;
      const b = this.corT[j] ?? Number.POSITIVE_INFINITY;
      const now = Math.min(a, b);
      const stood = this.stood.get(now);
      const half = (stood?.widthS ?? 0) / 2;
      if (a === now && now - before - half - halfBefore > limitS) {
        t.push((now + before) / 2);
        for (const column of [raw, cor, upper, lower, largest, smallest]) column.push(null);
      }
      t.push(now);
      raw.push(a === now ? this.raw[i] : undefined);
      const value = b === now ? this.cor[j] : undefined;
      cor.push(value);
      const u = this.u[j] ?? null;
      upper.push(b === now ? (value === null || value === undefined || u === null ? null : value + 2 * u) : undefined);
      lower.push(b === now ? (value === null || value === undefined || u === null ? null : value - 2 * u) : undefined);
      largest.push(stood ? stood.high : null);
      smallest.push(stood ? stood.low : null);
      if (a === now) {
        before = a;
        halfBefore = half;
        i++;
      }
      if (b === now) j++;
    }
    return [t, raw, cor, upper, lower, largest, smallest] as AlignedData;
  }

  private columns() {
    return { rawT: this.rawT, raw: this.raw, corT: this.corT, cor: this.cor, u: this.u, set: this.set };
  }

  private pushRaw(t: number, value: number | null, quality: number): void {
    if (t <= (this.rawT.at(-1) ?? Number.NEGATIVE_INFINITY)) return;
    this.rawT.push(t);
    this.raw.push(value);
    if (quality >= 0x40000000) {
      const last = this.bad.at(-1);
      const step = Math.max(this.dtS * 3, 0.5);
      if (last && t - last.to <= step) last.to = t;
      else this.bad.push({ from: t, to: t, cause: "" });
    }
  }

  private pushCorrected(t: number, value: number | null, u: number | null, set: string): void {
    if (t <= (this.corT.at(-1) ?? Number.NEGATIVE_INFINITY)) return;
    this.corT.push(t);
    this.cor.push(value);
    this.u.push(u);
    this.set.push(set);
  }
}

function firstAfter(sorted: number[], t: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < t) low = middle + 1;
    else high = middle;
  }
  return low;
}
