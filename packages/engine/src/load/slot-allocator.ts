/** Slot of what has no slot: a cluster that does not exist. Counts on it mean nothing. */
export const NO_SLOT = 0;

/**
 * Hands out the rows of a load table by identity. A slot that nobody holds any more goes to another identity only when
 * nothing is under way on it, because a request may outlive the configuration that it was routed by; then oldest
 * release first.
 */
export class SlotAllocator {
  readonly #maxSlots: number;
  readonly #isIdle: (slot: number) => boolean;
  readonly #onForgotten: ((identity: string, slot: number) => void) | undefined;
  readonly #slots = new Map<string, number>();
  readonly #identities: (string | undefined)[] = [undefined];
  readonly #references: Int32Array;
  /** Slots that nobody holds, in the order of their release. Those that were busy then still have their identity. */
  readonly #released = new Set<number>();

  /**
   * `references`: a column of zeros for all slots. `isIdle` says whether nothing is under way on a slot. `onForgotten`:
   * an identity has its slot no longer.
   */
  constructor(
    references: Int32Array,
    isIdle: (slot: number) => boolean,
    onForgotten?: (identity: string, slot: number) => void,
  ) {
    this.#maxSlots = references.length;
    this.#isIdle = isIdle;
    this.#onForgotten = onForgotten;
    this.#references = references;
  }

  /** The slot of an identity that has one, one reference more. */
  hold(identity: string): number | undefined {
    const slot = this.#slots.get(identity);
    if (slot === undefined) return undefined;
    if (this.#references[slot]!++ === 0) this.#released.delete(slot);
    return slot;
  }

  /** A slot for an identity that has none, with one reference; -1 when there is none left. */
  assign(identity: string): number {
    const slot = this.#take();
    if (slot < 0) return slot;
    this.#slots.set(identity, slot);
    this.#identities[slot] = identity;
    this.#references[slot] = 1;
    return slot;
  }

  /** Gives one reference back. */
  release(slot: number): void {
    if (slot === NO_SLOT || this.#references[slot]! <= 0) return;
    if (--this.#references[slot]! > 0) return;
    if (this.#isIdle(slot)) this.#forget(slot);
    this.#released.add(slot);
  }

  /** Every identity with its slot. */
  entries(): Iterable<readonly [identity: string, slot: number]> {
    return this.#slots;
  }

  #take(): number {
    const fresh = this.#identities.length;
    if (fresh < this.#maxSlots) {
      this.#identities.push(undefined);
      return fresh;
    }
    for (const slot of this.#released) {
      // A request that picked just before the release may have begun since: such a slot is passed over until it ends.
      if (!this.#isIdle(slot)) continue;
      this.#forget(slot);
      this.#released.delete(slot);
      return slot;
    }
    return -1;
  }

  #forget(slot: number): void {
    const identity = this.#identities[slot];
    if (identity === undefined) return;
    this.#slots.delete(identity);
    this.#identities[slot] = undefined;
    this.#onForgotten?.(identity, slot);
  }
}
