import type { Clock, Timer } from "@tulle/base";

interface Pending {
  readonly callback: () => void;
  dueMs: number;
  readonly periodMs: number | undefined;
  readonly order: number;
}

/** A clock that stands still until `advance`: timers fire in order of time, then of creation. */
export class FakeClock implements Clock {
  #nowMs: number;
  #order = 0;
  readonly #startMs: number;
  readonly #pending = new Set<Pending>();

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#startMs = startMs;
    this.#nowMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  monotonic(): number {
    return this.#nowMs - this.#startMs;
  }

  setTimeout(callback: () => void, delayMs: number): Timer {
    return this.#add(callback, delayMs, undefined);
  }

  setInterval(callback: () => void, periodMs: number): Timer {
    return this.#add(callback, periodMs, Math.max(periodMs, 1));
  }

  /** How many timers wait: 0 at the end of a test that leaks none. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Lets `ms` pass, running what falls due, and lets promises settle between timers. */
  async advance(ms: number): Promise<void> {
    const until = this.#nowMs + ms;
    for (;;) {
      await settle();
      const next = this.#earliest();
      if (next === undefined || next.dueMs > until) break;
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      if (next.periodMs === undefined) this.#pending.delete(next);
      else next.dueMs += next.periodMs;
      next.callback();
    }
    this.#nowMs = until;
    await settle();
  }

  #add(callback: () => void, delayMs: number, periodMs: number | undefined): Timer {
    const pending = { callback, dueMs: this.#nowMs + Math.max(delayMs, 0), periodMs, order: this.#order++ };
    this.#pending.add(pending);
    return { [Symbol.dispose]: () => this.#pending.delete(pending) };
  }

  #earliest(): Pending | undefined {
    let best: Pending | undefined;
    for (const pending of this.#pending) {
      if (
        best === undefined ||
        pending.dueMs < best.dueMs ||
        (pending.dueMs === best.dueMs && pending.order < best.order)
      ) {
        best = pending;
      }
    }
    return best;
  }
}

/** Lets promise callbacks and immediates that are already due run. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
