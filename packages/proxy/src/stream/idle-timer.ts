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

  /** Whether nothing has moved for this share, 0 to 1, of the time. */
  isIdleFor(share: number): boolean {
    return this.#timer.armed && this.#clock.monotonic() - this.#lastActivityMs >= this.#idleMs * share;
  }

  stop(): void {
    this.#timer.disarm();
  }
}
