import { useState } from "preact/hooks";
import { type Candidate, getCandidates } from "../ask/rollouts";
import { age, instant, ms } from "../format";
import { useModel, useRepeated } from "../hooks";
import { Mark } from "../parts/tile";
import { modelText, text } from "../text";
import { lifecycleText } from "../text-lifecycle";
import { useMay } from "../who";
import { Decide, type Decision, type Outcome } from "./decide";

const words = lifecycleText.queue;
const AGAIN_MS = 5_000;
const SHOWN = 50;

/** The sets that wait to be released, those that have waited longest first; engineers decide here, on one or several. */
export function WaitingSets() {
  const model = useModel();
  const [items, setItems] = useState<Candidate[] | null>(null);
  const [asked, again] = useState(0);
  const [chosen, choose] = useState<ReadonlySet<string>>(new Set());
  const [deciding, decide] = useState<Decision | null>(null);
  const [outcome, tell] = useState<Outcome | null>(null);
  const [most, showMost] = useState(SHOWN);
  const now = model.now();
  const may = useMay("engineer");
  const failure = useRepeated(AGAIN_MS, getCandidates, ({ items }) => setItems(items.sort((a, b) => a.since_ns - b.since_ns)), [asked]);
  const rows = items ?? [];
  const picked = rows.filter((each) => chosen.has(each.set_id));
  const pick = (id: string, on: boolean) => {
    const next = new Set(chosen);
    if (on) next.add(id);
    else next.delete(id);
    choose(next);
  };
  const several = (verb: Decision["verb"]) => (
    <button class="plain" disabled={!picked.length} onClick={() => decide({ verb, sets: picked })}>
      {words.several[verb](picked.length)}
    </button>
  );
  const { columns } = words;
  return (
    <section class="panel waiting-sets">
      <div class="panel-head">
        <h2>{words.title(rows.length)}</h2>
        <div class="spacer" />
        {may && rows.length > 1 && (
          <>
            {several("approve")}
            {several("reject")}
          </>
        )}
      </div>
      {failure && <p class="failure">{text.failed(failure)}</p>}
      <p role="status" class={outcome?.wrong ? "wrong" : "muted"}>
        {outcome?.wrong && <Mark />} {outcome?.words}
      </p>
      {rows.length > 0 ? (
        <table class="list" aria-label={words.label}>
          <thead>
            <tr>
              {may && (
                <th>
                  <input
                    type="checkbox"
                    aria-label={words.all}
                    checked={picked.length === rows.length}
                    onChange={(event) => choose(new Set(event.currentTarget.checked ? rows.map((each) => each.set_id) : []))}
                  />
                </th>
              )}
              <th>{columns.sensor}</th>
              <th>{columns.edge}</th>
              <th>{columns.reference}</th>
              <th>{columns.model}</th>
              <th>{columns.since}</th>
              <th class="right">{columns.age}</th>
              {may && <th>{columns.act}</th>}
            </tr>
          </thead>
          <tbody>
            {rows.slice(0, most).map((each) => (
              <tr key={each.set_id}>
                {may && (
                  <td>
                    <input
                      type="checkbox"
                      aria-label={words.pick(each.sensor)}
                      checked={chosen.has(each.set_id)}
                      onChange={(event) => pick(each.set_id, event.currentTarget.checked)}
                    />
                  </td>
                )}
                <td class="words">
                  <a class="strong" href={`#/sensors/${encodeURIComponent(each.sensor)}`} title={each.set_id}>
                    {each.sensor}
                  </a>
                </td>
                <td class="words">{each.edge ?? text.nothing}</td>
                <td class="words">{each.reference}</td>
                <td>{modelText[each.model] ?? each.model}</td>
                <td class="instant">{instant(ms(each.since_ns))}</td>
                <td class="right nowrap">{age((now - ms(each.since_ns)) / 1000)}</td>
                {may && (
                  <td class="commands">
                    <button class="plain" aria-label={`${lifecycleText.approve} ${each.sensor}`} onClick={() => decide({ verb: "approve", sets: [each] })}>
                      {lifecycleText.approve}
                    </button>{" "}
                    <button class="plain" aria-label={`${lifecycleText.reject} ${each.sensor}`} onClick={() => decide({ verb: "reject", sets: [each] })}>
                      {lifecycleText.reject}
                    </button>
                  </td>
                )}
              </tr>
            ))}
          </tbody>
        </table>
      ) : (
        <p class="empty">{items ? words.none : text.loading}</p>
      )}
      {rows.length > most && (
        <div class="more">
          <button class="plain" onClick={() => showMost(most + SHOWN)}>
            {words.more(rows.length - most)}
          </button>
        </div>
      )}
      {deciding && (
        <Decide
          decision={deciding}
          close={() => decide(null)}
          done={(found) => {
            decide(null);
            tell(found);
            choose(new Set());
            again((n) => n + 1);
          }}
        />
      )}
    </section>
  );
}
