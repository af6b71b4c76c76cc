import { murmur2 } from "../hash/murmur2.js";
import type { Word64 } from "../hash/word64.js";
import { xxHash64 } from "../hash/xxhash64.js";
import type { Candidates } from "./balancer.js";
import type { Lookup, LookupMaker } from "./hashed.js";

export interface RingSettings {
  readonly hash: "xxhash" | "murmur2";
  /** Entries that the ring has at least; the more, the more evenly it spreads. */
  readonly minSize: number;
  readonly maxSize: number;
}

/**
 * Ketama: every endpoint has places on a ring, as many as its weight asks for, and a key belongs to the first place at
 * or after it. Places are where Envoy and gRPC have them (hash of `address_0`, `address_1`, …), so that proxies and
 * proxyless clients of one service agree on most keys.
 */
export function ringHash(settings: RingSettings): LookupMaker {
  return (candidates) => makeRing(candidates, settings);
}

function makeRing({ endpoints, weights }: Candidates, settings: RingSettings): Lookup {
  const hash = settings.hash === "xxhash" ? xxHash64 : murmur2;
  const owners = new Map<number, number>();
  const counts = placesOf(weights, settings);
  endpoints.forEach((endpoint, index) => {
    for (let place = 0; place < counts[index]!; place++) {
      const { upper53 } = hash(`${endpoint.key}_${place}`);
      if (!owners.has(upper53)) owners.set(upper53, index);
    }
  });
  const places = Float64Array.from(owners.keys()).sort();
  const owner = Uint32Array.from(places, (place) => owners.get(place)!);
  return (key) => owner[firstAtOrAfter(places, key)]!;
}

/**
 * How many places each endpoint gets: the lightest a power of two, so that the ring is as long as it must be, the others
 * in proportion. So the places of those that stay do not change when one comes or goes, unless their number passes a
 * power of two; with exactly as many as fit, as Envoy has it, all of them lose or gain some and other keys move too.
 */
function placesOf(weights: readonly number[], { minSize, maxSize }: RingSettings): number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const lightest = Math.min(...weights);
  // A hair less: sums of fractions may exceed the whole number that they stand for.
  const wanted = 2 ** Math.ceil(Math.log2(Math.max(1, (minSize * lightest) / total - 1e-6)));
  const scale = Math.min(wanted / lightest, maxSize / total);
  return weights.map((weight) => Math.max(1, Math.floor(weight * scale + 1e-6)));
}

function firstAtOrAfter(places: Float64Array, key: Word64): number {
  const wanted = key.upper53;
  let low = 0;
  let high = places.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (places[middle]! < wanted) low = middle + 1;
    else high = middle;
  }
  return low === places.length ? 0 : low;
}
