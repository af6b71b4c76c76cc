import type { DecisionView } from "@tulle/engine";

/** What decisions look at, filled anew for each one: a view that lives as long as its exchange or session. */
export type OwnView = { -readonly [Key in keyof DecisionView]: DecisionView[Key] };

/** 32 bits of a request id's hash (FNV-1a): the entropy of its decisions, so that a replay decides the same way. */
export function hashRequestId(id: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193);
  // One round of avalanche: FNV's low bits are weak for ids that differ at their end.
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  return hash >>> 0;
}
