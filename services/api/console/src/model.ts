import { getDriftTrends, getFleet, getSensor, type Sensor } from "./api";
import { type Alarm, getAlarms } from "./ask/alarms";
import { elapsed } from "./clock";
import { connect } from "./live/client";
import type { Flood, FromStream, ToStream, TrendFrame, ValueFrame } from "./live/protocol";
import { who } from "./who";

type Listener = () => void;

/** How long alarms wait for the stream. */
const STREAM_WAIT_MS = 2_000;
/** Least time between two loads of everything, and of the drift trends. */
const LOAD_EVERY_MS = 2_000;
const TRENDS_EVERY_MS = 10_000;
/** A difference to the server's time that so many milliseconds explain is one of delays. */
const CLOCK_SET_MS = 5_000;
/** Of so many sensors that changed at once each is asked for by itself; of more, all in one. */
const SINGLY = 8;

export interface Drift {
  parameter: string;
  change: number;
  u: number;
  since_ns: number;
  to_ns: number;
  points: number[];
}

/** What the pages show. Values change in place; `changed` is called at most five times a second. */
class Model {
  readonly sensors = new Map<string, Sensor>();
  readonly alarms = new Map<string, Alarm>();
  readonly drifts = new Map<string, Drift>();
  flood: Flood | null = null;
  connected = false;
  everConnected = false;
  lastHeard = elapsed();
  loaded = false;
  alarmsLoaded = false;
  lagging = -Infinity;
  /** Grows with every change of the list of sensors or of a state, but not of values. */
  structure = 0;
  /** Grows with every change of alarms. */
  alarming = 0;
  /** Grows when calibrations or coefficient sets may be others. */
  registry = 0;

  private readonly listeners = new Set<Listener>();
  private readonly alarmListeners = new Set<(alarm: Alarm) => void>();
  private readonly trendListeners = new Map<string, Set<(frame: TrendFrame | null) => void>>();
  private send: (message: ToStream) => void = () => {};
  private offsets: number[] = [];
  private due: ReturnType<typeof setTimeout> | undefined;
  private reloading: ReturnType<typeof setTimeout> | undefined;
  private loads: Promise<void> = Promise.resolve();
  /** Whether a load waits that has not begun. */
  private waiting = false;
  private loadedAt = -Infinity;
  private trendsAt = -Infinity;
  /** Alarms that the stream brought while an answer was on its way. */
  private readonly heard = new Map<string, Alarm>();
  /** Sensors whose standing has to be asked for. */
  private readonly dirty = new Set<string>();
  private asking: ReturnType<typeof setTimeout> | undefined;

  start(): void {
    this.send = connect((message) => this.receive(message));
    this.want();
    // Rows at once. What happens between an answer and the stream's beginning is in neither: alarms are asked for when
    // the stream is up, and the rest again soon. Where it does not come, show what can be had.
    this.queue(() => this.loadFleet());
    setTimeout(() => {
      if (!this.everConnected) this.reload();
    }, STREAM_WAIT_MS);
    // Ages grow and values become stale even when nothing arrives.
    setInterval(() => this.changed(), 500);
  }

  /** The server's time [ms]; the display's own clock may be wrong. */
  now(): number {
    return elapsed() + (this.offsets.length ? Math.max(...this.offsets) : 0);
  }

