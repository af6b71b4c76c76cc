import { create } from "@bufbuild/protobuf";
import { parseDuration } from "@tulle/base";
import type { HttpRetry } from "@tulle/api";
import {
  RetryPolicy_RetryPrioritySchema,
  RetryPolicySchema,
  type RetryPolicy,
  type RetryPolicy_RetryPriority,
} from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { PreviousPrioritiesConfigSchema } from "@tulle/xds/gen/envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config_pb.js";
import { durationOf, durationOfText } from "../duration.js";
import { packed } from "../messages.js";

/**
 * When to try again unless told otherwise: Istio's conditions, and a connection that broke before a byte of the request
 * was sent on it, which is always safe.
 */
export const DEFAULT_RETRY_ON =
  "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes,reset-before-request";
const INBOUND_RETRY_ON = "reset-before-request";
/** Tries after the first one. */
export const DEFAULT_RETRIES = 2;
/** How often another endpoint is looked for when the chosen one was tried before. */
const HOST_RESELECTIONS = 5n;
const TRIES_PER_PRIORITY = 2;

/**
 * The retry policy of a route; undefined when retries are off (`attempts: 0`). `fallback` holds, whole, where the route
 * says nothing of retries (Istio's `meshConfig.defaultHttpRetryPolicy`).
 */
export function retryPolicy(
  written: HttpRetry | undefined,
  fallback: HttpRetry | undefined,
): RetryPolicy | undefined {
  const retries = written ?? fallback;
  const attempts = retries?.attempts ?? DEFAULT_RETRIES;
  if (attempts === 0) return undefined;
  const { conditions, statusCodes } = splitRetryOn(retries?.retryOn);
  const policy = create(RetryPolicySchema, {
    retryOn: conditions,
    numRetries: attempts,
    retriableStatusCodes: statusCodes,
  });
  if (retries?.retryIgnorePreviousHosts !== false) {
    policy.retryHostPredicate.push(
      ...create(RetryPolicySchema, {
        retryHostPredicate: [{ name: "envoy.retry_host_predicates.previous_hosts" }],
      }).retryHostPredicate,
    );
    policy.hostSelectionRetryMaxAttempts = HOST_RESELECTIONS;
  }
  if (retries?.retryRemoteLocalities === true) policy.retryPriority = otherPriorities();
  if (retries?.perTryTimeout !== undefined) policy.perTryTimeout = durationOfText(retries.perTryTimeout);
  const backoffMs = retries?.backoff === undefined ? 0 : (parseDuration(retries.backoff) ?? 0);
  if (backoffMs > 0) {
    policy.retryBackOff = create(RetryPolicySchema, {
      retryBackOff: { baseInterval: durationOf(backoffMs), maxInterval: durationOf(backoffMs * 10) },
    }).retryBackOff;
  }
  return policy;
}

/** After two tries at a priority, which stands for how far away it is, another one (Istio's setting). */
function otherPriorities(): RetryPolicy_RetryPriority {
  return create(RetryPolicy_RetryPrioritySchema, {
    name: "envoy.retry_priorities.previous_priorities",
    configType: {
      case: "typedConfig",
      value: packed(PreviousPrioritiesConfigSchema, { updateFrequency: TRIES_PER_PRIORITY }),
    },
  });
}

/**
 * Retries of the inbound side: only what never reached the application (Istio's default since 1.24), or what is written
 * (Istio's `meshConfig.defaultInboundHttpRetryPolicy`), where nothing means none. There is one endpoint: no other is looked for.
 */
export function inboundRetryPolicy(written: HttpRetry | undefined): RetryPolicy | undefined {
  if (written === undefined)
    return create(RetryPolicySchema, { retryOn: INBOUND_RETRY_ON, numRetries: DEFAULT_RETRIES });
  return retryPolicy(
    {
      ...written,
      attempts: written.attempts ?? 0,
      retryOn: (written.retryOn ?? "").trim() === "" ? INBOUND_RETRY_ON : written.retryOn!,
      retryIgnorePreviousHosts: false,
      retryRemoteLocalities: false,
    },
    undefined,
  );
}

/** Istio lets status codes stand among the conditions. */
function splitRetryOn(retryOn: string | undefined): { conditions: string; statusCodes: number[] } {
  if (retryOn === undefined || retryOn.trim() === "")
    return { conditions: DEFAULT_RETRY_ON, statusCodes: [] };
  const parts = retryOn
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
  const statusCodes = parts.filter((part) => /^\d+$/.test(part)).map(Number);
  const conditions = parts.filter((part) => !/^\d+$/.test(part));
  if (statusCodes.length > 0 && !conditions.includes("retriable-status-codes")) {
    conditions.push("retriable-status-codes");
  }
  return { conditions: conditions.join(","), statusCodes };
}
