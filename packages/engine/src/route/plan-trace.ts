import type { HedgePlan, Plan, RetryPlan } from "../contract.js";
import type { Trace } from "../trace.js";
import { retryOnText } from "./retry-on.js";

/** Reports the limits of time and the retries of a plan. */
export function tracePlan(trace: Trace, plan: Plan): void {
  const { timeoutMs, idleTimeoutMs, maxDurationMs, retry, hedge, provenance: owner } = plan;
  trace.add({
    step: "timeout",
    subject: "timeouts",
    verdict: "info",
    reason: timeoutMs === 0 ? "the route limits no request" : `the route limits a request to ${timeoutMs} ms`,
    owner,
    facts: {
      timeoutMs,
      idleTimeoutMs,
      ...(maxDurationMs !== undefined && { maxDurationMs }),
    },
  });
  trace.add({
    step: "retry",
    subject: "retries",
    verdict: "info",
    reason: retry === undefined ? "the route has no retry policy" : retryText(retry),
    owner,
    ...(retry !== undefined && { facts: retryFacts(retry) }),
  });
  if (hedge !== undefined)
    trace.add({ step: "retry", subject: "hedging", verdict: "info", reason: hedgeText(hedge), owner });
}

function retryText(retry: RetryPlan): string {
  const count = retry.attempts === 1 ? "1 retry" : `${retry.attempts} retries`;
  return `up to ${count} on ${retryOnText(retry.on, retry.statusCodes)}`;
}

function retryFacts(retry: RetryPlan): Readonly<Record<string, string | number>> {
  const { attempts, perTryTimeoutMs, perTryIdleTimeoutMs, backoffBaseMs, backoffMaxMs } = retry;
  return {
    attempts,
    perTryTimeoutMs,
    perTryIdleTimeoutMs,
    backoffBaseMs,
    backoffMaxMs,
    anyMethod: retryOnText(retry.onAnyMethod, []),
  };
}

function hedgeText({ initial, afterMs, max, onPerTryTimeout }: HedgePlan): string {
  const parts: string[] = [];
  if (initial > 1) parts.push(`${initial} tries at once`);
  if (afterMs > 0) parts.push(`one more after every ${afterMs} ms, up to ${max}`);
  if (onPerTryTimeout) parts.push("a try that reaches the per-try timeout goes on beside the next");
  return parts.join("; ");
}