  subscribe(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Hear every change of an alarm as it comes, once. */
  onAlarm(listener: (alarm: Alarm) => void): () => void {
    this.alarmListeners.add(listener);
    return () => this.alarmListeners.delete(listener);
  }

  /** Get the live frames of a sensor, and null when its history must be read again. */
  watchTrend(sensor: string, listener: (frame: TrendFrame | null) => void): () => void {
    const known = this.trendListeners.get(sensor) ?? new Set();
    known.add(listener);
    this.trendListeners.set(sensor, known);
    this.want();
    return () => {
      known.delete(listener);
      if (!known.size) this.trendListeners.delete(sensor);
      this.want();
    };
  }

  async refresh(id: string): Promise<void> {
    this.put(await getSensor(id));
    this.changed();
  }

  /** Take alarms that an answer brought, such as that to a command. */
  takeAlarms(alarms: Iterable<Alarm>): void {
    for (const alarm of alarms) this.putAlarm(alarm);
    this.changed();
  }

  private want(): void {
    this.send({ kind: "want", trend: [...this.trendListeners.keys()] });
  }

  /** Load once what is under way has ended: of two loads at once the older answer could come last. */
  private reload(): void {
    if (this.waiting) return;
    this.waiting = true;
    this.queue(() => this.load());
  }

  private queue(load: () => Promise<void>): void {
    this.loads = this.loads.then(load).catch(() => this.reloadSoon(3000));
  }

  private async load(): Promise<void> {
    this.waiting = false;
    await this.loadFleet();
    await this.loadAlarms();
    await this.loadDrifts();
  }

  private async loadFleet(): Promise<void> {
    this.loadedAt = elapsed();
    const fleet = await getFleet();
    this.tick(fleet.now_ns);
    const gone = new Set(this.sensors.keys());
    for (const sensor of fleet.sensors) {
      gone.delete(sensor.id);
      this.put(sensor);
    }
    for (const id of gone) this.sensors.delete(id);
    const first = !this.loaded;
    this.loaded = true;
    this.registry++;
    this.structure++;
    this.changed(first);
    if (fleet.n_unread) this.reloadSoon(0);
  }

  private async loadAlarms(): Promise<void> {
    this.heard.clear();
    const { items, number } = await getAlarms();
    // What the stream brought may be newer than the answer: it says how far it knows, or else what came meanwhile is.
    const newer = number === null ? [...this.heard.values()] : [...this.alarms.values()].filter((alarm) => (alarm.number ?? 0) > number);
    this.alarms.clear();
    for (const alarm of [...items, ...newer]) this.putAlarm(alarm);
    this.alarmsLoaded = true;
    this.alarming++;
    this.changed();
  }

  private async loadDrifts(): Promise<void> {
    if (elapsed() - this.trendsAt < TRENDS_EVERY_MS) return;
    const d = await getDriftTrends();
    this.trendsAt = elapsed();
    this.drifts.clear();
    d.sensor.forEach((sensor, k) =>
      this.drifts.set(sensor, {
        parameter: d.parameter[k]!,
        change: d.change[k]!,
        u: d.u[k]!,
        since_ns: d.since_ns[k]!,
        to_ns: d.to_ns[k]!,
        points: d.points[k]!,
      }),
    );
    this.structure++;
    this.changed();
  }

  /** Load everything before long; what asks for it meanwhile is served by the same load. */
  private reloadSoon(delay = 800): void {
    const wait = Math.max(delay, this.loadedAt + LOAD_EVERY_MS - elapsed());
    this.reloading ??= setTimeout(() => {
      this.reloading = undefined;
      this.reload();
    }, wait);
  }

  private put(sensor: Sensor): void {
    // The stream may be ahead of the answer to a request, and the list of all says less than the answer for one.
    const known = this.sensors.get(sensor.id);
    if (known?.latest?.t_ns && (sensor.latest?.t_ns ?? 0) < known.latest.t_ns) sensor.latest = known.latest;
    if (sensor.health === undefined && known?.health) sensor.health = known.health;
    this.sensors.set(sensor.id, sensor);
    this.structure++;
  }

  private receive(message: FromStream): void {
    if (message.kind === "nobody") {
      void who.look();
      return;
    }
    if (message.kind === "status") {
      this.connected = message.connected;
      if (message.connected && !this.everConnected) {
        this.queue(() => this.loadAlarms());
        this.queue(() => this.loadDrifts());
        this.reloadSoon(0);
      }
      this.everConnected ||= message.connected;
      this.lastHeard = elapsed() - message.silent;
      this.changed(true);
      return;
    }
    this.lastHeard = elapsed();
    const data = message.data as Record<string, unknown>;
    if (typeof data["now_ns"] === "number") this.tick(data["now_ns"]);
    switch (message.name) {
      case "values":
        for (const value of data["series"] as ValueFrame[]) this.value(value);
        break;
      case "samples":
        for (const frame of data["series"] as TrendFrame[]) this.tell(frame.sensor, frame);
        break;
      case "alarm":
        this.alarm(message.data as Alarm);
        break;
      case "flood":
        this.flood = message.data as Flood;
        break;
      case "health":
        if (typeof data["sensor"] === "string") this.ask(data["sensor"]);
        break;
      case "edge":
      case "registry":
        this.reloadSoon();
        break;
      case "backfill":
        for (const sensor of data["sensors"] as string[]) this.tell(sensor, null);
        break;
      case "reset":
        this.want(); // a worker that had forgotten this page does not know
        this.reload();
        for (const sensor of this.trendListeners.keys()) this.tell(sensor, null);
        break;
      case "lagged":
        this.lagging = elapsed();
        break;
    }
    this.changed();
  }

  private tell(sensor: string, frame: TrendFrame | null): void {
    for (const listener of this.trendListeners.get(sensor) ?? []) listener(frame);
  }

  private value(value: ValueFrame): void {
    const sensor = this.sensors.get(value.sensor);
    if (!sensor) return;
    const revived = !sensor.latest;
    sensor.latest = { ...value, set_id: value.set || null };
    if (revived || sensor.state === "failure") this.ask(sensor.id);
  }

  private readonly asked = new Map<string, number>();

  /** Have the standing of a sensor asked for, not more often than every five seconds. */
  private ask(id: string, again = false): void {
    if (!again && elapsed() - (this.asked.get(id) ?? 0) < 5000) return;
    this.asked.set(id, elapsed());
    this.dirty.add(id);
    this.asking ??= setTimeout(() => {
      this.asking = undefined;
      const ids = [...this.dirty].filter((each) => this.sensors.has(each));
      this.dirty.clear();
      if (ids.length > SINGLY) this.reloadSoon(0);
      else for (const each of ids) this.refresh(each).catch(() => {});
    }, 300);
  }

  private alarm(change: Alarm): void {
    // Servers of before the life cycle do not say whether the condition holds.
    const active = change.active ?? (change.state === "unacknowledged" || change.state === "acknowledged");
    const alarm = { ...change, active };
    this.putAlarm(alarm);
    this.heard.set(alarm.id, alarm);
    for (const listener of this.alarmListeners) listener(alarm);
    if (alarm.sensor) this.ask(alarm.sensor, true);
  }

  /** Keep the newer one of two pictures of an alarm, whichever way they came. */
  private putAlarm(alarm: Alarm): void {
    const known = this.alarms.get(alarm.id);
    if (known && (alarm.number ?? alarm.changed_ns) < (known.number ?? known.changed_ns)) return;
    this.alarms.set(alarm.id, alarm);
    this.alarming++;
    this.structure++;
  }

  private tick(nowNs: number): void {
    // Delays make the difference too small, never too large: the largest of the last ones is nearest to the truth.
    this.offsets.push(nowNs / 1e6 - elapsed());
    if (this.offsets.length > 20) this.offsets.shift();
    // A clock was set, or the machine has slept: no delay is as long.
    const [most, newest] = [Math.max(...this.offsets), this.offsets.slice(-3)];
    if (newest.every((offset) => offset < most - CLOCK_SET_MS)) this.offsets = newest;
  }

  private changed(atOnce = false): void {
    if (atOnce) {
      clearTimeout(this.due);
      this.due = undefined;
      for (const listener of this.listeners) listener();
      return;
    }
    this.due ??= setTimeout(() => {
      this.due = undefined;
      for (const listener of this.listeners) listener();
    }, 200);
  }
}

export const model = new Model();
