// Shared by all tabs: a browser allows six connections to one origin, and an event stream holds one for good.
import { elapsed } from "../clock";
import type { FromStream, ToStream } from "./protocol";
import { LiveStream } from "./stream";

const FORGET_MS = 150_000; // a tab in the background may speak once a minute only

interface Tab {
  trend: string[];
  heard: number;
}

const tabs = new Map<MessagePort, Tab>();

const stream = new LiveStream((message: FromStream) => {
  for (const port of tabs.keys()) port.postMessage(message);
});

function renew(): void {
  stream.want([...tabs.values()].flatMap((tab) => tab.trend));
}

function hear(port: MessagePort, message: ToStream): void {
  if (message.kind === "bye") {
    tabs.delete(port);
    renew();
    return;
  }
  const known = tabs.get(port);
  const tab = known ?? { trend: [], heard: 0 };
  tab.heard = elapsed();
  tabs.set(port, tab);
  if (message.kind === "want") {
    tab.trend = message.trend;
    renew();
    if (stream.connected) port.postMessage({ kind: "status", connected: true, silent: stream.silent });
  } else if (!known) {
    // It slept until it was forgotten, and missed what came meanwhile.
    port.postMessage({ kind: "event", name: "reset", data: {} });
  }
}

setInterval(() => {
  for (const [port, tab] of tabs) if (elapsed() - tab.heard > FORGET_MS) tabs.delete(port);
}, 30_000);

interface SharedScope {
  onconnect: ((event: MessageEvent) => void) | null;
}

(self as unknown as SharedScope).onconnect = (event) => {
  const port = event.ports[0];
  if (!port) return;
  port.onmessage = (message: MessageEvent<ToStream>) => hear(port, message.data);
  port.start();
};
