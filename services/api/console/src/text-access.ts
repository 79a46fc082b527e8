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
  wrong: {
    password:
      "There is no such user with this password. Look at capitals and at the layout of the keyboard, and type both again. An administrator can give you another password, or say whether you are disabled.",
    key: "This key opens nothing, or nothing any more. Copy all of it: a key begins with dyn_ and has 56 characters. If it has expired or was revoked, an administrator can make another.",
  },
  notForPeople: "This key is an edge's, and opens no console. Sign in with your name and password, or with a key made for people.",
  wait: (seconds: number) => `Too many attempts have failed. Try again in ${seconds} s.`,
  unavailable: (why: string) => `The service cannot tell now who you are: ${why}. Try again in a few seconds; if it stays so, look at its log and at the registry's disk or database.`,
  unreachable: "The service does not answer. Look whether it runs, and whether this computer reaches it; then try again.",
  failed: (why: string) => `Signing in did not work: ${why}`,
  signOut: "Sign out",
  open: "open access",
  openHint: "Nobody signs in here: whoever reaches this service is an engineer.",
  roles,
  roleOf: (role: Role | null) => (role ? roles[role] : "–"),
  nameOf: (name: string) => name.replace(/^(user|key):/, ""),
  youHint: (name: string, role: Role | null) => `Signed in as ${name}, with the role ${role ? roles[role] : "–"}: password and sessions`,
  needs: (role: Role) => `Commands here need the role ${roles[role]}. You may look.`,
};
