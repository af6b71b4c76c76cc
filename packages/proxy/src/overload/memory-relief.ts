/** One request with its response, as far as it holds memory. */
export interface BufferingStream {
  /** Of both directions, what its reader has not taken. */
  readonly bufferedBytes: number;
  /** Ends it: the memory is needed. */
  shed(): void;
}

/** A client's connection, as far as it can give memory back. */
export interface RelievableConnection {
  /** Ends what has been idle for this share, 0 to 1, of its idle timeout: requests, or itself when there are none. */
  endIdle(share: number): void;
  /** Tells of each request under way, and of answers that were not read yet. */
  visitStreams(visit: (stream: BufferingStream) => void): void;
}

/** Envoy's: streams are weighed in so many classes, each from twice the bytes of the one before. */
const BUCKETS = 8;
/** And so many are reset at a time, at most. */
const MAX_RESETS = 50;

/**
 * Gets memory back from clients while it is short: from those that do nothing with theirs, and from those that hold the most
 * (Envoy's `reduce_timeouts` and `reset_high_memory_stream`). Connections are looked through only then: nothing is counted
 * for it before.
 */
export class MemoryRelief {
  readonly #connections = new Set<RelievableConnection>();
  readonly #leastBytes: number;

  /** `leastBytes`: who holds less is never reset; 0 = nobody is. */
  constructor(leastBytes: number) {
    this.#leastBytes = leastBytes;
  }

  add(connection: RelievableConnection): void {
    this.#connections.add(connection);
  }

  remove(connection: RelievableConnection): void {
    this.#connections.delete(connection);
  }

  endIdle(share: number): void {
    for (const connection of this.#connections) connection.endIdle(share);
  }

  /**
   * Resets the streams that hold the most: those of the heaviest class under little pressure, of all classes at 1. Returns
   * how many.
   */
  resetHeaviest(pressure: number): number {
    if (this.#leastBytes === 0 || pressure <= 0) return 0;
    const buckets = this.#weigh();
    const heaviest = buckets.findLastIndex(({ length }) => length > 0);
    const lowest = Math.max(0, heaviest + 1 - Math.ceil(pressure * BUCKETS));
    let resets = 0;
    for (let at = heaviest; at >= lowest; at--) {
      for (const stream of buckets[at] ?? []) {
        if (resets === MAX_RESETS) return resets;
        resets++;
        stream.shed();
      }
    }
    return resets;
  }

  #weigh(): readonly BufferingStream[][] {
    const buckets = Array.from({ length: BUCKETS }, (): BufferingStream[] => []);
    const visit = (stream: BufferingStream): void => {
      const times = stream.bufferedBytes / this.#leastBytes;
      if (times < 1) return;
      const bucket = buckets[Math.min(BUCKETS - 1, Math.floor(Math.log2(times)))];
      if (bucket !== undefined && bucket.length < MAX_RESETS) bucket.push(stream);
    };
    for (const connection of this.#connections) connection.visitStreams(visit);
    return buckets;
  }
}
