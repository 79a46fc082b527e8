// Who sits at the console, and what they may do: as the service sees it.
import { answered, whenRefused } from "./api";

export type Role = "viewer" | "operator" | "engineer" | "admin" | "edge";

interface Session {
  mode: "closed" | "open";
  signed_in: boolean;
  name: string;
  role: Role | null;
  may: Role[];
  by: string;
  ends_ns: number | null;
}

export type Proof = { name: string; password: string } | { key: string };

class Who {
  /** Null until the service has answered; then nobody is kept from trying, and the service says what it thinks. */
  session: Session | null = null;

  get in(): boolean {
    return !this.session || this.session.mode === "open" || this.session.signed_in;
  }

  may(role: Role): boolean {
    return !this.session || this.session.may.includes(role);
  }

  async ask(): Promise<void> {
    this.session = await answered<Session>(await fetch("/v1/session")).catch(() => null);
  }

  async signIn(proof: Proof): Promise<void> {
    const headers = { Accept: "application/json", "Content-Type": "application/json" };
    await answered(await fetch("/v1/session", { method: "POST", headers, body: JSON.stringify(proof) }));
    location.reload();
  }

  async signOut(): Promise<void> {
    await fetch("/v1/session", { method: "DELETE" });
    location.reload();
  }

  /** Begin anew, which asks to sign in, where the session has ended; not where only one answer was refused. */
  async look(): Promise<void> {
    const before = this.session;
    await this.ask();
    if (this.session?.role !== before?.role || this.session?.signed_in !== before?.signed_in) location.reload();
  }
}

export const who = new Who();

let looking: Promise<void> | null = null;
whenRefused(() => {
  looking ??= who.look().finally(() => (looking = null));
});

/** Whether who sits here may do what a role may. It holds while the page is there: another role begins it anew. */
export const useMay = (role: Role): boolean => who.may(role);
