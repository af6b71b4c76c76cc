export interface BackoffOptions {
  /** First delay, milliseconds. */
  readonly baseMs: number;
  /** No delay is longer, milliseconds. */
  readonly maxMs: number;
  /** Growth per failure; default 2. */
  readonly factor?: number;
  /** Share of each delay that is random, 0 to 1; default 0.5 (a delay lies between half and the whole). */
  readonly jitter?: number;
}

/** Jittered exponential back-off: the delay grows with every failure until `reset()`. */
export class Backoff {
  readonly #options: Required<BackoffOptions>;
  readonly #random: () => number;
  #failures = 0;

  /** `random` gives numbers in [0, 1); pass a constant in tests. */
  constructor(options: BackoffOptions, random: () => number) {
    this.#options = { factor: 2, jitter: 0.5, ...options };
    this.#random = random;
  }

  /** Milliseconds to wait before the next try; counts one more failure. */
  next(): number {
    const { baseMs, maxMs, factor, jitter } = this.#options;
    const full = Math.min(maxMs, baseMs * factor ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 64);
    return full * (1 - jitter * this.#random());
  }

  reset(): void {
    this.#failures = 0;
  }
}
