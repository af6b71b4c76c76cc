import type { Provenance } from "./snapshot/contract.js";

/** A step of a decision, in the order in which they are taken. */
export type TraceStep =
  | "listener"
  | "virtual-host"
  | "route"
  | "split"
  | "filter"
  | "cluster"
  | "priority"
  | "locality"
  | "endpoint"
  | "timeout"
  | "retry";

/** What a thing that was considered came to. `info` states a fact that nothing was decided by. */
export type TraceVerdict = "chosen" | "passed-over" | "info";

/** One thing that was considered on the way to a decision, and what became of it. Plain data: it goes out as JSON. */
export interface TraceEvent {
  readonly step: TraceStep;
  /** What was considered: `reviews.default.svc.cluster.local:9080`, `http[2]`, `10.0.0.7:8080`. */
  readonly subject: string;
  readonly verdict: TraceVerdict;
  /** Why, as a part of a sentence: `header "version" is "v1", not "v2"`. */
  readonly reason: string;
  /** The object that it comes from. */
  readonly owner?: Provenance | undefined;
  /** Figures behind the reason: weights, probabilities, times in ms. */
  readonly facts?: Readonly<Record<string, string | number | boolean | readonly string[]>> | undefined;
}

/**
 * Takes the events of a decision, in their order. Deciding without one must cost no more than a look at `view.trace`:
 * texts are made only where it is there.
 */
export interface Trace {
  add(event: TraceEvent): void;
}
