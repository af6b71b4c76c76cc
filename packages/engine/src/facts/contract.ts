import type { ExtAuthzFact, ExtAuthzNeed } from "./ext-authz.js";
import type { JwtFact, JwtNeed } from "./jwt.js";
import type { RateLimitFact, RateLimitNeed } from "./rate-limit.js";

/**
 * What a step must be told from outside before it can decide, as immutable settings: who is asked, and how. A new kind is a
 * file beside this one, a member here, a member of {@link Fact}, and a fetcher in the proxy.
 */
export type FactNeed = ExtAuthzNeed | JwtNeed | RateLimitNeed;

/** An answer of the outside. Of the kind that was asked for, or a failure. */
export type Fact = ExtAuthzFact | JwtFact | RateLimitFact | FactFailure;

export type FactKind = FactNeed["kind"];

/** What every need says. */
export interface NeedBase {
  /** Who is asked, in words: `ext_authz authz.default.svc.cluster.local:9000`. */
  readonly asks: string;
  /** How much of the request's body must be there first; absent = none of it. */
  readonly body?: BodyNeed | undefined;
}

/** A request's body that must come before the outside is asked. */
export interface BodyNeed {
  readonly maxBytes: number;
  /** Whether a longer body is told of by its beginning; if not, such a request is refused with 413. */
  readonly allowPartial: boolean;
}

/** Nobody could be asked, or nobody answered. What becomes of the request then is for the step to say. */
export interface FactFailure {
  readonly kind: "failed";
  /**
   * `timeout`: no answer in time; `unreachable`: no connection, or it broke; `overflow`: too many questions are under
   * way; `invalid`: the answer makes no sense; `unsupported`: nobody here can ask; `refused`: an error was answered.
   */
  readonly reason: "timeout" | "unreachable" | "overflow" | "invalid" | "unsupported" | "refused";
  /** For logs and explanations, as a part of a sentence. */
  readonly detail: string;
}

/** An answer of another kind than what was asked for. */
export const NO_ANSWER: FactFailure = {
  kind: "failed",
  reason: "invalid",
  detail: "it is no answer to this",
};
