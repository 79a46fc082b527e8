import { useState } from "preact/hooks";
import { Doing, Reason } from "../access/doing";
import { getHolds, type Hold, releaseHold } from "../ask/holds";
import { instant, ms } from "../format";
import { PutHold } from "../holds/put";
import { useModel, useRepeated } from "../hooks";
import { text } from "../text";
import { useMay } from "../who";

const words = text.holds;
const AGAIN_MS = 10_000;

/** Samples that stay as they are until somebody releases them: which, since when, and why. */
export function Holds() {
  const model = useModel();
  const [holds, setHolds] = useState<Hold[] | null>(null);
  const [asked, again] = useState(0);
  const [putting, put] = useState(false);
  const [releasing, release] = useState<Hold | null>(null);
  const may = useMay("engineer");
  const failure = useRepeated(AGAIN_MS, getHolds, setHolds, [asked]);
  const done = () => {
    put(false);
    release(null);
    again((n) => n + 1);
  };
  return (
    <main class={model.connected ? "page people holds" : "page people holds old"} id="main" tabIndex={-1}>
      <div class="bar">
        <h1>{words.title}</h1>
        {may ? (
          <button class="plain" onClick={() => put(true)}>
            {words.put.open}
          </button>
        ) : (
          <span class="needs muted">{text.access.needs("engineer")}</span>
        )}
      </div>
      <p class="lead">{words.lead}</p>
      {failure && <p class="failure">{text.failed(failure)}</p>}
      {holds === null ? (
        <p class="empty">{failure ? "" : text.loading}</p>
      ) : holds.length === 0 ? (
        <p class="empty">{words.none}</p>
      ) : (
        <Table holds={holds} release={may ? release : null} />
      )}
      {putting && <PutHold close={() => put(false)} done={done} />}
      {releasing && <Release key={releasing.id} hold={releasing} close={() => release(null)} done={done} />}
    </main>
  );
}

const whose = (hold: Hold): string => hold.sensor ?? words.every;

function Table({ holds, release }: { holds: Hold[]; release: ((hold: Hold) => void) | null }) {
  const { columns } = words;
  return (
    <section class="panel">
      <table class="list" aria-label={words.title}>
        <thead>
          <tr>
            <th>{columns.sensor}</th>
            <th>{columns.from}</th>
            <th>{columns.to}</th>
            <th>{columns.reason}</th>
            <th>{columns.by}</th>
            <th>{columns.at}</th>
            {release && <th>{columns.act}</th>}
          </tr>
        </thead>
        <tbody>
          {holds.map((each) => (
            <tr key={each.id}>
              <td class="strong">{each.sensor ? <a href={`#/sensors/${encodeURIComponent(each.sensor)}`}>{each.sensor}</a> : words.every}</td>
              <td class="instant">{instant(ms(each.from_ns))}</td>
              <td class="instant">{each.to_ns === null ? words.forEver : instant(ms(each.to_ns))}</td>
              <td class="words">{each.reason}</td>
              <td>{each.put_by}</td>
              <td class="instant">{instant(ms(each.put_ns))}</td>
              {release && (
                <td class="commands">
                  <button class="plain" aria-label={words.release.of(whose(each), each.reason)} onClick={() => release(each)}>
                    {words.release.open}
                  </button>
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Release({ hold, close, done }: { hold: Hold; close: () => void; done: () => void }) {
  const [reason, setReason] = useState("");
  const act = async () => {
    await releaseHold(hold.id, reason.trim());
    done();
  };
  return (
    <Doing title={words.release.title(whose(hold))} note={words.release.note} go={words.release.go} ready={reason.trim() !== ""} close={close} act={act}>
      <p>{hold.reason}</p>
      <Reason value={reason} set={setReason} />
    </Doing>
  );
}
