import { useState } from "preact/hooks";
import { abort, type Order, pause, resume, type Rollout } from "../ask/rollouts";
import { ReasonDialog } from "../parts/reason";
import { Mark } from "../parts/tile";
import { text } from "../text";
import { useMay } from "../who";

const words = text.rollouts.commands;
type Verb = keyof typeof words.titles;

export interface Said {
  words: string;
  wrong: boolean;
}

/** What became of an order, in words. */
export function answerOf(order: Order): Said {
  if (order.state === "refused") return { words: words.refused(order.answer), wrong: true };
  return { words: order.state === "done" ? words.done : words.waits, wrong: false };
}

const send = (verb: Verb, id: string, reason: string): Promise<Order> => {
  if (verb === "pause") return pause(id, reason);
  if (verb === "abort") return abort(id, reason);
  return resume(id, reason, verb === "accept");
};

const VERBS: Record<string, Verb[]> = { running: ["pause", "abort"], paused: ["resume", "accept", "abort"] };

/** What can be done to a rollout now, by those who may. */
export function Commands({ rollout, after }: { rollout: Rollout; after: () => void }) {
  const [asking, ask] = useState<Verb | null>(null);
  const [said, say] = useState<Said | null>(null);
  const [busy, setBusy] = useState(false);
  const may = useMay("engineer");
  const verbs = VERBS[rollout.state] ?? [];
  const give = async (verb: Verb, reason: string) => {
    setBusy(true);
    say(null);
    try {
      say(answerOf(await send(verb, rollout.id, reason)));
      after();
    } catch (error) {
      say({ words: words.notDone((error as Error).message), wrong: true });
    }
    setBusy(false);
  };
  return (
    <>
      {may
        ? verbs.map((verb) => (
            <button key={verb} class="plain" disabled={busy} onClick={() => ask(verb)}>
              {words[verb]}
            </button>
          ))
        : verbs.length > 0 && <span class="needs muted">{text.access.needs("engineer")}</span>}
      <Answer said={said} />
      {asking && (
        <ReasonDialog
          title={words.titles[asking]}
          note={words.notes[asking]}
          why={words.why}
          go={words.titles[asking]}
          close={() => ask(null)}
          accept={(reason) => {
            ask(null);
            void give(asking, reason);
          }}
        />
      )}
    </>
  );
}

export function Answer({ said }: { said: Said | null }) {
  return (
    <span role="status" class={said?.wrong ? "wrong" : "muted"}>
      {said?.wrong && <Mark />} {said?.words}
    </span>
  );
}
