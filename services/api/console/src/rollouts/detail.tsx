import { useEffect, useState } from "preact/hooks";
import { getHistory, getRollout, type Move, type Rollout } from "../ask/rollouts";
import { count, instant, ms, percent, span } from "../format";
import { useModel } from "../hooks";
import { Bar } from "../parts/bar";
import { FactList } from "../parts/facts";
import { Mark, Tile } from "../parts/tile";
import { text } from "../text";
import { Commands } from "./commanding";
import { Members } from "./members";

const words = text.rollouts;
const AGAIN_MS = 2_000;
const WRONG = new Set(["aborting", "aborted", "paused"]);

/** The state of a rollout in words, marked where somebody should look. */
export function StateWords({ rollout }: { rollout: Rollout }) {
  const wrong = WRONG.has(rollout.state);
  return (
    <span class={wrong ? "wrong nowrap" : "nowrap"}>
      {wrong && <Mark />} {words.states[rollout.state]}
    </span>
  );
}

export const titleOf = (rollout: Rollout): string => rollout.title || words.untitled(rollout.id);

/** One rollout: how it stands, its stages, its sensors and its history. */
export function Detail({ id }: { id: string }) {
  const model = useModel();
  const [rollout, setRollout] = useState<Rollout | null>(null);
  const [moves, setMoves] = useState<Move[]>([]);
  const [failure, setFailure] = useState("");
  const [read, again] = useState(0);
  useEffect(() => {
    let ended = false;
    const load = async () => {
      try {
        const [found, history] = await Promise.all([getRollout(id), getHistory(id)]);
        if (ended) return;
        setRollout(found);
        setMoves(history.items);
        setFailure("");
      } catch (error) {
        if (!ended) setFailure((error as Error).message);
      }
    };
    void load();
    const timer = setTimeout(() => !ended && again((n) => n + 1), AGAIN_MS);
    return () => {
      ended = true;
      clearTimeout(timer);
    };
  }, [id, read]);
  if (!rollout) {
    return (
      <main class="page" id="main" tabIndex={-1}>
        <div class="bar">
          <h1>{words.title}</h1>
        </div>
        <p class="empty">{failure ? text.failed(failure) : text.loading}</p>
      </main>
    );
  }
  const old = !model.connected || failure !== "";
  return (
    <main class={old ? "page rollout old" : "page rollout"} id="main" tabIndex={-1}>
      <div class="bar">
        <h1>{titleOf(rollout)}</h1>
        <Commands rollout={rollout} after={() => again((n) => n + 1)} />
        {old && <span class="stale-mark">{text.asReceived}</span>}
        <a href="#/rollouts">{words.back}</a>
      </div>
      <Figures rollout={rollout} />
      <div class="panels">
        <section class="panel">
          <FactList
            facts={[
              [words.facts.state, <StateWords rollout={rollout} />],
              [words.facts.reason, rollout.reason],
              [words.facts.since, instant(ms(rollout.changed_ns))],
              [words.facts.begun, instant(ms(rollout.begun_ns))],
              [words.facts.actor, rollout.actor],
              [words.facts.id, rollout.id],
            ]}
          />
        </section>
        <Stages rollout={rollout} />
        <Members rollout={rollout} read={read} />
        <History moves={moves} />
      </div>
    </main>
  );
}

function Figures({ rollout }: { rollout: Rollout }) {
  const t = words.tiles;
  const normal = rollout.stages.reduce((sum, stage) => sum + stage.n_normal, 0);
  return (
    <dl class="tiles">
      <Tile label={t.sensors} value={count(rollout.n_sensors)} />
      <Tile label={t.touched} value={count(rollout.n_touched)} detail={percent(rollout.n_touched / rollout.n_sensors).replace("+", "")} />
      <Tile label={t.normal} value={count(normal)} />
      <Tile label={t.failed} value={count(rollout.n_failed)} wrong={rollout.n_failed > 0} />
      <Tile label={t.reverted} value={count(rollout.n_reverted)} />
      <Tile label={t.waiting} value={count(rollout.n_waiting)} />
      {rollout.n_left_out > 0 && <Tile label={t.leftOut} value={count(rollout.n_left_out)} />}
      {rollout.n_stuck > 0 && <Tile label={t.stuck} value={count(rollout.n_stuck)} wrong />}
      {rollout.n_overtaken > 0 && <Tile label={t.overtaken} value={count(rollout.n_overtaken)} />}
    </dl>
  );
}

function Stages({ rollout }: { rollout: Rollout }) {
  const { columns } = words.stages;
  const going = rollout.state === "running" || rollout.state === "paused";
  return (
    <section class="panel">
      <h2>{words.stages.title}</h2>
      <table class="list bars" aria-label={words.stages.title}>
        <thead>
          <tr>
            <th>{columns.stage}</th>
            <th class="right">{columns.share}</th>
            <th class="right">{columns.soak}</th>
            <th>{columns.progress}</th>
            <th class="right">{columns.touched}</th>
            <th class="right">{columns.applied}</th>
            <th class="right">{columns.failed}</th>
            <th class="right">{columns.reverted}</th>
          </tr>
        </thead>
        <tbody>
          {rollout.stages.map((stage, k) => (
            <tr key={k} aria-current={going && k === rollout.stage ? "step" : undefined} class={stage.n_touched ? "" : "calm"}>
              <th scope="row" class="nowrap">
                {k + 1} {k === 0 && <span class="muted">{words.stages.canary}</span>} {going && k === rollout.stage && <span class="muted">{words.stages.now}</span>}
              </th>
              <td class="right nowrap">{count(stage.target)}</td>
              <td class="right nowrap">{span(stage.soak_s)}</td>
              <td class="bar-cell" title={words.ofSensors(count(stage.n_normal), count(stage.n_touched))}>
                <Bar share={stage.n_touched ? stage.n_normal / stage.n_touched : 0} />
              </td>
              <td class="right">{count(stage.n_touched)}</td>
              <td class="right">{count(stage.n_applied)}</td>
              <td class="right">{count(stage.n_failed)}</td>
              <td class="right">{count(stage.n_reverted)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function History({ moves }: { moves: Move[] }) {
  const { columns } = words.history;
  return (
    <section class="panel wide">
      <h2>{words.history.title}</h2>
      <table class="list" aria-label={words.history.title}>
        <thead>
          <tr>
            <th>{columns.at}</th>
            <th>{columns.what}</th>
            <th>{columns.sensor}</th>
            <th>{columns.actor}</th>
            <th>{columns.reason}</th>
          </tr>
        </thead>
        <tbody>
          {moves.map((each) => (
            <tr key={each.number}>
              <td class="instant">{instant(ms(each.at_ns))}</td>
              <td class="strong nowrap">{words.actions[each.action] ?? each.action}</td>
              <td>{each.sensor ?? text.nothing}</td>
              <td>{each.actor}</td>
              <td class="words">{each.reason}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
