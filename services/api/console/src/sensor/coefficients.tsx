import { useState } from "preact/hooks";
import type { Sensor } from "../api";
import { getLifecycle, type Life, order, type Residual, type Verb } from "../ask/lifecycle";
import { frequency, instant, ms, plain, span, unit } from "../format";
import { useAnswer } from "../hooks";
import { PolicyDialog, policyWords } from "../lifecycle/policy";
import { type Fact, FactList } from "../parts/facts";
import { ReasonDialog } from "../parts/reason";
import { Mark } from "../parts/tile";
import { setStateText, text } from "../text";
import { lifecycleText as words } from "../text-lifecycle";
import { useMay } from "../who";

interface Said {
  words: string;
  wrong: boolean;
}

/** The sets of a sensor: which is active, which waits, what was done with each, and what an engineer may order. */
export function CoefficientsPanel({ sensor, keys }: { sensor: Sensor; keys: readonly unknown[] }) {
  const [asked, again] = useState(0);
  const [asking, ask] = useState<{ verb: Verb; life: Life } | null>(null);
  const [changing, change] = useState(false);
  const [said, say] = useState<Said | null>(null);
  const may = useMay("engineer");
  const { answer, error } = useAnswer(() => getLifecycle(sensor.id), [sensor.id, asked, ...keys]);
  const items = answer?.items ?? [];
  const give = async (verb: Verb, life: Life, reason: string) => {
    ask(null);
    say(null);
    try {
      const { state, answer } = await order(verb, sensor.id, life.set.id, reason);
      if (state === "refused") say({ words: words.refused(answer), wrong: true });
      else say({ words: state === "done" ? words.done : words.waiting, wrong: false });
    } catch (error) {
      say({ words: words.notDone((error as Error).message), wrong: true });
    }
    again((n) => n + 1);
  };
  const orderable = items.some((life) => life.waits || life.can_go_back);
  return (
    <section class="panel wide lifecycle">
      <h2>{text.sensor.coefficients}</h2>
      {sensor.active_set ? null : <p class="empty">{text.sensor.noSet}</p>}
      <FactList facts={[...active(sensor), ...(answer ? [released(policyWords(answer.policy), may ? () => change(true) : null)] : [])]} />
      {error && <p class="empty">{text.failed(error.message)}</p>}
      {items.length > 0 && (
        <div class="scroll" tabIndex={0} role="group" aria-label={text.sensor.history}>
          <table class="list" aria-label={text.sensor.history}>
            <thead>
              <tr>
                <th>{words.columns.set}</th>
                <th>{words.columns.state}</th>
                <th>{words.columns.changed}</th>
                <th class="right" title={words.deviation}>
                  {words.columns.found} [{unit(sensor.unit)}]
                </th>
                <th class="right" title={words.deviation}>
                  {words.columns.left} [{unit(sensor.unit)}]
                </th>
                <th class="right">{words.columns.residual}</th>
                <th>{words.columns.why}</th>
                {may && orderable && <th>{words.columns.act}</th>}
              </tr>
            </thead>
            <tbody>
              {items.map((life) => (
                <Row key={life.set.id} life={life} sensor={sensor} act={may && orderable ? (verb) => ask({ verb, life }) : null} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {!may && orderable && <p class="needs muted">{text.access.needs("engineer")}</p>}
      <p role="status" class={said?.wrong ? "wrong" : "muted"}>
        {said?.wrong && <Mark />} {said?.words}
      </p>
      {changing && (
        <PolicyDialog
          sensor={sensor.id}
          parameters={items[0]?.set.parameters.names ?? []}
          close={() => change(false)}
          done={(what) => {
            change(false);
            say({ words: what, wrong: false });
            again((n) => n + 1);
          }}
        />
      )}
      {asking && (
        <ReasonDialog
          title={`${words.titles[asking.verb]} № ${asking.life.set.sequence}`}
          note={words.notes[asking.verb]}
          why={words.why}
          go={words.titles[asking.verb]}
          close={() => ask(null)}
          accept={(reason) => void give(asking.verb, asking.life, reason)}
        />
      )}
    </section>
  );
}

function active(sensor: Sensor): Fact[] {
  const set = sensor.active_set;
  if (!set) return [];
  return [
    [text.sensor.set, `№ ${set.sequence} · ${set.id}`],
    [text.sensor.activeSince, instant(ms(set.since_ns))],
    [text.sensor.bandwidth, frequency(set.band_hz)],
    [text.sensor.latency, span(set.latency_s)],
  ];
}

function released(policy: string, change: (() => void) | null): Fact {
  if (!change) return [words.policy, policy];
  return [
    words.policy,
    <span class="inline">
      {policy}
      <button class="plain" onClick={change} aria-label={words.changePolicy}>
        {words.change}
      </button>
    </span>,
  ];
}

function Row({ life, sensor, act }: { life: Life; sensor: Sensor; act: ((verb: Verb) => void) | null }) {
  const { set, calibration, moves } = life;
  const conformity = calibration?.conformity;
  return (
    <tr class={set.state === "active" || life.waits ? "" : "calm"}>
      <td class="instant" title={set.id}>
        № {set.sequence}
      </td>
      <td>
        {setStateText[set.state] ?? set.state}
        {life.waits && <div class="muted">{words.waits}</div>}
      </td>
      <td class="instant">{instant(ms(set.changed_ns))}</td>
      <td class="right figures-cell">{conformity ? plain(conformity.as_found.rms, 3) : "–"}</td>
      <td class="right figures-cell">{conformity ? plain(conformity.as_left.rms, 3) : "–"}</td>
      <td class="right figures-cell">{life.residual ? <Shown residual={life.residual} unitName={unit(sensor.unit)} /> : "–"}</td>
      <td class="words">
        <details>
          <summary>{set.reason}</summary>
          <ol class="moves" aria-label={words.moves}>
            {moves.map((move) => (
              <li key={move.number}>
                {instant(ms(move.at_ns))} {words.move(setStateText[move.state] ?? move.state, move.actor)}: <span class="muted">{move.reason}</span>
              </li>
            ))}
          </ol>
        </details>
      </td>
      {act && (
        <td class="commands">
          {life.waits && (
            <>
              <button class="plain" onClick={() => act("approve")} aria-label={`${words.approve} № ${set.sequence}`}>
                {words.approve}
              </button>{" "}
              <button class="plain" onClick={() => act("reject")} aria-label={`${words.reject} № ${set.sequence}`}>
                {words.reject}
              </button>
            </>
          )}
          {life.can_go_back && (
            <button class="plain" onClick={() => act("back")} aria-label={`${words.back}: № ${set.sequence}`}>
              {words.back}
            </button>
          )}
        </td>
      )}
    </tr>
  );
}

/** What the edge says of the residual of a set: in grey where it is normal. */
function Shown({ residual, unitName }: { residual: Residual; unitName: string }) {
  const above = residual.limit > 0 && residual.rms > residual.limit;
  return (
    <span class={above || residual.fault ? "wrong" : ""} title={words.residualHint(`${plain(residual.limit, 2)} ${unitName}`)}>
      {(above || residual.fault) && <Mark />} {words.residual(`${plain(residual.rms, 2)} ${unitName}`, Math.round(residual.n))}
      {residual.fault && <div>{words.trialFault(residual.fault)}</div>}
      {residual.shadow && residual.difference !== null && (
        <div class="muted">{words.difference(`${plain(residual.difference, 2)} ${unitName}`)}</div>
      )}
    </span>
  );
}
