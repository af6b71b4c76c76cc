import type { EngineRequest, Outcome, RetryPlan } from "../contract.js";
import { headerValue } from "../route/header-value.js";
import {
  RETRY_ON_5XX,
  RETRY_ON_CANCELLED,
  RETRY_ON_CONNECT_FAILURE,
  RETRY_ON_DEADLINE_EXCEEDED,
  RETRY_ON_ENVOY_RATELIMITED,
  RETRY_ON_GATEWAY_ERROR,
  RETRY_ON_INTERNAL,
  RETRY_ON_RESET,
  RETRY_ON_RESET_BEFORE_REQUEST,
  RETRY_ON_RESOURCE_EXHAUSTED,
  RETRY_ON_RETRIABLE_4XX,
  RETRY_ON_RETRIABLE_HEADERS,
  RETRY_ON_RETRIABLE_STATUS_CODES,
  RETRY_ON_UNAVAILABLE,
} from "../route/retry-on.js";
import type { CompiledRetry } from "../route/retry-policy.js";

/** What is to be said of a try that ended without a good answer. */
export const Verdict = {
  /** The request cannot have reached the application. */
  UNSENT: 0,
  /** A condition holds, and the request may be carried out twice. */
  REPEATABLE: 1,
  /** A condition holds that counts for any method. */
  SAID: 2,
  // From here on: no other try.
  NO_CONDITION: 3,
  NOT_REPEATABLE: 4,
  NOT_THIS_REQUEST: 5,
  ANSWER_BEGUN: 6,
  RETRIED_BELOW: 7,
  OVERLOADED: 8,
  RATE_LIMITED: 9,
} as const;

/** Whether a verdict allows another try. */
export function allows(verdict: number): boolean {
  return verdict <= Verdict.SAID;
}

/** The judgement on what became of a try, by the policy and the request alone. */
export function judge(retry: RetryPlan, request: EngineRequest, outcome: Outcome): number {
  const { requests } = retry as CompiledRetry;
  if (requests.length > 0 && !requests.some((test) => test(request))) return Verdict.NOT_THIS_REQUEST;
  // The inbound side's policy: there is one application, and the caller's sidecar has others to ask.
  const isInbound = retry.on === RETRY_ON_RESET_BEFORE_REQUEST;
  switch (outcome.kind) {
    case "connect-failure":
      return isInbound ? Verdict.NO_CONDITION : Verdict.UNSENT;
    case "reset":
      if (outcome.responseStarted) return Verdict.ANSWER_BEGUN;
      if (!outcome.requestSent) return Verdict.UNSENT;
      if (isInbound && !outcome.reusedConnection) return Verdict.NO_CONDITION;
      return byConditions(retry, request, outcome.reusedConnection ? AFTER_REUSED : AFTER_RESET);
    case "per-try-timeout":
    case "per-try-idle-timeout":
      return byConditions(retry, request, AFTER_TIMEOUT);
    case "retried":
      return Verdict.RETRIED_BELOW;
    case "response":
      return judgeAnswer(retry as CompiledRetry, request, outcome);
  }
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

/** Envoy counts resets among 5xx and gateway errors; `reset-before-request` here covers all that is repeatable. */
const AFTER_RESET = RETRY_ON_RESET | RETRY_ON_RESET_BEFORE_REQUEST | RETRY_ON_5XX | RETRY_ON_GATEWAY_ERROR;
/** The peer closed an idle connection just as the request left: a failed connection in disguise. */
const AFTER_REUSED = AFTER_RESET | RETRY_ON_CONNECT_FAILURE;
const AFTER_TIMEOUT = RETRY_ON_RESET | RETRY_ON_5XX | RETRY_ON_GATEWAY_ERROR;

function byConditions(retry: RetryPlan, request: EngineRequest, bits: number): number {
  const held = retry.on & bits;
  if (held === 0) return Verdict.NO_CONDITION;
  if ((held & retry.onAnyMethod) !== 0) return Verdict.SAID;
  return isRepeatable(request) ? Verdict.REPEATABLE : Verdict.NOT_REPEATABLE;
}

type Answer = Extract<Outcome, { kind: "response" }>;

function judgeAnswer(retry: CompiledRetry, request: EngineRequest, answer: Answer): number {
  const { headers, status, grpcStatus } = answer;
  // Both come from an Envoy or a Tulle that turned the request away before its application saw it.
  if (headerValue(headers, "x-envoy-overloaded") !== undefined) return Verdict.OVERLOADED;
  if (headerValue(headers, "x-envoy-ratelimited") !== undefined) {
    if ((retry.on & RETRY_ON_ENVOY_RATELIMITED) === 0) return Verdict.RATE_LIMITED;
    return byConditions(retry, request, RETRY_ON_ENVOY_RATELIMITED);
  }
  let bits = (status >= 400 ? STATUS_CLASSES[status - 400] : 0) ?? 0;
  if (retry.statusCodes.includes(status)) bits |= RETRY_ON_RETRIABLE_STATUS_CODES;
  bits |= GRPC_BITS.get(grpcStatus) ?? 0;
  if ((retry.on & RETRY_ON_RETRIABLE_HEADERS) !== 0 && hasRetriableHeader(retry, request, headers))
    bits |= RETRY_ON_RETRIABLE_HEADERS;
  return byConditions(retry, request, bits);
}

function hasRetriableHeader(
  { answers }: CompiledRetry,
  request: EngineRequest,
  headers: Answer["headers"],
): boolean {
  if (answers.length === 0) return false;
  const answer = { ...request, headers };
  return answers.some((test) => test(answer));
}

/** The conditions that are about classes of status codes, from 400 on. */
const STATUS_CLASSES: readonly number[] = Array.from({ length: 200 }, (_, index) => {
  const status = index + 400;
  if (status === 409) return RETRY_ON_RETRIABLE_4XX;
  if (status < 500) return 0;
  return status >= 502 && status <= 504 ? RETRY_ON_5XX | RETRY_ON_GATEWAY_ERROR : RETRY_ON_5XX;
});

/** By gRPC status code; https://github.com/grpc/grpc/blob/master/doc/statuscodes.md */
const GRPC_BITS: ReadonlyMap<number, number> = new Map([
  [1, RETRY_ON_CANCELLED],
  [4, RETRY_ON_DEADLINE_EXCEEDED],
  [8, RETRY_ON_RESOURCE_EXHAUSTED],
  [13, RETRY_ON_INTERNAL],
  [14, RETRY_ON_UNAVAILABLE],
]);
