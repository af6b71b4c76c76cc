import { MeshError } from "@tulle/base";

import { record } from "../agents/index.js";

const MAX_ENTRIES = 2000;
const MAX_TEXT = 4096;

/** Reads a proxy's checksums by type URL. Throws `unavailable` CONTROL_AGENT_ANSWER. */
export function readHeldTypes(answer: unknown): ReadonlyMap<string, string> {
  const { types } = record(answer);
  if (typeof types !== "object" || types === null) throw unreadable();
  return readPairs(Object.entries(types));
}

/** What a proxy holds of a type. */
export interface HeldNames {
  /** Names with versions. */
  readonly resources: ReadonlyMap<string, string>;
  /** Whether there are more than it could tell. */
  readonly cut: boolean;
}

/** Reads the names and versions that a proxy holds. Throws `unavailable` CONTROL_AGENT_ANSWER. */
export function readHeldNames(answer: unknown): HeldNames {
  const { resources, omitted } = record(answer);
  if (!Array.isArray(resources)) throw unreadable();
  return { resources: readPairs(resources), cut: omitted !== 0 };
}

function readPairs(pairs: readonly unknown[]): ReadonlyMap<string, string> {
  if (pairs.length > MAX_ENTRIES) throw unreadable();
  const read = new Map<string, string>();
  for (const pair of pairs) {
    if (!Array.isArray(pair)) throw unreadable();
    const [name, value] = pair as readonly unknown[];
    if (typeof name !== "string" || typeof value !== "string") throw unreadable();
    if (name.length > MAX_TEXT || value.length > MAX_TEXT) throw unreadable();
    read.set(name, value);
  }
  return read;
}

function unreadable(): MeshError {
  return new MeshError(
    "unavailable",
    "CONTROL_AGENT_ANSWER",
    "it gave an answer that cannot be read; is it of another version?",
  );
}
