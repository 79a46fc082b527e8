import { text } from "../text";
import { type Role, useMay, who } from "../who";

const words = text.access;

/** Who sits here, and the way out. */
export function WhoHere() {
  const session = who.session;
  if (!session) return null;
  if (session.mode === "open") {
    return (
      <span class="who muted" title={words.openHint}>
        {words.open}
      </span>
    );
  }
  return (
    <span class="who">
      <a class="you" href="#/access" title={words.youHint(session.name, session.role)}>
        <span class="clip">{words.nameOf(session.name)}</span>
        <span class="hidden"> · </span>
        <span class="role">{words.roleOf(session.role)}</span>
      </a>
      <button class="plain" onClick={() => void who.signOut()}>
        {words.signOut}
      </button>
    </span>
  );
}

/** Say why there are no controls, to those for whom there are none. */
export function Needs({ role }: { role: Role }) {
  return useMay(role) ? null : <p class="needs muted">{words.needs(role)}</p>;
}
