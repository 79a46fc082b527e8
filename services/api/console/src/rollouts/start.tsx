import { useState } from "preact/hooks";
import { begin, type Candidate, getCandidates, type Wish } from "../ask/rollouts";
import { go, useAnswer } from "../hooks";
import { Dialog } from "../parts/dialog";
import { text } from "../text";
import { Answer, answerOf, type Said } from "./commanding";

const words = text.rollouts.start;

/** Shares of 0 to 1 of "2, 10, 100"; null where they make no sense. */
function sharesOf(given: string): number[] | null {
  const shares = given.split(/[\s,;%]+/).filter(Boolean).map(Number);
  const grow = shares.every((share, k) => share > (k ? shares[k - 1]! : 0));
  return shares.length && grow && shares[shares.length - 1] === 100 ? shares.map((share) => share / 100) : null;
}

const fits = (each: Candidate, asked: string[]): boolean => {
  const all = `${each.sensor} ${each.edge ?? ""} ${each.reference} ${each.model}`.toLowerCase();
  return asked.every((word) => all.includes(word));
};

/** Choose sensors and a plan, and begin. */
export function Start({ close }: { close: () => void }) {
  const { answer, error } = useAnswer(getCandidates, []);
  const [filter, setFilter] = useState("");
  const [title, setTitle] = useState("");
  const [reason, setReason] = useState("");
  const [shares, setShares] = useState("2, 5, 25, 100");
  const [soak, setSoak] = useState(300);
  const [abortAbove, setAbortAbove] = useState(2);
  const [success, setSuccess] = useState(95);
  const [arrangement, setArrangement] = useState("spread");
  const [needsResidual, setNeedsResidual] = useState(true);
  const [said, say] = useState<Said | null>(null);
  const [busy, setBusy] = useState(false);
  const asked = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const every = answer?.items ?? [];
  const chosen = every.filter((each) => fits(each, asked));
  const stages = sharesOf(shares);
  const ready = chosen.length > 0 && stages !== null && reason.trim() !== "" && !busy;
  const give = async () => {
    setBusy(true);
    const wish: Wish = {
      title: title.trim(),
      reason: reason.trim(),
      sensors: chosen.map((each) => each.sensor),
      plan: {
        stages: stages!.map((share) => ({ share, soak_s: soak })),
        success_share: success / 100,
        abort_share: abortAbove / 100,
        arrangement,
        needs_residual: needsResidual,
      },
    };
    try {
      const order = await begin(wish);
      say(answerOf(order));
      if (order.state === "done") {
        close();
        go(`/rollouts/${encodeURIComponent(order.subject)}`);
      }
    } catch (error) {
      say({ words: text.rollouts.commands.notDone((error as Error).message), wrong: true });
    }
    setBusy(false);
  };
  const numeric = (label: string, value: number, set: (n: number) => void, min: number, max: number) => (
    <label class="field">
      {label}
      <input type="number" value={value} min={min} max={max} step="any" onInput={(event) => set(event.currentTarget.valueAsNumber || 0)} />
    </label>
  );
  if (!answer || !every.length) {
    return (
      <Dialog title={words.title} close={close}>
        <p>{error ? text.failed(error.message) : answer ? words.nobody : text.loading}</p>
      </Dialog>
    );
  }
  return (
    <Dialog title={words.title} close={close}>
      <div class="rollout-start">
        <label class="field wide">
          {words.name}
          <input type="text" maxLength={200} value={title} onInput={(event) => setTitle(event.currentTarget.value)} />
        </label>
        <label class="field wide">
          {words.which}
          <input type="search" placeholder={words.filter} value={filter} onInput={(event) => setFilter(event.currentTarget.value)} />
        </label>
        <p class="wide muted" role="status">
          {words.count(chosen.length, every.length)}
          {stages && chosen.length > 0 && ` · ${words.first(Math.max(1, Math.floor(stages[0]! * chosen.length + 1e-9)))}`}
        </p>
        <label class="field wide">
          {words.shares}
          <input type="text" value={shares} aria-invalid={stages === null} onInput={(event) => setShares(event.currentTarget.value)} />
          {stages === null && <span class="wrong">{words.sharesWrong}</span>}
        </label>
        {numeric(words.soak, soak, setSoak, 0, 86_400)}
        {numeric(words.abort, abortAbove, setAbortAbove, 0, 100)}
        {numeric(words.success, success, setSuccess, 1, 100)}
        <label class="field">
          {words.arrangement}
          <select value={arrangement} onChange={(event) => setArrangement(event.currentTarget.value)}>
            {Object.entries(words.arrangements).map(([key, each]) => (
              <option key={key} value={key}>
                {each}
              </option>
            ))}
          </select>
        </label>
        <label class="check wide">
          <input type="checkbox" checked={needsResidual} onChange={(event) => setNeedsResidual(event.currentTarget.checked)} />
          {words.residual}
        </label>
        <label class="field wide">
          {text.rollouts.commands.why}
          <textarea rows={2} maxLength={500} value={reason} onInput={(event) => setReason(event.currentTarget.value)} />
        </label>
      </div>
      <div class="actions">
        <Answer said={said} />
        <button class="plain" onClick={close}>
          {text.cancel}
        </button>
        <button class="plain main" disabled={!ready} onClick={() => void give()}>
          {words.begin}
        </button>
      </div>
    </Dialog>
  );
}
