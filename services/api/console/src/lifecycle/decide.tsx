import { useState } from "preact/hooks";
import { Doing, Reason } from "../access/doing";
import { getLifecycle, order, type Order } from "../ask/lifecycle";
import type { Candidate } from "../ask/rollouts";
import { plain, unit } from "../format";
import { useAnswer } from "../hooks";
import { model } from "../model";
import { type Fact, FactList } from "../parts/facts";
import { text } from "../text";
import { lifecycleText } from "../text-lifecycle";

const words = lifecycleText.queue;
/** Orders given at once: the calibration service answers several times a second. */
const AT_ONCE = 4;

export interface Decision {
  verb: "approve" | "reject";
  sets: Candidate[];
}

export interface Outcome {
  words: string;
  wrong: boolean;
}

/** Approve or reject one set or several, for one reason; of one, what there is to judge it by. */
export function Decide({ decision, close, done }: { decision: Decision; close: () => void; done: (outcome: Outcome) => void }) {
  const [reason, setReason] = useState("");
  const [given, count] = useState(0);
  const { verb, sets } = decision;
  const one = sets.length === 1 ? sets[0]! : null;
  const act = async () => done(await every(sets, (each) => order(verb, each.sensor, each.set_id, reason.trim()), count));
  return (
    <Doing
      title={one ? words.titles[verb](one.sensor) : words.severalTitles[verb](sets.length)}
      note={lifecycleText.notes[verb]}
      go={lifecycleText[verb]}
      ready={reason.trim() !== ""}
      close={close}
      act={act}
    >
      {one ? <Figures set={one} /> : <p class="words">{sets.map((each) => each.sensor).join(", ")}</p>}
      {!one && verb === "approve" && <p class="muted">{words.rather}</p>}
      <Reason value={reason} set={setReason} />
      {given > 0 && !one && (
        <p role="status" class="muted">
          {words.given(given, sets.length)}
        </p>
      )}
    </Doing>
  );
}

async function every(sets: Candidate[], give: (set: Candidate) => Promise<Order>, count: (n: number) => void): Promise<Outcome> {
  const answers: { set: Candidate; state: string; answer: string }[] = [];
  const left = [...sets];
  const work = async () => {
    for (let set = left.shift(); set; set = left.shift()) {
      try {
        const { state, answer } = await give(set);
        answers.push({ set, state, answer });
      } catch (error) {
        answers.push({ set, state: "refused", answer: (error as Error).message });
      }
      count(answers.length);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, sets.length) }, work));
  const refused = answers.filter((each) => each.state === "refused");
  const waits = answers.filter((each) => each.state === "waiting").length;
  const said = [words.done(answers.length - refused.length - waits)];
  if (waits) said.push(words.waits(waits));
  for (const each of refused.slice(0, 3)) said.push(`${each.set.sensor}: ${lifecycleText.refused(each.answer)}`);
  if (refused.length > 3) said.push(words.alsoRefused(refused.length - 3));
  return { words: said.join(" · "), wrong: refused.length > 0 };
}

function Figures({ set }: { set: Candidate }) {
  const { answer, error } = useAnswer(() => getLifecycle(set.sensor), [set.sensor]);
  if (error) return <p class="failure">{text.failed(error.message)}</p>;
  if (!answer) return <p class="muted">{text.loading}</p>;
  const life = answer.items.find((each) => each.set.id === set.set_id);
  if (!life) return <p class="wrong">{words.gone}</p>;
  const name = unit(model.sensors.get(set.sensor)?.unit ?? "");
  const conformity = life.calibration?.conformity;
  const facts: Fact[] = [
    [text.sensor.set, `№ ${life.set.sequence} · ${life.set.id}`],
    [lifecycleText.columns.why, life.set.reason],
    ...(conformity
      ? ([
          [lifecycleText.columns.found, `${plain(conformity.as_found.rms, 3)} ${name}`],
          [lifecycleText.columns.left, `${plain(conformity.as_left.rms, 3)} ${name}`],
          [text.sensor.rule, `${conformity.rule}: ${conformity.passed ? text.sensor.passed : text.sensor.failed}`],
        ] as Fact[])
      : []),
    ...(life.residual
      ? ([[lifecycleText.columns.residual, lifecycleText.residual(`${plain(life.residual.rms, 2)} ${name}`, Math.round(life.residual.n))]] as Fact[])
      : []),
  ];
  return <FactList facts={facts} />;
}
