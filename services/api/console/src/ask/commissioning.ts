// What edges can read, and what they are to read: docs/commissioning.md has the meanings.
import { get, name, post, put } from "../api";

export interface Edge {
  edge: string;
  site: string;
  online: boolean;
}

export interface FoundNode {
  node: string;
  name: string;
  variable: boolean;
  numeric: boolean;
  array: boolean;
  data_type: string;
  value: string;
  unit: string;
  status: string;
}

export interface Place {
  place: string;
  value: string;
  array: boolean;
}

export type Format = "" | "number" | "json" | "msgpack" | "csv";

export interface FoundTopic {
  topic: string;
  n_messages: number;
  payload: string;
  format: Format;
  numbers: Place[];
  times: Place[];
}

/** As a section of the edge's file: what the console does not know of stays as it is. */
export type Section = Record<string, unknown>;

export interface Sources {
  edge: string;
  revision: number;
  at_ns: number;
  opcua: Section[];
  mqtt: Section[];
  reported: { revision: number; outcome: "applied" | "rejected"; running: number; at_ns: number; reason: string } | null;
}

const of = (edge: string) => `/v1/edges/${name(edge)}`;

export const getEdges = () => get<{ items: Edge[] }>("/v1/edges");
export const browse = (edge: string, server: Section, node: string) =>
  post<{ nodes: FoundNode[]; more: boolean }>(`${of(edge)}/browse`, { server, node });
export const listen = (edge: string, broker: Section | null, filter: string, seconds: number) =>
  post<{ topics: FoundTopic[]; more: boolean }>(`${of(edge)}/topics`, { broker, filter, seconds });
export const getSources = (edge: string) => get<Sources>(`${of(edge)}/sources`);

/** Have the edge read this in place of what is known as `seen`; refused (412) where somebody else was first. */
export const putSources = (edge: string, seen: Sources, opcua: Section[], mqtt: Section[], reason: string) =>
  put<Sources>(`${of(edge)}/sources`, { opcua, mqtt }, { reason }, { "If-Match": `"${seen.revision}"` });
