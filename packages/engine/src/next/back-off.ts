import type { HeaderList } from "@tulle/http";
import type { DecisionView, Outcome, RetryPlan } from "../contract.js";
import { below, mix, saltOf } from "../entropy.js";
import { headerValue } from "../route/header-value.js";
import type { CompiledRetry, RateLimitedBackOff } from "../route/retry-policy.js";

/** The answer says that nobody should come back, or not for so long that it is no use to wait. */
export const NOT_AGAIN = -1;

/** How long `Retry-After` is waited for where no policy says otherwise; who asks for more gets no other try. */
const MAX_RETRY_AFTER_MS = 5000;
/** The same for what a gRPC server asks for: a request does not wait longer. */
const MAX_PUSHBACK_MS = 300_000;
const SALT = saltOf("retry back-off");

/**
 * How long to wait before the next try, milliseconds: what the answer asks for (gRPC's push-back, the policy's reset
 * headers, `Retry-After`), else at random below a bound that doubles with every retry. `NOT_AGAIN` when the answer asks
 * not to be tried again.
 */
export function backOff(view: DecisionView, retry: RetryPlan, outcome: Outcome, attempts: number): number {
  const bits = mix(view.entropy, SALT + attempts);
  if (outcome.kind === "response") {
    const { headers, status } = outcome;
    const asked = askedFor(retry as CompiledRetry, headers, status, view.wallMs ?? view.now);
    if (asked !== undefined) return asked < 0 ? NOT_AGAIN : asked + below(bits, asked / 2);
  }
  const bound = Math.min(retry.backoffMaxMs, retry.backoffBaseMs * 2 ** Math.min(attempts - 1, 30));
  return below(bits, bound);
}

/** Milliseconds that an answer asks for; negative: never; undefined: it says nothing. */
function askedFor(
  { resets }: CompiledRetry,
  headers: HeaderList,
  status: number,
  wallMs: number,
): number | undefined {
  const pushback = headerValue(headers, "grpc-retry-pushback-ms");
  // What is no number asks for no retry at all (gRFC A6).
  if (pushback !== undefined)
    return /^\d{1,6}$/.test(pushback) && Number(pushback) <= MAX_PUSHBACK_MS ? Number(pushback) : -1;
  if (resets !== undefined) return resetInterval(resets, headers, wallMs);
  if (status !== 429 && status !== 503) return undefined;
  const afterMs = retryAfter(headerValue(headers, "retry-after"), wallMs);
  return afterMs !== undefined && afterMs > MAX_RETRY_AFTER_MS ? -1 : afterMs;
}

/** The first of the policy's headers that can be read and is not longer than its maximum. */
function resetInterval(
  { headers: wanted, maxMs }: RateLimitedBackOff,
  headers: HeaderList,
  wallMs: number,
): number | undefined {
  for (const { name, isTimestamp } of wanted) {
    const value = headerValue(headers, name)?.split(",", 1)[0]?.trim();
    if (value === undefined || !/^\d{1,12}$/.test(value)) continue;
    const ms = isTimestamp ? Number(value) * 1000 - wallMs : Number(value) * 1000;
    if (ms >= 0 && ms <= maxMs) return ms;
  }
  return undefined;
}

/** Seconds or a date (RFC 9110 section 10.2.3). */
function retryAfter(value: string | undefined, wallMs: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const date = value.endsWith("GMT") ? Date.parse(value) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - wallMs);
}
