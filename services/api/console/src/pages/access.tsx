import { Keys } from "../access/keys";
import { Sessions, You } from "../access/own";
import { Users } from "../access/users";
import { text } from "../text";
import { useMay, who } from "../who";

const words = text.people;

/** One's own password and sessions; for administrators, users and keys. */
export function Access() {
  const administers = useMay("admin");
  const open = who.session?.mode === "open";
  return (
    <main class="page people" id="main" tabIndex={-1}>
      <div class="bar">
        <h1>{words.title}</h1>
        {!administers && !open && <span class="needs muted">{words.administrators}</span>}
      </div>
      <p class="lead">{open ? words.openLead : words.lead}</p>
      {!open && (
        <div class="panels">
          <You />
          <Sessions />
        </div>
      )}
      {administers && !open && <Users />}
      {administers && !open && <Keys />}
    </main>
  );
}
