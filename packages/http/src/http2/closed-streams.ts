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

const REMEMBERED = 1024;

/** How the last streams ended, by id: one slot for all ids that are equal modulo 1,024 streams. Fixed memory, 5 KiB. */
export class ClosedStreams {
  #ids: Int32Array | undefined;
  #reasons: Uint8Array | undefined;

  add(id: number, reason: number): void {
    this.#ids ??= new Int32Array(REMEMBERED);
    this.#reasons ??= new Uint8Array(REMEMBERED);
    const slot = (id >>> 1) & (REMEMBERED - 1);
    this.#ids[slot] = id;
    this.#reasons[slot] = reason;
  }

  /** One of `Closed`. */
  reasonOf(id: number): number {
    const slot = (id >>> 1) & (REMEMBERED - 1);
    return this.#ids?.[slot] === id ? this.#reasons![slot]! : Closed.UNKNOWN;
  }
}
