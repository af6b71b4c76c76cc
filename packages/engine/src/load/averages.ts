/** Weight of one observation in the moving averages: about the last 16 count. */
const OBSERVATION_WEIGHT = 1 / 8;

/** Time in which the memory of a slow answer loses two thirds, milliseconds (Linkerd's). */
const DECAY_MS = 10_000;
/** What a failed attempt counts as in the peak average, at least: who fails at once is not fast. */
const FAILURE_MS = 1000;

/** Moving averages of what attempts on an endpoint told. */
export class Averages {
  readonly #latencyMs: Float64Array;
  readonly #failures: Float64Array;
  readonly #peakMs: Float64Array;
  readonly #peakAt: Float64Array;

  /** A row per slot each. */
  constructor(latencyMs: Float64Array, failures: Float64Array, peakMs: Float64Array, peakAt: Float64Array) {
    this.#latencyMs = latencyMs;
    this.#failures = failures;
    this.#peakMs = peakMs;
    this.#peakAt = peakAt;
  }

  observe(slot: number, latencyMs: number, failed: boolean, now: number): void {
    if (this.#peakAt[slot] !== 0) {
      this.#observePeak(slot, failed ? Math.max(latencyMs, FAILURE_MS) : latencyMs, now);
    }
    const before = this.#latencyMs[slot]!;
    this.#latencyMs[slot] = before === 0 ? latencyMs : before + (latencyMs - before) * OBSERVATION_WEIGHT;
    const failures = this.#failures[slot]!;
    this.#failures[slot] = failures + ((failed ? 1 : 0) - failures) * OBSERVATION_WEIGHT;
  }

  reset(slot: number): void {
    this.#latencyMs[slot] = 0;
    this.#failures[slot] = 0;
    this.#peakMs[slot] = 0;
    this.#peakAt[slot] = 0;
  }

  /** Keeps a peak average from now on; it begins with what is known. */
  watchPeak(slot: number, now: number): void {
    if (this.#peakAt[slot] !== 0) return;
    this.#peakMs[slot] = this.#latencyMs[slot]!;
    this.#peakAt[slot] = Math.max(now, Number.MIN_VALUE);
  }

  /** The peak average, faded since the last observation; the plain one where no peaks are kept. */
  expectedMs(slot: number, now: number): number {
    if (this.#peakAt[slot] === 0) return this.#latencyMs[slot]!;
    return this.#peakMs[slot]! * this.#kept(slot, now);
  }

  /** A slower answer counts at once and in full, a faster one the more the longer nothing was heard. */
  #observePeak(slot: number, latencyMs: number, now: number): void {
    const kept = this.#kept(slot, now);
    const before = this.#peakMs[slot]!;
    this.#peakMs[slot] = latencyMs > before ? latencyMs : before * kept + latencyMs * (1 - kept);
    this.#peakAt[slot] = Math.max(now, Number.MIN_VALUE);
  }

  #kept(slot: number, now: number): number {
    return Math.exp(-Math.max(0, now - this.#peakAt[slot]!) / DECAY_MS);
  }

  latencyMs(slot: number): number {
    return this.#latencyMs[slot]!;
  }

  failureRate(slot: number): number {
    return this.#failures[slot]!;
  }
}
