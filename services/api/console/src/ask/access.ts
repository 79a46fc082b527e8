// Who may get in: one's own sessions and password; for administrators, keys and users.
import { get, getTagged, name, post, put, remove } from "../api";
import type { Role } from "../who";

export interface OwnSession {
  id: string;
  opened_ns: number;
  seen_ns: number;
  expires_ns: number;
  here: boolean;
}

export interface User {
  name: string;
  role: Role;
  disabled: boolean;
  created_ns: number;
  changed_ns: number;
  n_sessions: number;
}

export interface Key {
  id: string;
  label: string;
  role: Role;
  edge: string | null;
  edges: string[] | null;
  sensors: string[] | null;
  created_ns: number;
  created_by: string;
  expires_ns: number | null;
  revoked_ns: number | null;
  used_ns: number | null;
  opens: boolean;
}

export interface NewKey {
  label: string;
  role: Role;
  edge: string | null;
  edges: string[] | null;
  sensors: string[] | null;
  expires_s: number | null;
}

const items = async <T>(path: string): Promise<T[]> => (await get<{ items: T[] }>(path)).items;
const because = (path: string, reason: string): string => `${path}?${new URLSearchParams({ reason })}`;

export const getSessions = () => items<OwnSession>("/v1/sessions");
export const endSession = (id: string) => remove(`/v1/sessions/${name(id)}`);
export const changePassword = (before: string, after: string) => put<void>("/v1/session/password", { old: before, new: after }, {});

export const getUsers = () => items<User>("/v1/users");
export const getUser = (user: string) => getTagged<User>(`/v1/users/${name(user)}`);
export const addUser = (user: { name: string; role: Role; password: string }, reason: string) => post<User>(because("/v1/users", reason), user);
export const putUser = (user: string, wanted: { role: Role; disabled: boolean; password: string | null }, reason: string, tag: string) =>
  put<User>(`/v1/users/${name(user)}`, wanted, { reason }, { "If-Match": tag });
export const removeUser = (user: string, reason: string, tag: string) => remove(`/v1/users/${name(user)}`, { reason }, { "If-Match": tag });

export const getKeys = () => items<Key>("/v1/keys");
export const addKey = (key: NewKey, reason: string) => post<{ text: string; key: Key }>(because("/v1/keys", reason), key);
export const revokeKey = (id: string, reason: string) => remove(`/v1/keys/${name(id)}`, { reason });
