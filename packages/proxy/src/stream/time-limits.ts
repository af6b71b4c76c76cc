import type { Clock } from "@tulle/base";
import type { HttpChain, Plan } from "@tulle/engine";
import { parseGrpcTimeout } from "@tulle/http";

import type { RequestFields } from "../filters/request-headers.js";
import type { ExchangeRecord } from "./exchange-record.js";
import type { ExchangeTimers } from "./exchange-timers.js";

/** Longest time that a caller can announce, milliseconds. */
const MAX_EXPECTED_MS = 0x7fff_ffff;

/**
 * How long an exchange may take: what its route and its listener say, and what its caller has left. Sets its timers.
 *
 * The route's timeout runs from the end of the request, as Envoy's. So does what the caller's sidecar announces
 * (`x-envoy-expected-rq-timeout-ms`), which comes from such a timeout. What a gRPC client gives the call runs from its
 * beginning, for its stream may never end. The earliest counts.
 */
export class TimeLimits {
  readonly #clock: Clock;
  readonly #timers: ExchangeTimers;
  readonly #record: ExchangeRecord;
  readonly #fields: RequestFields;
  #startMs = 0;
  /** What a gRPC client allows for the whole call; 0 = no limit. */
  #grpcMs = 0;

  constructor(clock: Clock, timers: ExchangeTimers, record: ExchangeRecord, fields: RequestFields) {
    this.#clock = clock;
    this.#timers = timers;
    this.#record = record;
    this.#fields = fields;
  }

  /** The exchange, which began at `startMs` (monotonic), is on its way. */
  begin(chain: HttpChain | undefined, plan: Plan, startMs: number): void {
    const record = this.#record;
    const fields = this.#fields;
    this.#startMs = startMs;
    record.timeoutMs =
      fields.expectedTimeout === "" ? plan.timeoutMs : tighter(plan.timeoutMs, this.#expectedMs());
    this.#grpcMs = record.grpc && fields.grpcTimeout !== "" ? grpcTimeoutMs(plan, fields.grpcTimeout) : 0;
    if (plan.idleTimeoutMs > 0) this.#timers.watchIdle(plan.idleTimeoutMs, startMs);
    const wholeMs = plan.maxDurationMs ?? chain?.maxDurationMs ?? 0;
    if (wholeMs > 0) this.#timers.limitWhole(this.#leftOf(wholeMs));
    const requestMs = chain?.requestTimeoutMs ?? 0;
    if (requestMs > 0 && !record.requestDone) this.#timers.limitRequest(this.#leftOf(requestMs));
    if (record.requestDone || this.#grpcMs > 0) this.#limitAnswer();
  }

  /** The end of the request is here. */
  onRequestEnd(): void {
    this.#timers.clearRequest();
    this.#limitAnswer();
  }

  #limitAnswer(): void {
    const { timeoutMs, requestDone, attempt } = this.#record;
    const routeMs = requestDone ? timeoutMs : 0;
    const limitMs = this.#grpcMs > 0 ? tighter(routeMs, this.#leftOf(this.#grpcMs)) : routeMs;
    if (routeMs === 0 && this.#grpcMs === 0) return;
    attempt.deadlineMs = this.#clock.monotonic() + limitMs;
    this.#timers.setDeadline(limitMs);
  }

  /** What is left of a time since the beginning; at least 1. */
  #leftOf(ms: number): number {
    return Math.max(1, ms - (this.#clock.monotonic() - this.#startMs));
  }

  /** What the caller waits for at most; 0 = it does not say, or is not believed. */
  #expectedMs(): number {
    const { expectedTimeout } = this.#fields;
    if (!this.#record.source.ownCaller) return 0;
    return /^\d{1,10}$/.test(expectedTimeout) ? Math.min(Number(expectedTimeout), MAX_EXPECTED_MS) : 0;
  }
}

/** The tighter of two limits, where 0 is none. */
function tighter(one: number, other: number): number {
  if (one === 0 || other === 0) return Math.max(one, other);
  return Math.min(one, other);
}

/** `grpc_timeout_header_max` and `_offset` of a route hold for what a client says; 0 = the client says nothing. */
function grpcTimeoutMs({ grpcTimeoutMaxMs = 0, grpcTimeoutOffsetMs = 0 }: Plan, text: string): number {
  const ms = parseGrpcTimeout(text);
  if (ms === 0) return 0;
  return Math.max(1, tighter(ms, grpcTimeoutMaxMs) - grpcTimeoutOffsetMs);
}

/**
 * How long the next hop has for a try that is sent now, milliseconds; 0 = no limit. Before the end of the request the
 * route's timeout has not begun, and is told whole.
 */
export function timeForTry({ attempt, timeoutMs }: ExchangeRecord, plan: Plan, nowMs: number): number {
  const { deadlineMs = 0 } = attempt;
  const left = deadlineMs > 0 ? Math.max(1, Math.floor(deadlineMs - nowMs)) : timeoutMs;
  // Such a try goes on when its own time is over.
  if (plan.hedge?.onPerTryTimeout === true) return left;
  return tighter(left, plan.retry?.perTryTimeoutMs ?? 0);
}
