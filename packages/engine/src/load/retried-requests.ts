/** Requests that are remembered at a time: each has one place, and a later one that shares it takes it. */
const PLACES = 4096;
/** Bytes of memory that they take. */
export const RETRIED_BYTES = 8 * PLACES;
/** How long one is remembered. */
const KEPT_SECONDS = 60;

/**
 * Requests of which the calls that they led to have used up their retries, by the hash of the request id: the sidecar
 * before must not make them all again. What is forgotten too early costs retries that need not have been, no more.
 */
export class RetriedRequests {
  readonly #hashes: Int32Array;
  readonly #seconds: Int32Array;

  constructor(memory: ArrayBuffer | SharedArrayBuffer, offset: number) {
    this.#hashes = new Int32Array(memory, offset, PLACES);
    this.#seconds = new Int32Array(memory, offset + 4 * PLACES, PLACES);
  }

  note(hash: number, nowMs: number): void {
    const place = hash % PLACES;
    Atomics.store(this.#hashes, place, hash | 0);
    Atomics.store(this.#seconds, place, secondsOf(nowMs));
  }

  take(hash: number, nowMs: number): boolean {
    const place = hash % PLACES;
    const noted = Atomics.load(this.#seconds, place);
    if (noted === 0 || Atomics.load(this.#hashes, place) !== (hash | 0)) return false;
    Atomics.store(this.#seconds, place, 0);
    return Math.abs(secondsOf(nowMs) - noted) <= KEPT_SECONDS;
  }
}

/** Never 0, which stands for an empty place. */
function secondsOf(nowMs: number): number {
  return Math.floor(nowMs / 1000) | 0 || 1;
}
