import type { AttemptState, DecisionView, EngineRequest, Outcome, Plan, RetryPlan } from "../contract.js";
import { GIVE_UP } from "../contract.js";
import { below, mix, saltOf } from "../entropy.js";
import { headerValue } from "../route/header-value.js";
import {
  RETRY_ON_5XX,
  RETRY_ON_CANCELLED,
  RETRY_ON_CONNECT_FAILURE,
  RETRY_ON_DEADLINE_EXCEEDED,
  RETRY_ON_GATEWAY_ERROR,
  RETRY_ON_INTERNAL,
  RETRY_ON_RESET,
  RETRY_ON_RESET_BEFORE_REQUEST,
  RETRY_ON_RESOURCE_EXHAUSTED,
  RETRY_ON_RETRIABLE_4XX,
  RETRY_ON_RETRIABLE_STATUS_CODES,
  RETRY_ON_UNAVAILABLE,
} from "../route/retry-on.js";
import type { CompiledRetry } from "../route/retry-policy.js";
import { LinkedCluster } from "../snapshot/linked-cluster.js";

/**
 * Whether to try again, and after how many milliseconds; `GIVE_UP` when not. Without a retry policy never.
 *
 * A try that cannot have reached the application (no connection, no byte of the request sent) is repeated under any
 * policy. Beyond that the request may have been carried out, so only requests that may be repeated are: methods that
 * are idempotent (RFC 9110 section 9.2.2) or requests with an `idempotency-key`. This is stricter than Envoy, which
 * repeats a POST whenever `retry_on` holds and has charged people twice for it. The one way to have a POST repeated
 * after it was sent is to name the status code (`retriable_status_codes`, Istio's `retryOn: "503"`): then the service
 * says so itself. Once the response has begun, nothing is repeated.
 */
export function next(
  view: DecisionView,
  plan: Plan,
  request: EngineRequest,
  attempt: AttemptState,
  outcome: Outcome,
): number {
  const { retry } = plan;
  if (retry === undefined || attempt.attempts > retry.attempts) return GIVE_UP;
  if (!isWanted(retry, request, outcome)) return GIVE_UP;
  if (!withinBudget(view, plan)) return GIVE_UP;
  return backOff(retry, view.entropy, attempt.attempts);
}

/** Whether a request may be carried out twice: by its method or because it says so. */
export function isRepeatable(request: EngineRequest): boolean {
  switch (request.method) {
    case "GET":
    case "HEAD":
    case "OPTIONS":
    case "PUT":
    case "DELETE":
    case "TRACE":
      return true;
    default:
      return headerValue(request.headers, "idempotency-key") !== undefined;
  }
}

function isWanted(retry: RetryPlan, request: EngineRequest, outcome: Outcome): boolean {
  const { requests } = retry as CompiledRetry;
  if (requests !== undefined && requests.length > 0 && !requests.some((test) => test(request))) return false;
  switch (outcome.kind) {
    case "connect-failure":
      return true;
    case "reset":
      if (outcome.responseStarted) return false;
      if (!outcome.requestSent) return true;
      return hasAny(retry, outcome.reusedConnection ? AFTER_REUSED : AFTER_RESET) && isRepeatable(request);
    case "per-try-timeout":
      return hasAny(retry, AFTER_TIMEOUT) && isRepeatable(request);
    case "response":
      return names(retry, outcome.status) || (isClassOf(retry, outcome) && isRepeatable(request));
  }
}

/** Envoy counts resets among 5xx and gateway errors; `reset-before-request` here covers all that is repeatable. */
const AFTER_RESET = RETRY_ON_RESET | RETRY_ON_RESET_BEFORE_REQUEST | RETRY_ON_5XX | RETRY_ON_GATEWAY_ERROR;
/** The peer closed an idle connection just as the request left: a failed connection in disguise. */
const AFTER_REUSED = AFTER_RESET | RETRY_ON_CONNECT_FAILURE;
const AFTER_TIMEOUT = RETRY_ON_RESET | RETRY_ON_5XX | RETRY_ON_GATEWAY_ERROR;

function hasAny(retry: RetryPlan, bits: number): boolean {
  return (retry.on & bits) !== 0;
}

function names(retry: RetryPlan, status: number): boolean {
  return hasAny(retry, RETRY_ON_RETRIABLE_STATUS_CODES) && retry.statusCodes.includes(status);
}

function isClassOf(
  retry: RetryPlan,
  outcome: { readonly status: number; readonly grpcStatus: number },
): boolean {
  const { status, grpcStatus } = outcome;
  if (status >= 500 && status <= 599 && hasAny(retry, RETRY_ON_5XX)) return true;
  if (status >= 502 && status <= 504 && hasAny(retry, RETRY_ON_GATEWAY_ERROR)) return true;
  if (status === 409 && hasAny(retry, RETRY_ON_RETRIABLE_4XX)) return true;
  return hasAny(retry, GRPC_BITS.get(grpcStatus) ?? 0);
}

/** By gRPC status code; https://github.com/grpc/grpc/blob/master/doc/statuscodes.md */
const GRPC_BITS: ReadonlyMap<number, number> = new Map([
  [1, RETRY_ON_CANCELLED],
  [4, RETRY_ON_DEADLINE_EXCEEDED],
  [8, RETRY_ON_RESOURCE_EXHAUSTED],
  [13, RETRY_ON_INTERNAL],
  [14, RETRY_ON_UNAVAILABLE],
]);

/** Bounds the retries under way in a cluster: by Envoy's retry budget when there is one, else by `max_retries`. */
function withinBudget(view: DecisionView, plan: Plan): boolean {
  const cluster = view.snapshot.cluster(plan.cluster.name) ?? plan.cluster;
  const retries = view.load.retriesInFlight(cluster.slot);
  const budget = cluster instanceof LinkedCluster ? cluster.retryBudget : undefined;
  if (budget === undefined) return retries < cluster.maxRetries;
  const share = (view.load.clusterInFlight(cluster.slot) * budget.percent) / 100;
  return retries < Math.max(share, budget.minConcurrency);
}

const BACK_OFF_SALT = saltOf("retry back-off");

/** Full jitter: anything below the bound, which doubles with every retry up to the maximum. */
function backOff(retry: RetryPlan, entropy: number, attempts: number): number {
  const bound = Math.min(retry.backoffMaxMs, retry.backoffBaseMs * 2 ** Math.min(attempts - 1, 30));
  return below(mix(entropy, BACK_OFF_SALT + attempts), bound);
}
