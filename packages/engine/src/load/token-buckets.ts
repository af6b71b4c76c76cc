import type { TokenLimit } from "../contract.js";

/** Buckets that configuration asks for. */
export const MAX_KEPT_BUCKETS = 4096;
/** Buckets of keys that callers bring along: as many are remembered, the one used longest ago is forgotten. */
export const MAX_KEYED_BUCKETS = 16_384;

/**
 * When a bucket was, or would have been, empty: it has been filling since. One number is the whole state of a bucket, so
 * that taking a token is one exchange of it.
 */
export function tokensSince(emptyAtMs: number, { maxTokens, msPerToken }: TokenLimit, now: number): number {
  return Math.min(maxTokens, (now - emptyAtMs) / msPerToken);
}

/** The new `emptyAtMs` of a bucket that had `tokens`, of which one is taken. */
export function emptyAfterTaking(tokens: number, { msPerToken }: TokenLimit, now: number): number {
  return now - (tokens - 1) * msPerToken;
}

/** Token buckets of one thread. */
export class TokenBuckets {
  readonly #kept = new Map<string, number>();
  readonly #keyed = new Map<string, number>();

  take(key: string, kept: boolean, limit: TokenLimit, now: number): number {
    const buckets = kept ? this.#kept : this.#keyed;
    const tokens = tokensOf(buckets, key, limit, now);
    if (tokens < 1 && !buckets.has(key)) return tokens;
    const emptyAt = tokens < 1 ? buckets.get(key)! : emptyAfterTaking(tokens, limit, now);
    // Behind all others: a map hands its keys out in the order of their coming.
    buckets.delete(key);
    buckets.set(key, emptyAt);
    if (buckets.size > (kept ? MAX_KEPT_BUCKETS : MAX_KEYED_BUCKETS)) forgetOldest(buckets);
    return tokens;
  }

  tokens(key: string, kept: boolean, limit: TokenLimit, now: number): number {
    return tokensOf(kept ? this.#kept : this.#keyed, key, limit, now);
  }
}

function tokensOf(buckets: ReadonlyMap<string, number>, key: string, limit: TokenLimit, now: number): number {
  return tokensSince(buckets.get(key) ?? Number.NEGATIVE_INFINITY, limit, now);
}

function forgetOldest(buckets: Map<string, number>): void {
  for (const key of buckets.keys()) {
    buckets.delete(key);
    return;
  }
}
