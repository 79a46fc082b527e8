import { text } from "../text";
import type { Role } from "../who";

export const PEOPLE: Role[] = ["viewer", "operator", "engineer", "admin"];

/** Choose a role, with what it may do below it. */
export function RoleField({ roles, value, set }: { roles: Role[]; value: Role; set: (role: Role) => void }) {
  return (
    <label class="field">
      {text.people.role}
      <select value={value} onChange={(event) => set(event.currentTarget.value as Role)}>
        {roles.map((each) => (
          <option key={each} value={each}>
            {text.access.roles[each]}
          </option>
        ))}
      </select>
      <span class="muted">{text.people.may[value]}</span>
    </label>
  );
}
