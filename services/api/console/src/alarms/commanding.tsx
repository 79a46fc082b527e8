import { useState } from "preact/hooks";
import { type Alarm, command, type CommandResult, type Verb } from "../ask/alarms";
import { model } from "../model";
import { Dialog } from "../parts/dialog";
import { text } from "../text";
import { who } from "../who";
import { applies } from "./choose";

const words = text.alarms;

/** Commands that need nothing but the word. */
const AT_ONCE = new Set<Verb>(["acknowledge", "reset", "unshelve", "unsuppress"]);

export interface Said {
  words: string;
  wrong: boolean;
}

export interface Commander {
  /** Do something to alarms: at once, or after a dialog has asked for what it needs. */
  act: (verb: Verb, alarms: Alarm[]) => void;
  said: Said | null;
  busy: boolean;
  dialog: preact.ComponentChildren;
}

/** What became of a command, in words: of refusals how many for each reason. */
function summary(result: CommandResult): Said {
  const refusals = new Map<string, number>();
  for (const { done, refusal } of result.outcomes) if (!done) refusals.set(refusal, (refusals.get(refusal) ?? 0) + 1);
  const why = [...refusals].map(([refusal, n]) => `${words.refusals[refusal] ?? refusal}${refusals.size > 1 ? ` (${n})` : ""}`);
  return { words: words.result(result.n_done, result.n_refused) + (why.length ? `: ${why.join(", ")}` : ""), wrong: result.n_refused > 0 };
}

export function useCommands(after: () => void): Commander {
  const [asking, ask] = useState<{ verb: Verb; alarms: Alarm[] } | null>(null);
  const [said, say] = useState<Said | null>(null);
  const [busy, setBusy] = useState(false);

  const send = async (verb: Verb, alarms: Alarm[], more: { reason?: string; duration_s?: number } = {}) => {
    setBusy(true);
    say(null);
    // What was raised since these were drawn is left alone: nobody can have seen it.
    const seen = Math.max(...alarms.map((alarm) => alarm.number ?? 0));
    try {
      const result = await command({ command: verb, alarms: alarms.map((alarm) => alarm.id), ...more, ...(seen ? { upto: seen } : {}) });
      model.takeAlarms(result.outcomes.flatMap((outcome) => outcome.alarm ?? []));
      say(summary(result));
      after();
    } catch (error) {
      say({ words: text.alarms.notDone((error as Error).message), wrong: true });
    }
    setBusy(false);
  };
  const act = (verb: Verb, alarms: Alarm[]) => {
    const meant = alarms.filter((alarm) => applies(verb, alarm));
    if (!meant.length || busy) return;
    if (!who.may("operator")) {
      say({ words: text.access.needs("operator"), wrong: true });
      return;
    }
    if (AT_ONCE.has(verb)) void send(verb, meant);
    else ask({ verb, alarms: meant });
  };
  const dialog = asking && (
    <Question
      verb={asking.verb}
      alarms={asking.alarms}
      close={() => ask(null)}
      accept={(more) => {
        ask(null);
        void send(asking.verb, asking.alarms, more);
      }}
    />
  );
  return { act, said, busy, dialog };
}

interface QuestionProps {
  verb: Verb;
  alarms: Alarm[];
  close: () => void;
  accept: (more: { reason: string; duration_s?: number }) => void;
}

/** Ask for a reason, and where it is about shelving, for how long. */
function Question({ verb, alarms, close, accept }: QuestionProps) {
  const [reason, setReason] = useState("");
  const [duration, setDuration] = useState<number>(words.durations[1].seconds);
  const shelves = verb === "shelve";
  const done = () => reason.trim() && accept({ reason: reason.trim(), ...(shelves ? { duration_s: duration } : {}) });
  return (
    <Dialog title={`${words.titles[verb] ?? verb}: ${alarms.length === 1 ? alarms[0]!.id : words.about(alarms.length)}`} close={close}>
      {shelves && (
        <fieldset class="field choices">
          <legend>{words.duration}</legend>
          {words.durations.map(({ label, seconds }) => (
            <label key={seconds}>
              <input type="radio" name="duration" checked={duration === seconds} onChange={() => setDuration(seconds)} /> {label}
            </label>
          ))}
        </fieldset>
      )}
      <label class="field">
        {verb === "comment" ? words.comment : words.why}
        <textarea
          rows={3}
          maxLength={500}
          value={reason}
          onInput={(event) => setReason(event.currentTarget.value)}
          onKeyDown={(event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && done()}
        />
      </label>
      <div class="actions">
        <button class="plain" onClick={close}>
          {text.cancel}
        </button>
        <button class="plain main" disabled={!reason.trim()} onClick={done}>
          {words.titles[verb] ?? words.doIt}
        </button>
      </div>
    </Dialog>
  );
}
