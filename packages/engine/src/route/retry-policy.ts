import type { JsonObject } from "@bufbuild/protobuf";
import type {
  RetryPolicy,
  RetryPolicy_RateLimitedRetryBackOff,
} from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { RetryPolicy_ResetHeaderFormat as ResetFormat } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { PreviousPrioritiesConfigSchema } from "@tulle/xds/gen/envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config_pb.js";
import type { RetryPlan } from "../contract.js";
import { unpack } from "../snapshot/any.js";
import { durationMs } from "../snapshot/duration.js";
import { at, invalid } from "../snapshot/invalid.js";
import { compileHeaderTests } from "./header-test.js";
import type { HeaderTest } from "./header-test.js";
import { compileRetryHosts } from "./retry-hosts.js";
import {
  parseRetryOn,
  RETRY_ON_GRPC,
  RETRY_ON_NAMED_ANSWER,
  RETRY_ON_RETRIABLE_HEADERS,
  RETRY_ON_RETRIABLE_STATUS_CODES,
} from "./retry-on.js";

/** A retry plan with what only the engine looks at. */
export interface CompiledRetry extends RetryPlan {
  /** Only requests for which one of these holds are retried; empty = all (Envoy's `retriable_request_headers`). */
  readonly requests: readonly HeaderTest[];
  /** Answers for which one of these holds are thrown away (Envoy's `retriable_headers`). They see an answer's fields. */
  readonly answers: readonly HeaderTest[];
  /** Undefined: `Retry-After` alone, and not for long. */
  readonly resets: RateLimitedBackOff | undefined;
}

/** How an answer says when to come back (Envoy's `rate_limited_retry_back_off`). */
export interface RateLimitedBackOff {
  readonly headers: readonly { readonly name: string; readonly isTimestamp: boolean }[];
  readonly maxMs: number;
}

/** What the route says of its retries beside the policy, in its metadata `tulle.dev`. */
export interface RetryMarks {
  /** Somebody wrote the conditions: they are not the mesh's defaults. */
  readonly stated: boolean;
  /** Every condition holds for every method. */
  readonly nonIdempotent: boolean;
}

const DEFAULT_BASE_MS = 25;
/** `max_interval` when it is not set: so many times the base interval. */
const DEFAULT_MAX_FACTOR = 10;
const DEFAULT_RESET_MAX_MS = 300_000;
const PREVIOUS_PRIORITIES = "envoy.retry_priorities.previous_priorities";
const DEFAULT_TRIES_PER_PRIORITY = 2;

/**
 * Compiles an Envoy RetryPolicy; undefined when it asks for no retries. Defaults are Envoy's: one retry, back-off from
 * 25 ms up to ten times the base.
 */
export function compileRetryPolicy(
  field: string,
  policy: RetryPolicy | undefined,
  marks: RetryMarks = { stated: false, nonIdempotent: false },
): CompiledRetry | undefined {
  if (policy === undefined) return undefined;
  if (policy.retryOptionsPredicates.length > 0)
    throw invalid(at(field, "retry_options_predicates"), "is not supported");
  const { on, statusCodes } = parseRetryOn(at(field, "retry_on"), policy.retryOn);
  const requests = compileHeaderTests(at(field, "retriable_request_headers"), policy.retriableRequestHeaders);
  const answers = compileHeaderTests(at(field, "retriable_headers"), policy.retriableHeaders);
  const { baseMs, maxMs } = compileBackOff(at(field, "retry_back_off"), policy);
  const attempts = policy.numRetries ?? 1;
  const codes = [...new Set([...policy.retriableStatusCodes, ...statusCodes])];
  const compiled = {
    attempts,
    perTryTimeoutMs: durationMs(at(field, "per_try_timeout"), policy.perTryTimeout) ?? 0,
    perTryIdleTimeoutMs: durationMs(at(field, "per_try_idle_timeout"), policy.perTryIdleTimeout) ?? 0,
    on,
    onAnyMethod: onAnyMethod(on, marks),
    looksAtEveryAnswer: looksAtEveryAnswer(on, codes, answers.length > 0),
    statusCodes: codes,
    backoffBaseMs: baseMs,
    backoffMaxMs: maxMs,
    ...compileRetryHosts(field, policy),
    triesPerPriority: compilePriority(at(field, "retry_priority"), policy),
    requests,
    answers,
    resets: compileResets(at(field, "rate_limited_retry_back_off"), policy.rateLimitedRetryBackOff),
  };
  return attempts === 0 || on === 0 ? undefined : compiled;
}

/** Whether an answer below 400 can be one to throw away. */
export function looksAtEveryAnswer(on: number, codes: readonly number[], headers: boolean): boolean {
  if (headers && (on & RETRY_ON_RETRIABLE_HEADERS) !== 0) return true;
  return (on & RETRY_ON_RETRIABLE_STATUS_CODES) !== 0 && codes.some((code) => code < 400);
}

/** Reads `tulle.dev` of a route's metadata. */
export function retryMarks(metadata: JsonObject | undefined): RetryMarks {
  const has = (key: string): boolean =>
    metadata !== undefined && Object.hasOwn(metadata, key) && metadata[key] === true;
  return { stated: has("retryOnStated"), nonIdempotent: has("retryNonIdempotent") };
}

/** The mesh's own default names gRPC's statuses too, and nobody has said that those calls may be repeated. */
function onAnyMethod(on: number, { stated, nonIdempotent }: RetryMarks): number {
  if (nonIdempotent) return on;
  return on & (stated ? RETRY_ON_NAMED_ANSWER | RETRY_ON_GRPC : RETRY_ON_NAMED_ANSWER);
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

function compileResets(
  field: string,
  backOff: RetryPolicy_RateLimitedRetryBackOff | undefined,
): RateLimitedBackOff | undefined {
  if (backOff === undefined) return undefined;
  if (backOff.resetHeaders.length === 0) throw invalid(at(field, "reset_headers"), "must not be empty");
  const headers = backOff.resetHeaders.map(({ name, format }, index) => {
    const here = at(field, `reset_headers[${index}]`);
    if (name === "") throw invalid(at(here, "name"), "must not be empty");
    if (format !== ResetFormat.SECONDS && format !== ResetFormat.UNIX_TIMESTAMP)
      throw invalid(at(here, "format"), "must be SECONDS or UNIX_TIMESTAMP");
    return { name: name.toLowerCase(), isTimestamp: format === ResetFormat.UNIX_TIMESTAMP };
  });
  const maxMs = durationMs(at(field, "max_interval"), backOff.maxInterval) ?? DEFAULT_RESET_MAX_MS;
  if (maxMs === 0) throw invalid(at(field, "max_interval"), "must be greater than zero");
  return { headers, maxMs };
}

function compilePriority(field: string, { retryPriority }: RetryPolicy): number {
  if (retryPriority === undefined) return 0;
  if (retryPriority.name !== PREVIOUS_PRIORITIES) {
    throw invalid(
      at(field, "name"),
      `${JSON.stringify(retryPriority.name)} is not supported: only ${PREVIOUS_PRIORITIES}`,
    );
  }
  const config = retryPriority.configType;
  if (config.case === undefined) return DEFAULT_TRIES_PER_PRIORITY;
  const { updateFrequency } = unpack(at(field, "typed_config"), config.value, PreviousPrioritiesConfigSchema);
  if (updateFrequency < 1) throw invalid(at(field, "typed_config.update_frequency"), "must be at least 1");
  return updateFrequency;
}
