import { elapsed } from "../clock";
import { EVENTS, type FromStream, NOTICES } from "./protocol";

const SILENCE_MS = 12_000;
const RETRY_MS = 1_000;
const NOBODY_MS = 5_000;

/**
 * One EventSource that never gives up and goes on where it was: by `last_event_id`, since a new EventSource cannot set
 * the header. The server says `reset` where it cannot go on without a hole.
 */
export class LiveStream {
  private source: EventSource | null = null;
  private lastId = "";
  private trend: string[] = [];
  private retry: ReturnType<typeof setTimeout> | undefined;
  connected = false;
  private lastHeard = elapsed();

  constructor(private readonly emit: (message: FromStream) => void) {
    setInterval(() => this.watch(), 1000);
  }

  /** Since when nothing was heard [ms]. */
  get silent(): number {
    return elapsed() - this.lastHeard;
  }

  want(trend: string[]): void {
    const wanted = [...new Set(trend)].sort();
    if (this.source && wanted.join() === this.trend.join()) return;
    this.trend = wanted;
    this.open();
  }

  private open(): void {
    clearTimeout(this.retry);
    this.source?.close();
    const query = new URLSearchParams({ events: EVENTS.join(","), trend: this.trend.join(",") });
    if (this.lastId) query.set("last_event_id", this.lastId);
    const source = new EventSource(`/v1/stream?${query}`);
    this.source = source;
    for (const name of [...EVENTS, ...NOTICES]) {
      source.addEventListener(name, (event) => this.take(name, event as MessageEvent<string>));
    }
    source.onerror = () => {
      if (source !== this.source) return;
      source.close();
      this.status(false);
      this.retry = setTimeout(() => void this.again(), RETRY_MS);
    };
  }

  /** Open again, unless nobody is signed in any more: the service would refuse it every second. */
  private async again(): Promise<void> {
    const before = this.source;
    const session = await fetch("/v1/session")
      .then((answer) => answer.json() as Promise<{ mode: string; signed_in: boolean }>)
      .catch(() => null);
    if (before !== this.source) return; // somebody has opened it meanwhile
    if (session?.mode === "closed" && !session.signed_in) {
      this.emit({ kind: "nobody" });
      this.retry = setTimeout(() => void this.again(), NOBODY_MS);
    } else this.open();
  }

  private take(name: string, event: MessageEvent<string>): void {
    this.lastHeard = elapsed();
    if (event.lastEventId) this.lastId = event.lastEventId;
    if (!this.connected) this.status(true);
    this.emit({ kind: "event", name, data: JSON.parse(event.data) });
  }

  private watch(): void {
    if (this.connected && this.silent > SILENCE_MS) {
      this.status(false);
      this.open();
    }
  }

  private status(connected: boolean): void {
    this.connected = connected;
    this.emit({ kind: "status", connected, silent: this.silent });
  }
}
