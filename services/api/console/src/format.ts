import { text } from "./text";

const MINUS = "\u2212";

const UNITS: Record<string, string> = {
  Cel: "°C",
  "[degF]": "°F",
  K: "K",
  "m/s2": "m/s²",
  "m/s^2": "m/s²",
  "%": "%",
  "[g]": "g",
  "m3/h": "m³/h",
  um: "µm",
  Ohm: "Ω",
};

/** A UCUM unit as people write it. */
export const unit = (ucum: string): string => (Object.hasOwn(UNITS, ucum) ? UNITS[ucum]! : ucum);

const sign = (digits: string): string => digits.replace("-", MINUS);

/** A number of about `digits` significant digits. */
export function plain(value: number | null | undefined, digits = 5): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return text.nothing;
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e6 || size < 1e-4)) return sign(value.toExponential(digits - 1));
  const decimals = size === 0 ? 0 : Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
  return sign(value.toFixed(Math.min(decimals, 9)));
}

export interface Pair {
  value: string;
  expanded: string | null;
}

/** Value and expanded uncertainty (k = 2), both to the second significant digit of the uncertainty (GUM 7.2.6). */
export function withU(value: number | null | undefined, u: number | null | undefined): Pair {
  if (value === null || value === undefined || !Number.isFinite(value)) return { value: text.nothing, expanded: null };
  if (u === null || u === undefined || !Number.isFinite(u) || u <= 0) return { value: plain(value), expanded: null };
  const expanded = 2 * u;
  const decimals = 1 - Math.floor(Math.log10(expanded));
  if (decimals > 9 || Math.abs(value) >= 1e9) return { value: plain(value, 6), expanded: plain(expanded, 2) };
  if (decimals < 0) {
    const step = 10 ** -decimals;
    return { value: sign(String(Math.round(value / step) * step)), expanded: String(Math.round(expanded / step) * step) };
  }
  return { value: sign(value.toFixed(decimals)), expanded: expanded.toFixed(decimals) };
}

/** An age, short. */
export function age(seconds: number | null): string {
  if (seconds === null || !Number.isFinite(seconds)) return text.nothing;
  const s = Math.max(0, seconds);
  if (s < 9.95) return `${s.toFixed(1)} s`;
  if (s < 120) return `${Math.round(s)} s`;
  if (s < 7200) return `${Math.floor(s / 60)} min`;
  if (s < 172_800) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86_400)} d`;
}

const pad = (n: number, width = 2): string => String(Math.trunc(n)).padStart(width, "0");

function zone(moment: Date): string {
  const minutes = -moment.getTimezoneOffset();
  if (minutes === 0) return "Z";
  const size = Math.abs(minutes);
  return `${minutes < 0 ? "-" : "+"}${pad(size / 60)}:${pad(size % 60)}`;
}

/** ISO 8601 date and time in the display's time zone, with that zone. */
export function instant(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return text.nothing;
  const d = new Date(ms);
  const date = `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())}`;
  return `${date} ${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}${zone(d)}`;
}

/** The display's time zone now. */
export const zoneNow = (): string => zone(new Date());

/** An instant on an axis that is `seconds` long: as much of it as tells ticks apart. */
export function moment(ms: number, seconds: number): string {
  const whole = instant(ms);
  if (seconds > 300 * 86_400) return whole.slice(0, 7);
  if (seconds > 4 * 86_400) return whole.slice(0, 10);
  if (seconds > 86_400) return whole.slice(5, 16);
  if (seconds > 4 * 3600) return whole.slice(11, 16);
  if (seconds > 4) return whole.slice(11, 19);
  const decimals = seconds > 0.02 ? 3 : 5;
  return `${whole.slice(11, 17)}${((((ms % 60_000) + 60_000) % 60_000) / 1000).toFixed(decimals).padStart(decimals + 3, "0")}`;
}

/** A duration in the unit that suits it. */
export function span(seconds: number): string {
  if (seconds >= 1) return `${plain(seconds, 3)} s`;
  if (seconds >= 1e-3) return `${plain(seconds * 1e3, 3)} ms`;
  return `${plain(seconds * 1e6, 3)} µs`;
}

/** A frequency in the unit that suits it. */
export function frequency(hz: number): string {
  return hz >= 1000 ? `${plain(hz / 1000, 3)} kHz` : `${plain(hz, 3)} Hz`;
}

/** Milliseconds of nanoseconds since 1970. */
export const ms = (ns: number): number => ns / 1e6;

/** Date alone, ISO 8601. */
export function day(ms: number): string {
  return instant(ms).slice(0, 10);
}

/** A relative change in per cent with its sign, with as many digits as its uncertainty allows. */
export function percent(change: number | null | undefined, u?: number | null): string {
  if (change === null || change === undefined || !Number.isFinite(change)) return text.nothing;
  const pair = withU(100 * change, u ? 100 * u : null);
  const value = u ? pair.value : plain(100 * change, 3);
  return `${value.startsWith(MINUS) || Number(value) === 0 ? "" : "+"}${value}${u && pair.expanded ? ` ± ${pair.expanded}` : ""} %`;
}

/** A count with thin spaces between thousands. */
export const count = (n: number): string => sign(String(n).replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f"));

/** Bytes in the unit that suits them. */
export function bytes(n: number): string {
  return n >= 1e9 ? `${plain(n / 1e9, 3)} GB` : `${plain(n / 1e6, 3)} MB`;
}
