// What the pages on losses, the system and the audit trail ask for.
import { get } from "../api";

export interface Account {
  edge: string;
  at_ns: number | null;
  numbers: number;
  blocks: number;
  samples: number;
  gap_numbers: number;
  gaps: Record<string, { gaps: number; samples: number; uncounted: number }>;
  lost_samples: number;
  quarantined: number;
  unknown: number;
  repeated_records: number;
  repeated_samples: number;
}

export interface Ledger extends Account {
  sensor: string;
  others: Account[];
}

export interface Edge {
  edge: string;
  site: string;
  online: boolean;
  since_ns: number;
  version: string;
  u_clock_ns: number | null;
  n_sensors: number;
  clock: Clock | null;
}

export interface Clock {
  state: string;
  good: boolean;
  u_ns: number;
  since_ns: number;
  source: string;
  reference: string;
  offset_ns: number | null;
  n_stamped: number;
}

export interface Outlet {
  name: string;
  way: "webhook" | "mail" | "opcua";
  where: string;
  state: "starting" | "works" | "fails" | "disabled";
  fault: string;
  n_waiting: number;
  n_unread: number;
  oldest_ns: number | null;
  n_delivered: number;
  n_given_up: number;
}

export interface System {
  now_ns: number;
  started_ns: number | null;
  version: string;
  api_version: string;
  ready: boolean;
  parts: Record<string, string>;
  edges: Edge[];
  outlets: Outlet[];
  sensors: number;
  cpu_s: number | null;
  memory_bytes: number | null;
  streams: { clients: number; most_clients: number; frames: number; dropped: number; cut: number };
  messages: { kind: string; taken: number; rejected: number }[];
  requests: { answered: number; refused: number; failed: number };
}

export interface AuditEntry {
  number: number;
  at_ns: number;
  actor: string;
  action: string;
  subject: string;
  reason: string;
  digest: string;
}

/** All ledgers, page by page; `each` sees every page as it comes. */
export async function eachLedgerPage(each: (items: Ledger[]) => void): Promise<void> {
  let cursor: string | null = null;
  do {
    const page: { items: Ledger[]; next_cursor: string | null } = await get("/v1/ledger", { limit: 1000, ...(cursor ? { cursor } : {}) });
    each(page.items);
    cursor = page.next_cursor;
  } while (cursor);
}

export const getSystem = () => get<System>("/v1/system");
export const getTrail = (cursor: string | null) =>
  get<{ items: AuditEntry[]; next_cursor: string | null }>("/v1/audit/newest", { limit: 100, ...(cursor ? { cursor } : {}) });
export const verifyTrail = () => get<{ checked_ns: number; first_misfit: number | null }>("/v1/audit/verification");
