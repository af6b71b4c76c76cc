/** Columns of 4 bytes in a slot's row. */
export const RECENT_COLUMNS = 5;

/**
 * Requests and retries of the last while per cluster, for retry budgets. Two windows are kept, the one that runs and the
 * one before, and the latter counts as far as it still reaches back:
 *
 * ```
 *   |—— before ——|—— running ·····|      recent = before · (1 − share) + running
 *                       ^ share of the running window that is over
 * ```
 *
 * The same code serves one thread and several: on memory that is not shared, atomic operations are plain ones.
 */
export class RecentCounts {
  readonly #windows: Int32Array;
  readonly #requests: Int32Array;
  readonly #requestsBefore: Int32Array;
  readonly #retries: Int32Array;
  readonly #retriesBefore: Int32Array;

  /** `column` gives one of `RECENT_COLUMNS` columns of rows, all zero. */
  constructor(column: (index: number) => Int32Array) {
    this.#windows = column(0);
    this.#requests = column(1);
    this.#requestsBefore = column(2);
    this.#retries = column(3);
    this.#retriesBefore = column(4);
  }

  count(slot: number, windowMs: number, nowMs: number, retry: boolean): void {
    this.#turn(slot, windowMs, nowMs);
    Atomics.add(retry ? this.#retries : this.#requests, slot, 1);
  }

  requests(slot: number, windowMs: number, nowMs: number): number {
    return this.#recent(this.#requests, this.#requestsBefore, slot, windowMs, nowMs);
  }

  retries(slot: number, windowMs: number, nowMs: number): number {
    return this.#recent(this.#retries, this.#retriesBefore, slot, windowMs, nowMs);
  }

  reset(slot: number): void {
    Atomics.store(this.#windows, slot, 0);
  }

  /** Begins another window when its time has come. Of threads that notice at once, one does it. */
  #turn(slot: number, windowMs: number, nowMs: number): void {
    const window = windowOf(windowMs, nowMs);
    const known = Atomics.load(this.#windows, slot);
    if (known === window || Atomics.compareExchange(this.#windows, slot, known, window) !== known) return;
    const follows = window === known + 1;
    const requests = Atomics.exchange(this.#requests, slot, 0);
    const retries = Atomics.exchange(this.#retries, slot, 0);
    Atomics.store(this.#requestsBefore, slot, follows ? requests : 0);
    Atomics.store(this.#retriesBefore, slot, follows ? retries : 0);
  }

  /** Looks only: whoever asks what would be must not begin a window. */
  #recent(counts: Int32Array, before: Int32Array, slot: number, windowMs: number, nowMs: number): number {
    const window = windowOf(windowMs, nowMs);
    const known = Atomics.load(this.#windows, slot);
    const reach = 1 - (nowMs % windowMs) / windowMs;
    if (window === known) return before[slot]! * reach + counts[slot]!;
    return window === known + 1 ? counts[slot]! * reach : 0;
  }
}

function windowOf(windowMs: number, nowMs: number): number {
  return Math.floor(nowMs / windowMs) | 0;
}
