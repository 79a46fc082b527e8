// Sentences about signing in, and about who may do what.
import type { Role } from "./who";

const roles: Record<Role, string> = { viewer: "viewer", operator: "operator", engineer: "engineer", admin: "administrator", edge: "edge" };

export const accessText = {
  title: "Sign in",
  lead: "Values, alarms and commands are for those whom this service knows.",
  ways: { label: "Sign in with", password: "Name and password", key: "Key" },
  name: "Name",
  password: "Password",
  key: "Key",
  keyHint: "The first key was shown once, when the service was started for the first time.",
  signIn: "Sign in",
  signingIn: "Signing in …",
  wrong: { password: "There is no such user with this password.", key: "This key opens nothing, or nothing any more." },
  wait: (seconds: number) => `Too many attempts have failed. Try again in ${seconds} s.`,
  failed: (why: string) => `Signing in did not work: ${why}`,
  signOut: "Sign out",
  open: "open access",
  openHint: "Nobody signs in here: whoever reaches this service is an engineer.",
  roles,
  you: (name: string, role: Role | null) => `${name.replace(/^(user|key):/, "")} · ${role ? roles[role] : "–"}`,
  youHint: (name: string, role: Role | null) => `Signed in as ${name}, with the role ${role ? roles[role] : "–"}`,
  needs: (role: Role) => `Commands here need the role ${roles[role]}. You may look.`,
};
