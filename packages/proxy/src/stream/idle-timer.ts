import type { Clock, TimerWheel, WheelTimer } from "@tulle/base";

/** Tells when nothing has moved for some time. Movement costs a reading of the clock, no timer. */
export class IdleTimer {
  readonly #clock: Clock;
  readonly #timer: WheelTimer;
  #idleMs = 0;
  #lastActivityMs = 0;

  constructor(clock: Clock, wheel: TimerWheel, onIdle: () => void) {
    this.#clock = clock;
    this.#timer = wheel.timer(() => {
      const restMs = this.#lastActivityMs + this.#idleMs - this.#clock.monotonic();
      if (restMs > 0) this.#timer.arm(restMs);
      else onIdle();
    });
  }

  /** `sinceMs`: when something moved last, monotonic. */
  watch(ms: number, sinceMs: number): void {
    this.#idleMs = ms;
    this.#lastActivityMs = sinceMs;
    this.#timer.arm(ms);
  }

  /** Something moved. */
  touch(): void {
    if (this.#timer.armed) this.#lastActivityMs = this.#clock.monotonic();
  }

  stop(): void {
    this.#timer.disarm();
  }
}
