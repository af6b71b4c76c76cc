import type { RequestHash } from "../affinity/request-hash.js";
import type { EngineRequest } from "../contract.js";
import { headerValue } from "./header-value.js";
import type { Split } from "./split.js";

/** What `pointOf` gives for a request that says nothing: chance decides. */
export const NO_POINT = -1;

/** What of a request decides among the clusters of a split instead of chance. */
export interface SplitKey {
  /** Where the request falls in the sum of the weights, or `NO_POINT`. */
  pointOf(request: EngineRequest, split: Split<unknown>, entropy: number): number;
}

/** Requests with an equal hash go the same way. */
export class HashKey implements SplitKey {
  readonly #hash: RequestHash;

  constructor(hash: RequestHash) {
    this.#hash = hash;
  }

  pointOf(request: EngineRequest, split: Split<unknown>, entropy: number): number {
    const { key } = this.#hash.of(request, "", entropy);
    return key === undefined ? NO_POINT : split.draw((key.high ^ key.low) >>> 0);
  }
}

/**
 * A header gives the number that is drawn (Envoy's `weighted_clusters.header_name`), so that several proxies in a row draw
 * the same.
 */
export class HeaderKey implements SplitKey {
  readonly #name: string;

  /** `name` is lower-case. */
  constructor(name: string) {
    this.#name = name;
  }

  pointOf(request: EngineRequest, split: Split<unknown>): number {
    const value = headerValue(request.headers, this.#name);
    return value === undefined ? NO_POINT : remainder(value, split.total);
  }
}

const MAX_UINT64 = "18446744073709551615";

/** Of an unsigned number of at most 64 bits; `NO_POINT` when the text is none. `divisor` is below 2^32. */
function remainder(text: string, divisor: number): number {
  const { length } = text;
  if (length === 0 || length > MAX_UINT64.length) return NO_POINT;
  if (length === MAX_UINT64.length && text > MAX_UINT64) return NO_POINT;
  let rest = 0;
  for (let index = 0; index < length; index++) {
    const digit = text.charCodeAt(index) - ZERO;
    if (digit < 0 || digit > 9) return NO_POINT;
    rest = (rest * 10 + digit) % divisor;
  }
  return rest;
}

const ZERO = 0x30;
