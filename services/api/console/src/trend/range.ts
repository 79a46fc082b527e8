/** An interval of time, in seconds since 1970. */
export interface Interval {
  from: number;
  to: number;
}

const LONGEST_S = 20 * 31_557_600;

/** An interval so many times as long, about an instant that stays where it is (its middle, unless said). */
export function zoomed({ from, to }: Interval, factor: number, about: number | undefined, dtS: number): Interval {
  const length = to - from;
  const wanted = Math.min(Math.max(length * factor, Math.max(4 * dtS, 1e-3)), LONGEST_S);
  const middle = about ?? (from + to) / 2;
  const share = length > 0 ? (middle - from) / length : 0.5;
  const begin = Math.max(0, middle - share * wanted);
  return { from: begin, to: begin + wanted };
}

/** An interval moved by a share of its length. */
export function moved({ from, to }: Interval, share: number): Interval {
  const by = Math.max(-from, share * (to - from));
  return { from: from + by, to: to + by };
}
