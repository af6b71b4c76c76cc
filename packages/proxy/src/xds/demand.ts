/** How often time passes, milliseconds. */
export const DEMAND_SWEEP_MS = 60_000;

/** Authorities that requests asked for, at most. */
const MAX_NAMES = 1000;

/**
 * Which services the application asks for by name (outbound port): subscribed to at the first request, dropped when
 * not used for a while. Memory follows what is called.
 *
 * Time passes in sweeps: a name that was not used between two sweeps often enough goes.
 */
export class Demand {
  /** Sweep in which a name was last used. */
  readonly #lastUsed = new Map<string, number>();
  readonly #keepSweeps: number;
  #sweep = 0;

  /** A name unused for `keepSweeps` sweeps is dropped. */
  constructor(keepSweeps: number) {
    this.#keepSweeps = keepSweeps;
  }

  get names(): Iterable<string> {
    return this.#lastUsed.keys();
  }

  /** Marks a name as used; nothing when it is not demanded. */
  touch(name: string): void {
    const last = this.#lastUsed.get(name);
    if (last !== undefined && last !== this.#sweep) this.#lastUsed.set(name, this.#sweep);
  }

  /** Adds a name. Returns whether that is new; false also when there are too many and all are in use. */
  add(name: string): boolean {
    if (this.#lastUsed.has(name)) {
      this.touch(name);
      return false;
    }
    if (this.#lastUsed.size >= MAX_NAMES && !this.#dropOne()) return false;
    this.#lastUsed.set(name, this.#sweep);
    return true;
  }

  /** Lets time pass. Returns whether names were dropped. */
  sweep(): boolean {
    this.#sweep++;
    const before = this.#lastUsed.size;
    for (const [name, last] of this.#lastUsed) {
      if (this.#sweep - last > this.#keepSweeps) this.#lastUsed.delete(name);
    }
    return this.#lastUsed.size !== before;
  }

  #dropOne(): boolean {
    for (const [name, last] of this.#lastUsed) {
      if (last === this.#sweep) continue;
      this.#lastUsed.delete(name);
      return true;
    }
    return false;
  }
}
