import type { Clock, TimerWheel, WheelTimer } from "@tulle/base";

import { IdleTimer } from "./idle-timer.js";

/** What the timers of exchanges share. */
export interface ExchangeTimersContext {
  readonly clock: Clock;
  /** For timeouts of a request. */
  readonly fineWheel: TimerWheel;
  /** For timeouts of minutes. */
  readonly coarseWheel: TimerWheel;
}

/** Who is told that time is over. */
export interface ExchangeTimersOwner {
  onDeadline(): void;
  onIdle(): void;
  /** The request has not come whole in its time. */
  onRequestTooSlow(): void;
  /** The exchange has taken as long as one may. */
  onTooLong(): void;
}

/**
 * The limits of an exchange: the time until its answer is complete, and the time in which nothing moves. Two more are
 * rarely set, and have no timers before: the time for the request to arrive, and that of the whole.
 */
export class ExchangeTimers {
  readonly #context: ExchangeTimersContext;
  readonly #owner: ExchangeTimersOwner;
  readonly #deadline: WheelTimer;
  readonly #idle: IdleTimer;
  #request: WheelTimer | undefined;
  #whole: WheelTimer | undefined;

  constructor(context: ExchangeTimersContext, owner: ExchangeTimersOwner) {
    this.#context = context;
    this.#owner = owner;
    this.#deadline = context.fineWheel.timer(() => owner.onDeadline());
    this.#idle = new IdleTimer(context.clock, context.coarseWheel, () => owner.onIdle());
  }

  /** From now on; replaces the deadline there was. */
  setDeadline(ms: number): void {
    this.#deadline.arm(ms);
  }

  clearDeadline(): void {
    this.#deadline.disarm();
  }

  /** `sinceMs`: when something moved last, monotonic. */
  watchIdle(ms: number, sinceMs: number): void {
    this.#idle.watch(ms, sinceMs);
  }

  /** Something moved. */
  touch(): void {
    this.#idle.touch();
  }

  /** Tells the owner at once if nothing has moved for this share, 0 to 1, of its time. */
  endIdle(share: number): void {
    if (!this.#idle.isIdleFor(share)) return;
    this.#idle.stop();
    this.#owner.onIdle();
  }

  limitRequest(ms: number): void {
    this.#request ??= this.#context.fineWheel.timer(() => this.#owner.onRequestTooSlow());
    this.#request.arm(ms);
  }

  /** The request is here, or nobody waits for the rest of it. */
  clearRequest(): void {
    this.#request?.disarm();
  }

  limitWhole(ms: number): void {
    this.#whole ??= this.#context.fineWheel.timer(() => this.#owner.onTooLong());
    this.#whole.arm(ms);
  }

  stop(): void {
    this.#deadline.disarm();
    this.#idle.stop();
    this.#request?.disarm();
    this.#whole?.disarm();
  }
}
