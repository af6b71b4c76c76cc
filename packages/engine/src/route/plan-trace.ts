import type { HedgePlan, Plan, RedirectPlan } from "../contract.js";
import type { Trace } from "../trace.js";

/** Reports the limits of time of a plan, and its hedging. What it says of retries depends on the failure. */
export function tracePlan(trace: Trace, plan: Plan): void {
  const { timeoutMs, idleTimeoutMs, maxDurationMs, hedge, redirects, provenance: owner } = plan;
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
  if (hedge !== undefined)
    trace.add({ step: "retry", subject: "hedging", verdict: "info", reason: hedgeText(hedge), owner });
  if (redirects !== undefined)
    trace.add({
      step: "route",
      subject: "redirects",
      verdict: "info",
      reason: redirectText(redirects),
      owner,
    });
}

function redirectText({ max, statuses }: RedirectPlan): string {
  const times = max === 1 ? "once" : `up to ${max} times`;
  return `a redirect of the service (${[...statuses].join(", ")}) is followed by the sidecar itself, ${times}`;
}

function hedgeText({ initial, afterMs, max, onPerTryTimeout }: HedgePlan): string {
  const parts: string[] = [];
  if (initial > 1) parts.push(`${initial} tries at once`);
  if (afterMs > 0) parts.push(`one more after every ${afterMs} ms, up to ${max}`);
  if (onPerTryTimeout) parts.push("a try that reaches the per-try timeout goes on beside the next");
  return parts.join("; ");
}
