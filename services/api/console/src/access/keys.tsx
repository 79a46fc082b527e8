import { useState } from "preact/hooks";
import { getKeys, type Key, revokeKey } from "../ask/access";
import { day, instant, ms } from "../format";
import { useAnswer } from "../hooks";
import { text } from "../text";
import { Doing, Reason } from "./doing";
import { Made, Make } from "./make";

const words = text.people.keys;

function scope(key: Key): string {
  if (key.edge) return words.edgeOnly(key.edge);
  const parts = [key.edges && words.edges(key.edges.join(", ")), key.sensors && words.sensors(key.sensors.join(", "))].filter(Boolean);
  return parts.length ? parts.join("; ") : words.everything;
}

function end(key: Key): string {
  if (key.revoked_ns !== null) return words.revoked(day(ms(key.revoked_ns)));
  if (key.expires_ns === null) return words.never;
  return key.opens ? instant(ms(key.expires_ns)) : words.expired(day(ms(key.expires_ns)));
}

/** All keys, and what an administrator does with them. */
export function Keys() {
  const [asked, again] = useState(0);
  const [making, make] = useState(false);
  const [made, show] = useState("");
  const [revoking, revoke] = useState<Key | null>(null);
  const [all, showAll] = useState(false);
  const { answer, error } = useAnswer(getKeys, [asked]);
  const shown = (answer ?? []).filter((key) => all || key.opens).reverse();
  const { columns } = words;
  return (
    <section class="panel">
      <div class="panel-head">
        <h2>{words.title}</h2>
        <div class="spacer" />
        <label class="check">
          <input type="checkbox" checked={all} onChange={(event) => showAll(event.currentTarget.checked)} />
          {words.all}
        </label>
        <button class="plain" onClick={() => make(true)}>
          {words.add}
        </button>
      </div>
      {error && <p class="failure">{text.failed(error.message)}</p>}
      {answer && !shown.length && <p class="empty">{words.none}</p>}
      {shown.length > 0 && (
        <table class="list" aria-label={words.title}>
          <thead>
            <tr>
              <th>{columns.id}</th>
              <th>{columns.label}</th>
              <th>{columns.role}</th>
              <th>{columns.scope}</th>
              <th>{columns.used}</th>
              <th>{columns.expires}</th>
              <th>{columns.made}</th>
              <th>{columns.act}</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((key) => (
              <tr key={key.id} class={key.opens ? "" : "calm"}>
                <td class="strong">{key.id}</td>
                <td class="words">{key.label}</td>
                <td>{text.access.roles[key.role]}</td>
                <td class="words">{scope(key)}</td>
                <td class="instant">{key.used_ns === null ? words.never : instant(ms(key.used_ns))}</td>
                <td class="instant">{end(key)}</td>
                <td class="words">{words.by(day(ms(key.created_ns)), key.created_by)}</td>
                <td class="commands">
                  {key.revoked_ns === null && (
                    <button class="plain" aria-label={words.revokeOf(key.id)} onClick={() => revoke(key)}>
                      {words.revoke}
                    </button>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {making && (
        <Make
          close={() => make(false)}
          done={(key) => {
            make(false);
            show(key);
            again((n) => n + 1);
          }}
        />
      )}
      {made && <Made text={made} close={() => show("")} />}
      {revoking && (
        <Revoke
          key={revoking.id}
          id={revoking.id}
          close={() => revoke(null)}
          done={() => {
            revoke(null);
            again((n) => n + 1);
          }}
        />
      )}
    </section>
  );
}

function Revoke({ id, close, done }: { id: string; close: () => void; done: () => void }) {
  const [reason, setReason] = useState("");
  const act = async () => {
    await revokeKey(id, reason.trim());
    done();
  };
  return (
    <Doing title={words.revokeTitle(id)} note={words.revokeNote} go={words.goRevoke} ready close={close} act={act}>
      <Reason value={reason} set={setReason} />
    </Doing>
  );
}
