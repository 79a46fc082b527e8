import { useState } from "preact/hooks";
import { getRollouts, type Rollout } from "../ask/rollouts";
import { count, instant, ms } from "../format";
import { useModel, useRepeated } from "../hooks";
import { WaitingSets } from "../lifecycle/waiting";
import { Bar } from "../parts/bar";
import { Detail, StateWords, titleOf } from "../rollouts/detail";
import { Start } from "../rollouts/start";
import { text } from "../text";
import { useMay } from "../who";

const words = text.rollouts;
const AGAIN_MS = 5_000;

/** All rollouts, or the one that the route names. */
export function Rollouts({ route }: { route: string }) {
  const id = route.split("/")[2];
  return id ? <Detail key={id} id={decodeURIComponent(id)} /> : <List />;
}

function List() {
  const model = useModel();
  const [items, setItems] = useState<Rollout[] | null>(null);
  const [older, setOlder] = useState<Rollout[]>([]);
  const [cursor, setCursor] = useState<string | null>(null);
  const [starting, start] = useState(false);
  const may = useMay("engineer");
  const failure = useRepeated(AGAIN_MS, () => getRollouts(null), (page) => {
    setItems(page.items);
    setCursor((before) => before ?? page.next_cursor);
  });
  const more = async () => {
    const page = await getRollouts(cursor);
    setOlder((before) => [...before, ...page.items]);
    setCursor(page.next_cursor);
  };
  const newest = items ?? [];
  const known = new Set(newest.map((each) => each.id));
  const shown = [...newest, ...older.filter((each) => !known.has(each.id))];
  const { columns } = words;
  return (
    <main class={model.connected ? "page rollouts" : "page rollouts old"} id="main" tabIndex={-1}>
      <div class="bar">
        <h1>{words.title}</h1>
        {may ? (
          <button class="plain" onClick={() => start(true)}>
            {words.start.open}
          </button>
        ) : (
          <span class="needs muted">{text.access.needs("engineer")}</span>
        )}
      </div>
      <p class="lead">{words.lead}</p>
      <WaitingSets />
      {failure && <p class="failure">{text.failed(failure)}</p>}
      {shown.length > 0 ? (
        <section class="panel">
          <table class="list" aria-label={words.title}>
            <thead>
              <tr>
                <th>{columns.title}</th>
                <th>{columns.state}</th>
                <th class="right">{columns.stage}</th>
                <th class="bar-head">{columns.progress}</th>
                <th class="right">{columns.failed}</th>
                <th class="right">{columns.reverted}</th>
                <th>{columns.begun}</th>
                <th>{columns.actor}</th>
              </tr>
            </thead>
            <tbody>
              {shown.map((each) => (
                <tr key={each.id}>
                  <td class="words">
                    <a class="strong" href={`#/rollouts/${encodeURIComponent(each.id)}`}>
                      {titleOf(each)}
                    </a>
                  </td>
                  <td>
                    <StateWords rollout={each} />
                  </td>
                  <td class="right nowrap">{words.ofStages(each.stage + 1, each.stages.length)}</td>
                  <td class="bar-cell">
                    <Bar share={each.n_touched / each.n_sensors} />
                    <span class="muted nowrap">{words.ofSensors(count(each.n_touched), count(each.n_sensors))}</span>
                  </td>
                  <td class="right">{count(each.n_failed)}</td>
                  <td class="right">{count(each.n_reverted)}</td>
                  <td class="instant">{instant(ms(each.begun_ns))}</td>
                  <td>{each.actor}</td>
                </tr>
              ))}
            </tbody>
          </table>
          {cursor && (
            <div class="more">
              <button class="plain" onClick={() => void more()}>
                {words.older}
              </button>
            </div>
          )}
        </section>
      ) : (
        <p class="empty">{items ? words.none : text.loading}</p>
      )}
      {starting && <Start close={() => start(false)} />}
    </main>
  );
}
