import type { HeaderList } from "@tulle/http";
import type { Plan } from "../contract.js";
import { headerValue, sameName } from "./header-value.js";
import type { HeaderTest } from "./header-test.js";
import { readRetryOn, RETRY_ON_RETRIABLE_HEADERS, RETRY_ON_RETRIABLE_STATUS_CODES } from "./retry-on.js";
import { looksAtEveryAnswer, type CompiledRetry } from "./retry-policy.js";
import { ForwardPlan } from "./way.js";

/** Retries that a caller's header may ask for, at most. */
const MAX_RETRIES = 100;
/** Longest time that timers can count, milliseconds. */
const MAX_MS = 0x7fff_ffff;
/** Header names, and status codes, that one header may list. */
const MAX_LISTED = 32;

/** No retries, with Envoy's defaults for what a header leaves out. */
const NO_RETRIES: CompiledRetry = {
  attempts: 1,
  perTryTimeoutMs: 0,
  perTryIdleTimeoutMs: 0,
  on: 0,
  onAnyMethod: 0,
  looksAtEveryAnswer: false,
  statusCodes: [],
  backoffBaseMs: 25,
  backoffMaxMs: 250,
  hostReselections: 0,
  avoidsTried: false,
  triesPerPriority: 0,
  requests: [],
  answers: [],
  resets: undefined,
};

/**
 * The plan as the calling application's own headers change it (Envoy's `x-envoy-…` of the router): timeouts, retries and
 * hedging. Only for a caller that is trusted: who may set them may make the mesh work for nothing. The same plan when no
 * header says anything. What an application asks for its own request holds for any method: it knows what it does.
 */
export function requestControls(plan: Plan, headers: HeaderList): Plan {
  if (!(plan instanceof ForwardPlan)) return plan;
  const timeoutMs = milliseconds(headers, "x-envoy-upstream-rq-timeout-ms") ?? plan.timeoutMs;
  const retry = controlledRetry(plan, headers, timeoutMs);
  const hedge = controlledHedge(plan, headers);
  if (timeoutMs === plan.timeoutMs && retry === plan.retry && hedge === plan.hedge) return plan;
  return plan.with({ timeoutMs, retry, hedge });
}

function controlledRetry(
  { retry }: ForwardPlan,
  headers: HeaderList,
  timeoutMs: number,
): CompiledRetry | undefined {
  const asked =
    readRetryOn(headerValue(headers, "x-envoy-retry-on") ?? "") |
    readRetryOn(headerValue(headers, "x-envoy-retry-grpc-on") ?? "");
  const attempts = integer(headers, "x-envoy-max-retries");
  const perTryMs = milliseconds(headers, "x-envoy-upstream-rq-per-try-timeout-ms");
  const codes = listed(headers, "x-envoy-retriable-status-codes").filter((code) => /^[1-5]\d\d$/.test(code));
  const names = listed(headers, "x-envoy-retriable-header-names");
  const before = retry ?? NO_RETRIES;
  const on = before.on | asked;
  const changes = asked !== 0 || attempts !== undefined || perTryMs !== undefined;
  if (on === 0 || (!changes && codes.length + names.length === 0)) return retry;
  if (attempts === 0) return undefined;
  const statusCodes = codes.length === 0 ? before.statusCodes : [...before.statusCodes, ...codes.map(Number)];
  const answers = names.length === 0 ? before.answers : [...before.answers, ...names.map(hasField)];
  // A try of its own is no limit when it may take as long as all of them.
  const perTryTimeoutMs = perTryMs ?? before.perTryTimeoutMs;
  const namedByHeaders =
    (codes.length > 0 ? RETRY_ON_RETRIABLE_STATUS_CODES : 0) |
    (names.length > 0 ? RETRY_ON_RETRIABLE_HEADERS : 0);
  return {
    ...before,
    on,
    onAnyMethod: before.onAnyMethod | asked | (on & namedByHeaders),
    attempts: Math.min(attempts ?? before.attempts, MAX_RETRIES),
    perTryTimeoutMs: timeoutMs > 0 && perTryTimeoutMs >= timeoutMs ? 0 : perTryTimeoutMs,
    statusCodes,
    answers,
    looksAtEveryAnswer: looksAtEveryAnswer(on, statusCodes, answers.length > 0),
  };
}

function controlledHedge({ hedge }: ForwardPlan, headers: HeaderList): ForwardPlan["hedge"] {
  const text = headerValue(headers, "x-envoy-hedge-on-per-try-timeout");
  if (text !== "true" && text !== "false") return hedge;
  const onPerTryTimeout = text === "true";
  if ((hedge?.onPerTryTimeout ?? false) === onPerTryTimeout) return hedge;
  if (hedge !== undefined) return { ...hedge, onPerTryTimeout };
  return { initial: 1, initialChance: 0, afterMs: 0, max: 0, onPerTryTimeout };
}

function hasField(name: string): HeaderTest {
  const lower = name.toLowerCase();
  return ({ headers }) => {
    for (let index = 0; index < headers.length; index += 2) if (sameName(headers[index]!, lower)) return true;
    return false;
  };
}

function listed(headers: HeaderList, name: string): string[] {
  const value = headerValue(headers, name);
  if (value === undefined) return [];
  return value
    .split(",", MAX_LISTED)
    .map((one) => one.trim())
    .filter((one) => one !== "");
}

function milliseconds(headers: HeaderList, name: string): number | undefined {
  const value = integer(headers, name);
  return value === undefined ? undefined : Math.min(value, MAX_MS);
}

/** A whole number that is not negative; undefined for none and for anything else. */
function integer(headers: HeaderList, name: string): number | undefined {
  const value = headerValue(headers, name);
  return value !== undefined && /^\d{1,10}$/.test(value) ? Number(value) : undefined;
}
