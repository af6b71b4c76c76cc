import type { HashKey, LoadTable } from "../contract.js";
import type { EndpointPart } from "../snapshot/contract.js";

/** The endpoints that requests go to at the moment: one group, with their effective weights. */
export interface Candidates {
  /** Never empty. */
  readonly endpoints: readonly EndpointPart[];
  /** Running sums of the weights; undefined when all weigh the same. */
  readonly upTo: readonly number[] | undefined;
  readonly weights: readonly number[];
}

/** What a balancer may look at. Lent for the call. */
export interface Draw {
  readonly load: LoadTable;
  readonly clusterSlot: number;
  /** 32 random bits of this request and attempt. */
  readonly bits: number;
  /** What the request hashes to; undefined when it has nothing to hash. */
  readonly key: HashKey | undefined;
  /** How often this request has been given an endpoint that it does not want. */
  readonly again: number;
  /** Milliseconds, monotonic. */
  readonly now: number;
}

/** A balancing policy, compiled for one set of candidates. */
export interface Balancer {
  /** An endpoint; equal draws on equal load give the same one. */
  choose(draw: Draw): EndpointPart;
}

/** Makes the balancer for a set of candidates; called when the set changes, never per request. */
export type Policy = (candidates: Candidates) => Balancer;
