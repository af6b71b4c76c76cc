import type { Clock } from "@tulle/base";

import type { TimerWheel, WheelTimer } from "@tulle/base";

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
}

/** The two limits of an exchange: the time until its answer is complete, and the time in which nothing moves. */
export class ExchangeTimers {
  readonly #clock: Clock;
  readonly #deadline: WheelTimer;
  readonly #idle: WheelTimer;
  #idleMs = 0;
  #lastActivityMs = 0;

  constructor({ clock, fineWheel, coarseWheel }: ExchangeTimersContext, owner: ExchangeTimersOwner) {
    this.#clock = clock;
    this.#deadline = fineWheel.timer(() => owner.onDeadline());
    this.#idle = coarseWheel.timer(() => {
      const restMs = this.#lastActivityMs + this.#idleMs - this.#clock.monotonic();
      if (restMs > 0) this.#idle.arm(restMs);
      else owner.onIdle();
    });
  }

  /** From now on; replaces the deadline there was. */
  setDeadline(ms: number): void {
    this.#deadline.arm(ms);
  }

  /**
   * The deadline of an answer. The route's timeout runs from the end of the request, as Envoy's, which is now, or is 0
   * before; what a gRPC client gives the call, from its beginning, for its stream may never end. The earlier one counts.
   * 0 = no limit.
   */
  limitAnswer(routeMs: number, grpcMs: number, startMs: number): void {
    if (grpcMs === 0) {
      if (routeMs > 0) this.setDeadline(routeMs);
      return;
    }
    const leftMs = Math.max(grpcMs - (this.#clock.monotonic() - startMs), 0);
    this.setDeadline(routeMs > 0 ? Math.min(routeMs, leftMs) : leftMs);
  }

  clearDeadline(): void {
    this.#deadline.disarm();
  }

  /** `sinceMs`: when something moved last, monotonic. */
  watchIdle(ms: number, sinceMs: number): void {
    this.#idleMs = ms;
    this.#lastActivityMs = sinceMs;
    this.#idle.arm(ms);
  }

  /** Something moved. */
  touch(): void {
    if (this.#idle.armed) this.#lastActivityMs = this.#clock.monotonic();
  }

  stop(): void {
    this.#deadline.disarm();
    this.#idle.disarm();
  }
}
