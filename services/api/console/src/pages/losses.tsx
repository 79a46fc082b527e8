import { useMemo, useState } from "preact/hooks";
import { eachLedgerPage, type Ledger } from "../ask/operations";
import { count, instant, ms, percent, plain } from "../format";
import { go, useModel, useRepeated } from "../hooks";
import { Bar } from "../parts/bar";
import { Rows } from "../parts/rows";
import { Tile } from "../parts/tile";
import { causeText, text } from "../text";

const ROW_HEIGHT = 36;
const AGAIN_MS = 15_000;
const columns = text.losses.columns;

/** What became of every record: totals, losses by cause, and every sensor, those that lost most first. */
export function Losses() {
  const model = useModel();
  const [ledgers, setLedgers] = useState<Ledger[]>([]);
  const [complete, setComplete] = useState(false);
  const [filter, setFilter] = useState("");
  const [onlyLost, setOnlyLost] = useState(false);
  const [selected, select] = useState<string | null>(null);
  const read = async (wanted: () => boolean) => {
    const found: Ledger[] = [];
    await eachLedgerPage((items) => {
      found.push(...items);
      if (wanted()) setLedgers((before) => (before.length > found.length ? before : [...found]));
    });
    return found;
  };
  const failure = useRepeated(AGAIN_MS, read, (found) => {
    setLedgers(found);
    setComplete(true);
  });
  const byId = useMemo(() => new Map(ledgers.map((ledger) => [ledger.sensor, ledger])), [ledgers]);
  const ids = useMemo(() => {
    const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
    return ledgers
      .filter((each) => !onlyLost || troubled(each))
      .filter((each) => words.every((word) => `${each.sensor} ${each.edge}`.toLowerCase().includes(word)))
      .sort((a, b) => b.lost_samples - a.lost_samples || uncounted(b) - uncounted(a) || b.quarantined - a.quarantined || (a.sensor < b.sensor ? -1 : 1))
      .map((each) => each.sensor);
  }, [ledgers, filter, onlyLost]);
  return (
    <main class="page losses" id="main" tabIndex={-1}>
      <div class="bar">
        <h1>{text.losses.title}</h1>
        <input
          type="search"
          value={filter}
          placeholder={text.losses.filter}
          aria-label={text.losses.filter}
          onInput={(event) => setFilter(event.currentTarget.value)}
        />
        <label class="check">
          <input type="checkbox" checked={onlyLost} onChange={(event) => setOnlyLost(event.currentTarget.checked)} />
          {text.losses.only}
        </label>
        <span class="muted" role="status">
          {text.fleet.count(ids.length, ledgers.length)}
        </span>
      </div>
      <p class="lead">{text.losses.lead}</p>
      {failure && <p class="failure">{text.failed(failure)}</p>}
      <Totals ledgers={ledgers} />
      {ids.length ? (
        <Rows
          ids={ids}
          rowHeight={ROW_HEIGHT}
          label={text.losses.title}
          selected={selected}
          select={select}
          open={(id) => go(`/sensors/${id}`)}
          head={
            <div class="row head" role="row">
              {(Object.keys(columns) as (keyof typeof columns)[]).map((column) => (
                <span key={column} role="columnheader" class={`cell l-${column}`}>
                  {columns[column]}
                </span>
              ))}
            </div>
          }
          row={(id) => <Row ledger={byId.get(id)} now={model.now()} />}
        />
      ) : (
        <p class="empty">{complete ? text.losses.none : text.loading}</p>
      )}
    </main>
  );
}

const uncounted = (ledger: Ledger): number => Object.values(ledger.gaps).reduce((sum, lost) => sum + lost.uncounted, 0);
const troubled = (ledger: Ledger): boolean => ledger.lost_samples > 0 || ledger.quarantined > 0 || uncounted(ledger) > 0;

