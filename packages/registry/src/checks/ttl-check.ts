import type { Clock, Disposable, Timer } from "@tulle/base";

/** Calls `onExpired` when no `beat` came for the time to live; beating again starts it anew. */
export class TtlCheck implements Disposable {
  readonly #clock: Clock;
  readonly #ttlMs: number;
  readonly #onExpired: () => void;
  #timer: Timer;

  /** Begins with a full time to live, after a restart as well: the application did nothing wrong. */
  constructor(clock: Clock, ttlMs: number, onExpired: () => void) {
    this.#clock = clock;
    this.#ttlMs = ttlMs;
    this.#onExpired = onExpired;
    this.#timer = this.#start();
  }

  beat(): void {
    this.#timer[Symbol.dispose]();
    this.#timer = this.#start();
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
  }

  #start(): Timer {
    return this.#clock.setTimeout(this.#onExpired, this.#ttlMs, { keepAlive: false });
  }
}
