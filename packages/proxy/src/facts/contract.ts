import type { EngineRequest, Fact, FactKind, FactNeed } from "@tulle/engine";

import type { ExchangeRecord } from "../stream/exchange-record.js";
import type { RequestSource } from "../stream/contract.js";
import type { RequestBody } from "../stream/request-body.js";

/** Whose question it is: an exchange that waits for the answer. */
export interface FactAsker {
  readonly record: ExchangeRecord;
  /** The request as the steps before have altered it. */
  readonly request: EngineRequest;
  /** What is here of the request's body: all that the need asks for. */
  readonly body: RequestBody;
  /** Exactly once, later than `fetch` returned, unless it was cancelled. */
  onFact(fact: Fact): void;
}

/** Whose question about a connection that carries bytes it is. */
export interface ConnectionAsker {
  readonly source: AskingSource;
  /** When it began: wall clock, milliseconds since the epoch. */
  readonly startTimeMs: number;
  /** 32 unsigned random bits. */
  readonly entropy: number;
}

/** What a service is told of a connection. */
export type AskingSource = Pick<
  RequestSource,
  "remoteAddress" | "localAddress" | "peerSpiffeId" | "serverName"
>;

/** A question that is under way. */
export interface PendingFact {
  /** Nobody waits for the answer any more. */
  cancel(): void;
}

/**
 * Gets facts of one kind. Answers within a time of its own: what can be known at once it returns, and it never throws (a
 * `FactFailure` says why there is no answer).
 */
export interface FactFetcher<Kind extends FactKind = FactKind> {
  readonly kind: Kind;
  fetch(need: Extract<FactNeed, { kind: Kind }>, asker: FactAsker): Fact | PendingFact;
}

/** Whether the answer is still to come. */
export function isPending(answer: Fact | PendingFact): answer is PendingFact {
  return "cancel" in answer;
}
