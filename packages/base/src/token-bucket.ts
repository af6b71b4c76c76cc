import type { Clock } from "./clock.js";

/** Lets `ratePerSecond` calls through on average and up to `burst` at once. */
export class TokenBucket {
  readonly #ratePerSecond: number;
  readonly #burst: number;
  readonly #clock: Clock;
  #tokens: number;
  #filledAt: number;

  constructor(ratePerSecond: number, burst: number, clock: Clock) {
    this.#ratePerSecond = ratePerSecond;
    this.#burst = burst;
    this.#clock = clock;
    this.#tokens = burst;
    this.#filledAt = clock.monotonic();
  }

  /** Takes one token; false when there is none. */
  take(): boolean {
    if (this.isEmpty()) return false;
    this.#tokens -= 1;
    return true;
  }

  /** Whether {@link take} would find none now. */
  isEmpty(): boolean {
    const now = this.#clock.monotonic();
    const gained = ((now - this.#filledAt) / 1000) * this.#ratePerSecond;
    this.#tokens = Math.min(this.#burst, this.#tokens + gained);
    this.#filledAt = now;
    return this.#tokens < 1;
  }
}
