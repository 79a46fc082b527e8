import { useState } from "preact/hooks";
import { ApiError } from "../api";
import { changePassword, endSession, getSessions } from "../ask/access";
import { instant, ms } from "../format";
import { useAnswer } from "../hooks";
import { type Fact, FactList } from "../parts/facts";
import { Mark } from "../parts/tile";
import { text } from "../text";
import { who } from "../who";
import { Doing } from "./doing";

const words = text.people;

/** Who sits here: what they may do, their password. */
export function You() {
  const [changing, change] = useState(false);
  const session = who.session;
  if (!session) return null;
  const ownPassword = session.name.startsWith("user:");
  const facts: Fact[] = [
    [words.you.name, text.access.nameOf(session.name)],
    [words.role, session.role ? `${text.access.roles[session.role]}: ${words.may[session.role]}` : text.nothing],
    ...(session.ends_ns ? ([[words.you.until, instant(ms(session.ends_ns))]] as Fact[]) : []),
  ];
  return (
    <section class="panel">
      <h2>{words.you.title}</h2>
      <FactList facts={facts} />
      {ownPassword ? (
        <button class="plain" onClick={() => change(true)}>
          {words.you.change}
        </button>
      ) : (
        <p class="muted">{words.you.noPassword}</p>
      )}
      {changing && <Password close={() => change(false)} />}
    </section>
  );
}

function Password({ close }: { close: () => void }) {
  const [before, setBefore] = useState("");
  const [after, setAfter] = useState("");
  const [again, setAgain] = useState("");
  const field = (label: string, value: string, set: (v: string) => void, complete: string) => (
    <label class="field">
      {label}
      <input type="password" autocomplete={complete} required value={value} onInput={(event) => set(event.currentTarget.value)} />
    </label>
  );
  const act = async () => {
    await changePassword(before, after);
    location.reload();
  };
  const said = (error: Error) => {
    if (error instanceof ApiError && error.status === 401) return words.you.wrong;
    if (error instanceof ApiError && error.status === 429) return text.access.wait(Number(error.problem["retry_after_s"] ?? 1));
    return words.notDone(error.message);
  };
  const differ = again !== "" && after !== again;
  return (
    <Doing
      title={words.you.changeTitle}
      note={words.you.changeNote}
      go={words.you.go}
      ready={before !== "" && after !== "" && after === again}
      close={close}
      act={act}
      said={said}
    >
      {field(words.you.before, before, setBefore, "current-password")}
      {field(words.you.after, after, setAfter, "new-password")}
      {field(words.you.again, again, setAgain, "new-password")}
      <p class={differ ? "wrong" : "muted"}>{differ ? words.you.differ : words.you.rule}</p>
    </Doing>
  );
}

/** One's own sessions, any of which can be ended from here. */
export function Sessions() {
  const [asked, again] = useState(0);
  const [failure, fail] = useState("");
  const { answer, error } = useAnswer(getSessions, [asked]);
  const end = async (id: string, here: boolean) => {
    fail("");
    try {
      await endSession(id);
    } catch (error) {
      fail(words.notDone((error as Error).message));
    }
    if (here) location.reload();
    again((n) => n + 1);
  };
  const { sessions } = words;
  return (
    <section class="panel">
      <h2>{sessions.title}</h2>
      {error && <p class="failure">{text.failed(error.message)}</p>}
      {answer && !answer.length && <p class="empty">{sessions.none}</p>}
      {answer && answer.length > 0 && (
        <table class="list" aria-label={sessions.title}>
          <thead>
            <tr>
              <th>{sessions.opened}</th>
              <th>{sessions.seen}</th>
              <th>{sessions.ends}</th>
              <th>{sessions.act}</th>
            </tr>
          </thead>
          <tbody>
            {answer.map((each) => (
              <tr key={each.id}>
                <td class="instant">
                  {instant(ms(each.opened_ns))} {each.here && <span class="muted">({sessions.here})</span>}
                </td>
                <td class="instant">{instant(ms(each.seen_ns))}</td>
                <td class="instant">{instant(ms(each.expires_ns))}</td>
                <td>
                  <button class="plain" aria-label={sessions.endIt(instant(ms(each.opened_ns)))} onClick={() => void end(each.id, each.here)}>
                    {sessions.end}
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <p class="wrong" role="status">
        {failure && <Mark />} {failure}
      </p>
    </section>
  );
}
