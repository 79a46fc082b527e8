// What the page on holds asks for, and orders.
import { get, name, post, remove } from "../api";

export interface Hold {
  id: string;
  sensor: string | null;
  from_ns: number;
  to_ns: number | null;
  reason: string;
  put_by: string;
  put_ns: number;
}

/** A hold as it is to be: whole seconds since 1970, which lose nothing as nanoseconds. */
export interface Wanted {
  sensor: string | null;
  fromS: number;
  toS: number | null;
  reason: string;
}

const ns = (seconds: number): number => Math.round(seconds * 1e9);

export const getHolds = async (): Promise<Hold[]> => (await get<{ items: Hold[] }>("/v1/holds")).items;

/** `key` is the same for the same wish: a hold that was put, and whose answer was lost, is not put twice. */
export const putHold = ({ sensor, fromS, toS, reason }: Wanted, key: string) =>
  post<Hold>("/v1/holds", { sensor, from_ns: ns(fromS), to_ns: toS === null ? null : ns(toS), reason }, { "Idempotency-Key": key });

export const releaseHold = (id: string, reason: string) => remove(`/v1/holds/${name(id)}`, { reason });
