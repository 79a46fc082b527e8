import { useEffect, useState } from "preact/hooks";
import { type AuditEntry, getTrail, verifyTrail } from "../ask/operations";
import { instant, ms } from "../format";
import { Mark } from "../parts/tile";
import { text } from "../text";

const words = text.audit;

/** The audit trail, newest first, and whether its chain of digests holds. */
export function Audit() {
  const [entries, setEntries] = useState<AuditEntry[]>([]);
  const [cursor, setCursor] = useState<string | null>(null);
  const [state, setState] = useState<"loading" | "loaded" | "failed">("loading");
  const [failure, setFailure] = useState("");
  const [filter, setFilter] = useState("");
  const read = async (from: string | null) => {
    setState("loading");
    try {
      const page = await getTrail(from);
      setEntries((before) => (from === null ? page.items : [...before, ...page.items]));
      setCursor(page.next_cursor);
      setState("loaded");
    } catch (error) {
      setFailure((error as Error).message);
      setState("failed");
    }
  };
  useEffect(() => void read(null), []);
  const asked = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = entries.filter((each) => {
    const all = `${each.actor} ${each.action} ${each.subject} ${each.reason}`.toLowerCase();
    return asked.every((word) => all.includes(word));
  });
  const { columns } = words;
  return (
    <main class="page audit" id="main" tabIndex={-1}>
      <div class="bar">
        <h1>{words.title}</h1>
        <input
          type="search"
          value={filter}
          placeholder={words.filter}
          aria-label={words.filter}
          onInput={(event) => setFilter(event.currentTarget.value)}
        />
        <Verification />
      </div>
      <p class="lead">{words.lead}</p>
      <section class="panel">
        <table class="list" aria-label={words.title}>
          <thead>
            <tr>
              <th class="right">{columns.number}</th>
              <th>{columns.at}</th>
              <th>{columns.actor}</th>
              <th>{columns.action}</th>
              <th>{columns.subject}</th>
              <th>{columns.reason}</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((each) => (
              <tr key={each.number} title={each.digest}>
                <td class="right muted">{each.number}</td>
                <td class="instant">{instant(ms(each.at_ns))}</td>
                <td>{each.actor}</td>
                <td class="strong">{each.action}</td>
                <td class="words">{each.subject}</td>
                <td class="words">{each.reason}</td>
              </tr>
            ))}
          </tbody>
        </table>
        {state === "failed" && <p class="failure">{text.failed(failure)}</p>}
        <div class="more" role="status">
          {state === "loading" ? (
            text.loading
          ) : cursor ? (
            <button class="plain" onClick={() => void read(cursor)}>
              {words.older}
            </button>
          ) : (
            <span class="muted">{state === "loaded" && words.end}</span>
          )}
        </div>
      </section>
    </main>
  );
}

function Verification() {
  const [said, say] = useState<{ words: string; wrong: boolean } | null>(null);
  const [busy, setBusy] = useState(false);
  const check = async () => {
    setBusy(true);
    try {
      const found = await verifyTrail();
      const wrong = found.first_misfit !== null;
      say({ words: wrong ? words.broken(found.first_misfit!) : words.intact(instant(ms(found.checked_ns))), wrong });
    } catch (error) {
      say({ words: text.failed((error as Error).message), wrong: true });
    }
    setBusy(false);
  };
  return (
    <>
      <button class="plain" disabled={busy} onClick={() => void check()}>
        {busy ? words.verifying : words.verify}
      </button>
      <span role="status" class={said?.wrong ? "wrong" : "muted"}>
        {said?.wrong && <Mark />} {said?.words}
      </span>
    </>
  );
}
