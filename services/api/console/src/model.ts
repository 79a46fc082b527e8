import { type Alarm, eachSensorPage, getAlarms, getSensor, type Sensor } from "./api";
import { connect } from "./live/client";
import type { FromStream, ToStream, TrendFrame, ValueFrame } from "./live/protocol";

type Listener = () => void;

/** How long the first load waits for the stream. */
const STREAM_WAIT_MS = 2_000;

/** What the pages show. Values change in place; `changed` is called at most five times a second. */
class Model {
  readonly sensors = new Map<string, Sensor>();
  readonly alarms = new Map<string, Alarm>();
  connected = false;
  everConnected = false;
  lastHeard = Date.now();
  loaded = false;
  lagging = 0;
  /** Grows with every change of the list of sensors or of a state, but not of values. */
  structure = 0;

  private readonly listeners = new Set<Listener>();
  private readonly trendListeners = new Map<string, Set<(frame: TrendFrame | null) => void>>();
  private send: (message: ToStream) => void = () => {};
  private offsets: number[] = [];
  private due: ReturnType<typeof setTimeout> | undefined;
  private reloading: ReturnType<typeof setTimeout> | undefined;
  private loads: Promise<void> = Promise.resolve();
  /** Whether a load waits that has not begun. */
  private waiting = false;
  /** Alarms that the stream brought while an answer was on its way. */
  private readonly heard = new Map<string, Alarm>();

  start(): void {
    this.send = connect((message) => this.receive(message));
    this.want();
    // What happens between an answer and the stream's beginning is in neither: load when the stream is up. Where it
    // does not come, show what can be had, and load once more when it does.
    setTimeout(() => {
      if (!this.everConnected) this.reload();
    }, STREAM_WAIT_MS);
    // Ages grow and values become stale even when nothing arrives.
    setInterval(() => this.changed(), 500);
  }

  /** The server's time [ms]; the display's own clock may be wrong. */
  now(): number {
    return Date.now() + (this.offsets.length ? Math.max(...this.offsets) : 0);
  }

  subscribe(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
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

  private want(): void {
    this.send({ kind: "want", trend: [...this.trendListeners.keys()] });
  }

  /** Load once what is under way has ended: of two loads at once the older answer could come last. */
  private reload(): void {
    if (this.waiting) return;
    this.waiting = true;
    this.loads = this.loads.then(() => this.load()).catch(() => this.reloadSoon(3000));
  }

  private async load(): Promise<void> {
    this.waiting = false;
    const seen = new Set<string>();
    await eachSensorPage((page) => {
      this.tick(page.now_ns);
      for (const sensor of page.items) {
        this.put(sensor);
        seen.add(sensor.id);
      }
      this.changed();
    });
    for (const id of this.sensors.keys()) if (!seen.has(id)) this.sensors.delete(id);
    this.heard.clear();
    const alarms = await getAlarms();
    this.alarms.clear();
    for (const alarm of [...alarms.items, ...this.heard.values()]) {
      if (alarm.changed_ns >= (this.alarms.get(alarm.id)?.changed_ns ?? 0)) this.alarms.set(alarm.id, alarm);
    }
    this.loaded = true;
    this.structure++;
    this.changed();
  }

  private reloadSoon(delay = 800): void {
    clearTimeout(this.reloading);
    this.reloading = setTimeout(() => this.reload(), delay);
  }

  private put(sensor: Sensor): void {
    // The stream may be ahead of the answer to a request.
    const known = this.sensors.get(sensor.id)?.latest;
    if (known?.t_ns && (sensor.latest?.t_ns ?? 0) < known.t_ns) sensor.latest = known;
    this.sensors.set(sensor.id, sensor);
    this.structure++;
  }

  private receive(message: FromStream): void {
    if (message.kind === "status") {
      this.connected = message.connected;
      if (message.connected && !this.everConnected) this.reload();
      this.everConnected ||= message.connected;
      this.lastHeard = message.lastHeard;
      this.changed(true);
      return;
    }
    this.lastHeard = Date.now();
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
        this.lagging = Date.now();
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
    if (revived || sensor.state === "failure") this.reloadOne(sensor.id);
  }

  private readonly asked = new Map<string, number>();

  private reloadOne(id: string): void {
    if (Date.now() - (this.asked.get(id) ?? 0) < 5000) return;
    this.asked.set(id, Date.now());
    setTimeout(() => this.refresh(id).catch(() => {}), 300);
  }

  private alarm(change: Alarm): void {
    const alarm = { ...change, active: change.state === "unacknowledged" || change.state === "acknowledged" };
    this.alarms.set(alarm.id, alarm);
    this.heard.set(alarm.id, alarm);
    this.structure++;
    this.asked.delete(alarm.sensor);
    this.reloadOne(alarm.sensor);
  }

  private tick(nowNs: number): void {
    // Delays make the difference too small, never too large: the largest of the last ones is nearest to the truth.
    this.offsets.push(nowNs / 1e6 - Date.now());
    if (this.offsets.length > 20) this.offsets.shift();
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