function Totals({ ledgers }: { ledgers: Ledger[] }) {
  const sum = (of: (ledger: Ledger) => number) => ledgers.reduce((total, each) => total + of(each), 0);
  const causes = new Map<string, { samples: number; uncounted: number }>();
  for (const { gaps } of ledgers) {
    for (const [cause, lost] of Object.entries(gaps)) {
      const known = causes.get(cause) ?? { samples: 0, uncounted: 0 };
      causes.set(cause, { samples: known.samples + lost.samples, uncounted: known.uncounted + lost.uncounted });
    }
  }
  const nSilent = ledgers.filter((each) => each.at_ns === null).length;
  const [stored, lost] = [sum((each) => each.samples), sum((each) => each.lost_samples)];
  const labels = text.losses.total;
  const most = Math.max(1, ...[...causes.values()].map((each) => each.samples));
  return (
    <div class="totals">
      <dl class="tiles">
        <Tile label={labels.sensors} value={count(ledgers.length)} detail={nSilent ? text.losses.nSilent(count(nSilent)) : ""} />
        <Tile label={labels.samples} value={count(stored)} />
        <Tile label={labels.lost} value={count(lost)} detail={lost ? percent(lost / (lost + stored)).replace("+", "") : ""} wrong={lost > 0} />
        <Tile label={labels.quarantined} value={count(sum((each) => each.quarantined))} wrong={sum((each) => each.quarantined) > 0} />
        <Tile label={labels.repeated} value={count(sum((each) => each.repeated_samples))} />
      </dl>
      {causes.size > 0 && (
        <section class="panel causes">
          <h2>{text.losses.byCause}</h2>
          <table class="list bars">
            <tbody>
              {[...causes]
                .sort(([, a], [, b]) => b.samples - a.samples)
                .map(([cause, each]) => (
                  <tr key={cause}>
                    <th scope="row">{causeText[cause] ?? cause}</th>
                    <td class="right">{count(each.samples)}</td>
                    <td class="bar-cell">
                      <Bar share={each.samples / most} />
                    </td>
                    <td class="muted">{each.uncounted ? text.losses.uncounted(each.uncounted) : ""}</td>
                  </tr>
                ))}
            </tbody>
          </table>
        </section>
      )}
    </div>
  );
}

/** A count, where ingest has said anything: nothing said is not nothing lost. */
const said = (ledger: Ledger, n: number): string => (ledger.at_ns === null ? text.nothing : count(n));

function Row({ ledger, now }: { ledger: Ledger | undefined; now: number }) {
  if (!ledger) return null;
  const all = ledger.samples + ledger.lost_samples;
  const causes = Object.entries(ledger.gaps).map(([cause, lost]) => `${causeText[cause] ?? cause} ${count(lost.samples)}${lost.uncounted ? " + ?" : ""}`);
  const others = ledger.others.map((each) => each.edge).join(", ");
  return (
    <>
      <span role="gridcell" class="cell l-sensor">
        <a href={`#/sensors/${ledger.sensor}`} tabIndex={-1}>
          {ledger.sensor}
        </a>
      </span>
      <span role="gridcell" class="cell l-edge" title={others && text.losses.others(others)}>
        {ledger.edge}
        {others && ` (+${ledger.others.length})`}
      </span>
      <span role="gridcell" class="cell l-samples">
        {said(ledger, ledger.samples)}
      </span>
      <span role="gridcell" class={`cell l-lost ${ledger.lost_samples ? "strong" : "muted"}`}>
        {said(ledger, ledger.lost_samples)}
      </span>
      <span role="gridcell" class="cell l-share">
        {ledger.lost_samples && all ? `${plain((100 * ledger.lost_samples) / all, 2)} %` : ""}
      </span>
      <span role="gridcell" class="cell l-gaps">
        {said(ledger, Object.values(ledger.gaps).reduce((sum, lost) => sum + lost.gaps, 0))}
      </span>
      <span role="gridcell" class="cell l-causes">
        {causes.join(", ")}
      </span>
      <span role="gridcell" class="cell l-quarantined">
        {said(ledger, ledger.quarantined)}
      </span>
      <span role="gridcell" class="cell l-at muted">
        {ledger.at_ns === null ? text.losses.silent : now - ms(ledger.at_ns) > 3_600_000 ? instant(ms(ledger.at_ns)) : instant(ms(ledger.at_ns)).slice(11)}
      </span>
    </>
  );
}
