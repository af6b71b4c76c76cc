import type { HeldEndpoint } from "@tulle/api";
import { MeshError } from "@tulle/base";

import { record } from "../agents/index.js";

/** An endpoint set as a proxy tells it. */
export interface ToldSet {
  readonly cluster: string;
  readonly version: string;
  readonly changedAt: number;
  readonly endpoints: readonly HeldEndpoint[];
}

export interface ToldSets {
  /** By cluster. */
  readonly sets: ReadonlyMap<string, ToldSet>;
  /** Whether sets found no room in the answer: then one that is not there may be held all the same. */
  readonly cut: boolean;
}

const MAX_TEXT = 512;
const MAX_SETS = 1000;
const MAX_ENDPOINTS = 10_000;

/** Reads a proxy's answer, which may be anything. Throws `unavailable` CONTROL_AGENT_ANSWER. */
export function readToldSets(answer: unknown): ToldSets {
  const { sets, omitted } = record(answer);
  if (!Array.isArray(sets) || sets.length > MAX_SETS) throw unreadable();
  const read = sets.map(readSet);
  return { sets: new Map(read.map((set) => [set.cluster, set])), cut: omitted !== 0 };
}

function readSet(value: unknown): ToldSet {
  const { cluster, version, changedAt, endpoints } = record(value);
  if (!isText(cluster) || !isText(version) || typeof changedAt !== "number") throw unreadable();
  if (!Array.isArray(endpoints) || endpoints.length > MAX_ENDPOINTS) throw unreadable();
  return { cluster, version, changedAt, endpoints: endpoints.map(readEndpoint) };
}

function readEndpoint(value: unknown): HeldEndpoint {
  const { endpoint, healthy, held, requests } = record(value);
  if (!isText(endpoint) || typeof healthy !== "boolean" || typeof requests !== "number") throw unreadable();
  if (!Array.isArray(held) || held.length > 16 || !held.every(isText)) throw unreadable();
  return { address: endpoint, healthy, held, requests };
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value.length <= MAX_TEXT;
}

function unreadable(): MeshError {
  return new MeshError(
    "unavailable",
    "CONTROL_AGENT_ANSWER",
    "it gave an answer that cannot be read; is it of another version?",
  );
}
