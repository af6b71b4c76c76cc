import type { AttemptState, DecisionView, EngineRequest, Outcome, Plan } from "../contract.js";
import { GIVE_UP } from "../contract.js";
import { backOff } from "./back-off.js";
import { reachedLimit } from "./budget.js";
import { traceGivenUp, traceHedge, traceRetry, verdictText } from "./next-trace.js";
import { allows, isRepeatable, judge, Verdict } from "./verdict.js";

/**
 * Whether to try again, and after how many milliseconds; `GIVE_UP` when not. Without a retry policy never.
 *
 * A try that cannot have reached the application (no connection, no byte of the request sent) is repeated under any
 * policy. Beyond that the request may have been carried out, so only requests that may be repeated are: methods that
 * are idempotent (RFC 9110 section 9.2.2) or requests with an `idempotency-key`. This is stricter than Envoy, which
 * repeats a POST whenever `retry_on` holds and has charged people twice for it. A POST that was sent is repeated where
 * somebody says so: by a condition that names an answer (`retryOn: "503"`), by the route's mark that every condition
 * counts for every method, or by the calling application's own headers. Once the response has begun, nothing is repeated.
 */
export function next(
  view: DecisionView,
  plan: Plan,
  request: EngineRequest,
  attempt: AttemptState,
  outcome: Outcome,
): number {
  const { retry } = plan;
  if (retry === undefined) return giveUp(view, outcome, "the route has no retry policy");
  if (attempt.attempts > retry.attempts) return giveUp(view, outcome, "its retries are used up");
  const verdict = judge(retry, request, outcome);
  if (!allows(verdict)) {
    if (view.trace !== undefined) traceGivenUp(view.trace, outcome, verdictText(verdict, retry, request));
    return GIVE_UP;
  }
  const limit = reachedLimit(view, plan, attempt, verdict === Verdict.UNSENT);
  if (limit !== undefined) return giveUp(view, outcome, `the cluster's ${limit} is reached`);
  const delayMs = backOff(view, retry, outcome, attempt.attempts);
  if (delayMs < 0) return giveUp(view, outcome, "the answer asks not to come back, or not soon");
  if (isTooLate(view, attempt, delayMs)) return giveUp(view, outcome, "its time will be over by then");
  if (view.trace !== undefined)
    traceRetry(view.trace, outcome, verdictText(verdict, retry, request), delayMs, attempt.attempts);
  return delayMs;
}

/**
 * Whether one more try of a request may run beside those that are under way: it may be repeated, its retries are not used
 * up, and the cluster has budget for it.
 */
export function mayHedge(
  view: DecisionView,
  plan: Plan,
  request: EngineRequest,
  attempt: AttemptState,
): boolean {
  let refusal: string | undefined;
  if (attempt.attempts > (plan.hedge?.max ?? 0)) refusal = "its tries are used up";
  else if (!isRepeatable(request)) refusal = "it may not be carried out twice";
  else if (reachedLimit(view, plan, attempt, false) !== undefined)
    refusal = "the cluster's retry budget is spent";
  if (view.trace !== undefined) traceHedge(view.trace, refusal);
  return refusal === undefined;
}

function isTooLate(view: DecisionView, { deadlineMs = 0 }: AttemptState, delayMs: number): boolean {
  return deadlineMs > 0 && view.now + delayMs >= deadlineMs;
}

function giveUp(view: DecisionView, outcome: Outcome, why: string): number {
  if (view.trace !== undefined) traceGivenUp(view.trace, outcome, why);
  return GIVE_UP;
}
