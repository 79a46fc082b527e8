import { useState } from "preact/hooks";
import { addUser, getUser, getUsers, putUser, removeUser, type User } from "../ask/access";
import { instant, ms } from "../format";
import { useAnswer } from "../hooks";
import { text } from "../text";
import { type Role, who } from "../who";
import { Doing, Reason } from "./doing";
import { PEOPLE, RoleField } from "./role";

const words = text.people.users;

/** All users, and what an administrator does with them. */
export function Users() {
  const [asked, again] = useState(0);
  const [adding, add] = useState(false);
  const [changing, change] = useState<User | null>(null);
  const [removing, remove] = useState<User | null>(null);
  const { answer, error } = useAnswer(getUsers, [asked]);
  const done = () => {
    add(false);
    change(null);
    remove(null);
    again((n) => n + 1);
  };
  const { columns } = words;
  return (
    <section class="panel">
      <div class="panel-head">
        <h2>{words.title}</h2>
        <div class="spacer" />
        <button class="plain" onClick={() => add(true)}>
          {words.add}
        </button>
      </div>
      {error && <p class="failure">{text.failed(error.message)}</p>}
      {answer && !answer.length && <p class="empty">{words.none}</p>}
      {answer && answer.length > 0 && (
        <table class="list" aria-label={words.title}>
          <thead>
            <tr>
              <th>{columns.name}</th>
              <th>{columns.role}</th>
              <th>{columns.state}</th>
              <th class="right">{columns.sessions}</th>
              <th>{columns.since}</th>
              <th>{columns.changed}</th>
              <th>{columns.act}</th>
            </tr>
          </thead>
          <tbody>
            {answer.map((each) => (
              <tr key={each.name} class={each.disabled ? "calm" : ""}>
                <td class="words strong">{each.name}</td>
                <td>{text.access.roles[each.role]}</td>
                <td>{each.disabled ? words.disabled : words.works}</td>
                <td class="right">{each.n_sessions}</td>
                <td class="instant">{instant(ms(each.created_ns))}</td>
                <td class="instant">{instant(ms(each.changed_ns))}</td>
                <td class="commands">
                  <button class="plain" aria-label={words.changeOf(each.name)} onClick={() => change(each)}>
                    {words.change}
                  </button>{" "}
                  <button class="plain" aria-label={words.removeOf(each.name)} onClick={() => remove(each)}>
                    {words.remove}
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {adding && <Add close={() => add(false)} done={done} />}
      {changing && <Change user={changing} close={() => change(null)} done={done} />}
      {removing && <Remove user={removing} close={() => remove(null)} done={done} />}
    </section>
  );
}

interface Props {
  close: () => void;
  done: () => void;
}

function PasswordField({ label, value, set }: { label: string; value: string; set: (password: string) => void }) {
  return (
    <label class="field">
      {label}
      <input type="password" autocomplete="new-password" value={value} onInput={(event) => set(event.currentTarget.value)} />
      <span class="muted">{text.people.you.rule}</span>
    </label>
  );
}

function Add({ close, done }: Props) {
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("viewer");
  const [password, setPassword] = useState("");
  const [reason, setReason] = useState("");
  const act = async () => {
    await addUser({ name: name.trim().toLowerCase(), role, password }, reason.trim());
    done();
  };
  return (
    <Doing title={words.addTitle} note="" go={words.goAdd} ready={name.trim() !== "" && password !== ""} close={close} act={act}>
      <label class="field">
        {words.columns.name}
        <input
          type="text"
          autocomplete="off"
          autocapitalize="none"
          spellcheck={false}
          maxLength={64}
          value={name}
          onInput={(event) => setName(event.currentTarget.value)}
        />
        <span class="muted">{words.nameHint}</span>
      </label>
      <RoleField roles={PEOPLE} value={role} set={setRole} />
      <PasswordField label={text.access.password} value={password} set={setPassword} />
      <Reason value={reason} set={setReason} />
    </Doing>
  );
}

/** As they are now by the service, so that nobody overwrites what another administrator has changed meanwhile. */
function Change({ user, close, done }: { user: User } & Props) {
  const { answer, error } = useAnswer(() => getUser(user.name), [user.name]);
  const [role, setRole] = useState<Role>(user.role);
  const [disabled, disable] = useState(user.disabled);
  const [password, setPassword] = useState("");
  const [reason, setReason] = useState("");
  const act = async () => {
    await putUser(user.name, { role, disabled, password: password || null }, reason.trim(), answer!.tag);
    done();
  };
  return (
    <Doing title={words.changeTitle(user.name)} note={words.resetNote} go={words.goChange} ready={answer !== null} close={close} act={act}>
      {error && <p class="failure">{text.failed(error.message)}</p>}
      {who.session?.name === `user:${user.name}` && <p class="strong">{words.yourself}</p>}
      <RoleField roles={PEOPLE} value={role} set={setRole} />
      <label class="check">
        <input type="checkbox" checked={disabled} onChange={(event) => disable(event.currentTarget.checked)} />
        {words.mayNot}
      </label>
      <PasswordField label={words.reset} value={password} set={setPassword} />
      <Reason value={reason} set={setReason} />
    </Doing>
  );
}

function Remove({ user, close, done }: { user: User } & Props) {
  const { answer, error } = useAnswer(() => getUser(user.name), [user.name]);
  const [reason, setReason] = useState("");
  const act = async () => {
    await removeUser(user.name, reason.trim(), answer!.tag);
    done();
  };
  return (
    <Doing title={words.removeTitle(user.name)} note={words.removeNote} go={words.goRemove} ready={answer !== null} close={close} act={act}>
      {error && <p class="failure">{text.failed(error.message)}</p>}
      {who.session?.name === `user:${user.name}` && <p class="strong">{words.yourself}</p>}
      <Reason value={reason} set={setReason} />
    </Doing>
  );
}
