/** Weight of one observation in the moving averages: about the last 16 count. */
const OBSERVATION_WEIGHT = 1 / 8;

/** Moving averages of what attempts on an endpoint told. */
export class Averages {
  readonly #latencyMs: Float64Array;
  readonly #failures: Float64Array;

  /** A row per slot each. */
  constructor(latencyMs: Float64Array, failures: Float64Array) {
    this.#latencyMs = latencyMs;
    this.#failures = failures;
  }

  observe(slot: number, latencyMs: number, failed: boolean): void {
    const before = this.#latencyMs[slot]!;
    this.#latencyMs[slot] = before === 0 ? latencyMs : before + (latencyMs - before) * OBSERVATION_WEIGHT;
    const failures = this.#failures[slot]!;
    this.#failures[slot] = failures + ((failed ? 1 : 0) - failures) * OBSERVATION_WEIGHT;
  }

  reset(slot: number): void {
    this.#latencyMs[slot] = 0;
    this.#failures[slot] = 0;
  }

  latencyMs(slot: number): number {
    return this.#latencyMs[slot]!;
  }

  failureRate(slot: number): number {
    return this.#failures[slot]!;
  }
}
