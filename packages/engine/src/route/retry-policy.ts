import type { RetryPolicy } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import type { RetryPlan } from "../contract.js";
import { durationMs } from "../snapshot/duration.js";
import { at, invalid } from "../snapshot/invalid.js";
import { compileHeaderTests } from "./header-test.js";
import type { HeaderTest } from "./header-test.js";
import { parseRetryOn } from "./retry-on.js";

/** A retry plan with what only the engine looks at. */
export interface CompiledRetry extends RetryPlan {
  /** Only requests for which one of these holds are retried; empty = all (Envoy's `retriable_request_headers`). */
  readonly requests: readonly HeaderTest[];
}

const DEFAULT_BASE_MS = 25;
/** `max_interval` when it is not set: so many times the base interval. */
const DEFAULT_MAX_FACTOR = 10;
const PREVIOUS_HOSTS = "envoy.retry_host_predicates.previous_hosts";

/**
 * Compiles an Envoy RetryPolicy; undefined when it asks for no retries. Defaults are Envoy's: one retry, back-off from
 * 25 ms up to ten times the base. `retry_priority` is not evaluated: priorities follow health alone.
 */
export function compileRetryPolicy(
  field: string,
  policy: RetryPolicy | undefined,
): CompiledRetry | undefined {
  if (policy === undefined) return undefined;
  if (policy.retriableHeaders.length > 0) throw invalid(at(field, "retriable_headers"), "is not supported");
  if (policy.perTryIdleTimeout !== undefined)
    throw invalid(at(field, "per_try_idle_timeout"), "is not supported");
  if (policy.retryOptionsPredicates.length > 0)
    throw invalid(at(field, "retry_options_predicates"), "is not supported");
  const { on, statusCodes } = parseRetryOn(at(field, "retry_on"), policy.retryOn);
  const requests = compileHeaderTests(at(field, "retriable_request_headers"), policy.retriableRequestHeaders);
  const { baseMs, maxMs } = compileBackOff(at(field, "retry_back_off"), policy);
  const attempts = policy.numRetries ?? 1;
  const perTryTimeoutMs = durationMs(at(field, "per_try_timeout"), policy.perTryTimeout) ?? 0;
  const hostReselections = compileHostPredicates(field, policy);
  if (attempts === 0 || on === 0) return undefined;
  return {
    attempts,
    perTryTimeoutMs,
    on,
    statusCodes: [...new Set([...policy.retriableStatusCodes, ...statusCodes])],
    backoffBaseMs: baseMs,
    backoffMaxMs: maxMs,
    hostReselections,
    requests,
  };
}

function compileBackOff(field: string, policy: RetryPolicy): { baseMs: number; maxMs: number } {
  const backOff = policy.retryBackOff;
  if (backOff === undefined) return { baseMs: DEFAULT_BASE_MS, maxMs: DEFAULT_BASE_MS * DEFAULT_MAX_FACTOR };
  const baseMs = durationMs(at(field, "base_interval"), backOff.baseInterval) ?? 0;
  if (baseMs === 0) throw invalid(at(field, "base_interval"), "must be greater than zero");
  const maxMs = durationMs(at(field, "max_interval"), backOff.maxInterval) ?? baseMs * DEFAULT_MAX_FACTOR;
  if (maxMs < baseMs) throw invalid(at(field, "max_interval"), "must not be less than base_interval");
  return { baseMs, maxMs };
}

function compileHostPredicates(field: string, policy: RetryPolicy): number {
  policy.retryHostPredicate.forEach(({ name }, index) => {
    if (name !== PREVIOUS_HOSTS) {
      throw invalid(
        at(field, `retry_host_predicate[${index}].name`),
        `${JSON.stringify(name)} is not supported: only ${PREVIOUS_HOSTS}`,
      );
    }
  });
  if (policy.retryHostPredicate.length === 0) return 0;
  const attempts = Number(policy.hostSelectionRetryMaxAttempts);
  return attempts <= 0 ? 1 : Math.min(attempts, MAX_HOST_RESELECTIONS);
}

/** Bounds the work of one pick. */
const MAX_HOST_RESELECTIONS = 100;
