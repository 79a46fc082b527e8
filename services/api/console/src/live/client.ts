import type { FromStream, ToStream } from "./protocol";
import { LiveStream } from "./stream";

type Send = (message: ToStream) => void;

/** Connect to the one stream of this browser, or to one of our own where workers cannot be shared. */
export function connect(receive: (message: FromStream) => void): Send {
  if (typeof SharedWorker === "undefined") {
    const stream = new LiveStream(receive);
    return (message) => {
      if (message.kind === "want") stream.want(message.trend);
    };
  }
  const worker = new SharedWorker(new URL("./worker.ts", import.meta.url), { type: "module", name: "dyncal-live" });
  const send: Send = (message) => worker.port.postMessage(message);
  worker.port.onmessage = (event: MessageEvent<FromStream>) => receive(event.data);
  setInterval(() => send({ kind: "ping" }), 10_000);
  addEventListener("pagehide", () => send({ kind: "bye" }));
  return send;
}
