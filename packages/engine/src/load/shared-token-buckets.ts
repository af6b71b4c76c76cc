import type { TokenLimit } from "../contract.js";
import { mix, saltOf } from "../entropy.js";
import { emptyAfterTaking, MAX_KEPT_BUCKETS, MAX_KEYED_BUCKETS, tokensSince } from "./token-buckets.js";

/** Buckets among which a key may have its place. */
const WAYS = 8;
/** A key's hash and its state. */
const BYTES_PER_BUCKET = 16;
const MICROSECONDS = 1000;
/** State of a bucket that nothing was taken from yet: empty long before anything began. */
const FULL = -(2n ** 62n);

export const TOKEN_BYTES = (MAX_KEPT_BUCKETS + MAX_KEYED_BUCKETS) * BYTES_PER_BUCKET;

/**
 * Token buckets that threads share: every token is given out once, whichever thread asks.
 *
 * A key is known by 64 bits of its hash, seeded, so that nobody can make up keys that meet another's bucket. It has its
 * place in one of eight neighbours; when all are taken, the one that has been filling longest is given to the new key,
 * which loses least: a full bucket is as good as a new one.
 */
export class SharedTokenBuckets {
  readonly #kept: Buckets;
  readonly #keyed: Buckets;
  readonly #seed: number;

  /** `memory` has `TOKEN_BYTES`. */
  constructor(memory: SharedArrayBuffer, seed: number) {
    this.#kept = new Buckets(memory, 0, MAX_KEPT_BUCKETS);
    this.#keyed = new Buckets(memory, MAX_KEPT_BUCKETS * BYTES_PER_BUCKET, MAX_KEYED_BUCKETS);
    this.#seed = seed;
  }

  take(key: string, kept: boolean, limit: TokenLimit, now: number): number {
    const buckets = kept ? this.#kept : this.#keyed;
    return buckets.take(buckets.place(this.#hash(key)), limit, now);
  }

  tokens(key: string, kept: boolean, limit: TokenLimit, now: number): number {
    const buckets = kept ? this.#kept : this.#keyed;
    return buckets.tokens(buckets.find(this.#hash(key)), limit, now);
  }

  #hash(key: string): bigint {
    const first = saltOf(key);
    const high = mix(first, this.#seed);
    const low = mix(saltOf(`${key}/${this.#seed}`), first);
    // 0 stands for a place that nobody has.
    return (BigInt(high) << 31n) | BigInt(low >>> 1) | 1n;
  }
}

class Buckets {
  readonly #hashes: BigInt64Array;
  /** When each was empty, microseconds. */
  readonly #emptyAt: BigInt64Array;
  readonly #sets: number;

  constructor(memory: SharedArrayBuffer, offset: number, count: number) {
    this.#hashes = new BigInt64Array(memory, offset, count);
    this.#emptyAt = new BigInt64Array(memory, offset + 8 * count, count);
    this.#sets = count / WAYS;
  }

  /** The place of a key; -1 when it has none. */
  find(hash: bigint): number {
    const first = this.#first(hash);
    for (let place = first; place < first + WAYS; place++)
      if (Atomics.load(this.#hashes, place) === hash) return place;
    return -1;
  }

  /** The place of a key, which it is given if it has none. */
  place(hash: bigint): number {
    for (;;) {
      const known = this.find(hash);
      if (known >= 0) return known;
      const first = this.#first(hash);
      let place = first;
      for (let other = first; other < first + WAYS; other++) {
        if (this.#order(other) < this.#order(place)) place = other;
      }
      const before = Atomics.load(this.#hashes, place);
      // Full before it has its new name: who finds it by that name finds it full.
      Atomics.store(this.#emptyAt, place, FULL);
      if (Atomics.compareExchange(this.#hashes, place, before, hash) === before) return place;
    }
  }

  take(place: number, limit: TokenLimit, now: number): number {
    for (;;) {
      const before = Atomics.load(this.#emptyAt, place);
      const tokens = tokensSince(Number(before) / MICROSECONDS, limit, now);
      if (tokens < 1) return tokens;
      const after = BigInt(Math.round(emptyAfterTaking(tokens, limit, now) * MICROSECONDS));
      if (Atomics.compareExchange(this.#emptyAt, place, before, after) === before) return tokens;
    }
  }

  tokens(place: number, limit: TokenLimit, now: number): number {
    return place < 0
      ? limit.maxTokens
      : tokensSince(Number(Atomics.load(this.#emptyAt, place)) / MICROSECONDS, limit, now);
  }

  #first(hash: bigint): number {
    return Number((hash >> 8n) % BigInt(this.#sets)) * WAYS;
  }

  /** Free places come first, then those that have been filling longest. */
  #order(place: number): bigint {
    return Atomics.load(this.#hashes, place) === 0n ? FULL - 1n : Atomics.load(this.#emptyAt, place);
  }
}
