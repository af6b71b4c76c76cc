import type { Clock, Disposable, Timer } from "@tulle/base";

export interface CoalescerOptions {
  readonly clock: Clock;
  /** Fires once nothing was added for this long, milliseconds. */
  readonly quietMs: number;
  /** Fires at the latest this long after the first addition, milliseconds. */
  readonly maxMs: number;
}

/** Gathers a burst of additions and hands it over in one piece. */
export class Coalescer<T> implements Disposable {
  readonly #options: CoalescerOptions;
  readonly #fire: (items: ReadonlySet<T>, firstAtMs: number) => void;
  #items = new Set<T>();
  #firstAtMs = 0;
  #timer: Timer | undefined;

  /** `fire` gets the distinct items and the monotonic time of the first. */
  constructor(options: CoalescerOptions, fire: (items: ReadonlySet<T>, firstAtMs: number) => void) {
    this.#options = options;
    this.#fire = fire;
  }

  add(items: Iterable<T>): void {
    const { clock, quietMs, maxMs } = this.#options;
    const nowMs = clock.monotonic();
    if (this.#timer === undefined) this.#firstAtMs = nowMs;
    for (const item of items) this.#items.add(item);
    this.#timer?.[Symbol.dispose]();
    const waitMs = Math.max(0, Math.min(quietMs, this.#firstAtMs + maxMs - nowMs));
    this.#timer = clock.setTimeout(() => this.#flush(), waitMs);
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#items = new Set();
  }

  #flush(): void {
    const items = this.#items;
    this.#items = new Set();
    this.#timer = undefined;
    this.#fire(items, this.#firstAtMs);
  }
}
