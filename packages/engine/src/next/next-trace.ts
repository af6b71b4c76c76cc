import type { EngineRequest, Outcome, RetryPlan } from "../contract.js";
import { retryOnText } from "../route/retry-on.js";
import type { Trace } from "../trace.js";
import { Verdict } from "./verdict.js";

/** A verdict as a part of a sentence. */
export function verdictText(verdict: number, retry: RetryPlan, { method }: EngineRequest): string {
  switch (verdict) {
    case Verdict.UNSENT:
      return "the application cannot have seen the request";
    case Verdict.REPEATABLE:
      return `retryOn ${retryOnText(retry.on, retry.statusCodes)} holds and a ${method} may be repeated`;
    case Verdict.SAID:
      return `retryOn ${retryOnText(retry.on, retry.statusCodes)} holds for any method`;
    case Verdict.NO_CONDITION:
      return `retryOn ${retryOnText(retry.on, retry.statusCodes)} does not hold`;
    case Verdict.NOT_REPEATABLE:
      return `a ${method} without Idempotency-Key that the application may have seen is not repeated`;
    case Verdict.NOT_THIS_REQUEST:
      return "the policy is for requests with other headers";
    case Verdict.ANSWER_BEGUN:
      return "the answer has begun";
    case Verdict.RETRIED_BELOW:
      return "the next sidecar has made its retries already";
    case Verdict.OVERLOADED:
      return "the service says that it is overloaded (x-envoy-overloaded)";
    default:
      return "the service limits its rate (x-envoy-ratelimited) and retryOn has no envoy-ratelimited";
  }
}

export function traceRetry(
  trace: Trace,
  outcome: Outcome,
  why: string,
  delayMs: number,
  attempts: number,
): void {
  trace.add({
    step: "retry",
    subject: outcomeText(outcome),
    verdict: "chosen",
    reason: `tried again: ${why}`,
    facts: { delayMs, retry: attempts },
  });
}

export function traceGivenUp(trace: Trace, outcome: Outcome, why: string): void {
  trace.add({
    step: "retry",
    subject: outcomeText(outcome),
    verdict: "passed-over",
    reason: `not tried again: ${why}`,
  });
}

export function traceHedge(trace: Trace, refusal: string | undefined): void {
  trace.add({
    step: "retry",
    subject: "hedge",
    verdict: refusal === undefined ? "chosen" : "passed-over",
    reason: refusal === undefined ? "one more try runs beside the others" : `no more tries: ${refusal}`,
  });
}

function outcomeText(outcome: Outcome): string {
  switch (outcome.kind) {
    case "response":
      return outcome.grpcStatus > 0 ? `grpc-status ${outcome.grpcStatus}` : `status ${outcome.status}`;
    case "reset":
      return outcome.requestSent ? "reset" : "reset before the request";
    default:
      return outcome.kind;
  }
}
