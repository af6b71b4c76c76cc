/** How a stream ended. */
export const Closed = {
  /** Never opened, or too long ago to know. */
  UNKNOWN: 0,
  /** Both sides ended it: a reset may follow, and is not held against the peer. */
  ENDED: 1,
  /** The peer reset it: nothing may follow. */
  BY_PEER: 2,
  /** We reset it: what the peer sent before it knew is ignored. */
  BY_US: 3,
} as const;

/** Whether the peer itself had ended the stream, so that nothing of it can be under way. */
export function isOver(reason: number): boolean {
  return reason === Closed.ENDED || reason === Closed.BY_PEER;
}

/** Ids of one side's streams are two apart. */
const REMEMBERED = 1024;

/** How the last 1,024 streams ended, up to the newest of them. One byte a stream, 1 KiB. */
export class ClosedStreams {
  #reasons: Uint8Array | undefined;
  #newest = 0;

  add(id: number, reason: number): void {
    this.#reasons ??= new Uint8Array(REMEMBERED);
    if (id > this.#newest) {
      // Ids that were passed over have no end yet.
      const first = Math.max(this.#newest + 2, id - 2 * REMEMBERED + 2);
      for (let passed = first; passed < id; passed += 2) this.#reasons[slotOf(passed)] = Closed.UNKNOWN;
      this.#newest = id;
    } else if (id <= this.#newest - 2 * REMEMBERED) return;
    this.#reasons[slotOf(id)] = reason;
  }

  /** One of `Closed`. */
  reasonOf(id: number): number {
    if (id > this.#newest || id <= this.#newest - 2 * REMEMBERED) return Closed.UNKNOWN;
    return this.#reasons?.[slotOf(id)] ?? Closed.UNKNOWN;
  }
}

function slotOf(id: number): number {
  return (id >>> 1) & (REMEMBERED - 1);
}
