import { mix } from "../entropy.js";
import { Word64 } from "../hash/word64.js";
import type { EndpointPart } from "../snapshot/contract.js";
import type { Balancer, Candidates, Draw, Policy } from "./balancer.js";

/** Finds the candidate of a key, by its index. Equal keys and candidates find the same one. */
export type Lookup = (key: Word64) => number;

/** Makes the table of a consistent hash for a set of candidates. */
export type LookupMaker = (candidates: Candidates) => Lookup;

/**
 * Balances by consistent hash: what a key finds stays the same for as long as the endpoint is there, and few keys move
 * when another comes or goes. A request without a key goes anywhere.
 *
 * `balanceFactor` bounds the load, percent: no endpoint gets more than its part of the requests under way times that
 * much; 0 = no bound. What is too much for one goes to others that the same key finds.
 * https://arxiv.org/abs/1608.01350
 */
export function hashed(lookup: LookupMaker, balanceFactor: number): Policy {
  return (candidates) => new HashedBalancer(candidates, lookup(candidates), balanceFactor);
}

const key = new Word64();
const step = new Word64();
/** Odd and without pattern: the golden ratio's bits. */
const STRIDE = new Word64(0x9e3779b9, 0x7f4a7c15);
const SCATTER = new Word64(0xbf58476d, 0x1ce4e5b9);
/** How many other places a key is looked up at before the endpoints are gone through one by one. */
const MAX_PROBES = 16;

class HashedBalancer implements Balancer {
  readonly #candidates: Candidates;
  readonly #lookup: Lookup;
  readonly #factor: number;
  readonly #totalWeight: number;

  constructor(candidates: Candidates, lookup: Lookup, balanceFactor: number) {
    this.#candidates = candidates;
    this.#lookup = lookup;
    this.#factor = balanceFactor / 100;
    this.#totalWeight = candidates.weights.reduce((sum, weight) => sum + weight, 0);
  }

  choose(draw: Draw): EndpointPart {
    const { endpoints } = this.#candidates;
    const first = this.#lookup(keyOf(draw, 0));
    if (this.#factor === 0 || this.#hasRoom(first, draw)) return endpoints[first]!;
    for (let probe = 1; probe <= MAX_PROBES; probe++) {
      const other = this.#lookup(keyOf(draw, probe));
      if (this.#hasRoom(other, draw)) return endpoints[other]!;
    }
    // There is room somewhere: the bounds add up to more than all requests.
    for (let offset = 1; offset < endpoints.length; offset++) {
      const other = (first + offset) % endpoints.length;
      if (this.#hasRoom(other, draw)) return endpoints[other]!;
    }
    return endpoints[first]!;
  }

  #hasRoom(index: number, { load, clusterSlot }: Draw): boolean {
    const all = load.clusterInFlight(clusterSlot) + 1;
    const part = this.#candidates.weights[index]! / this.#totalWeight;
    return load.inFlight(this.#candidates.endpoints[index]!.slot) < Math.ceil(all * this.#factor * part);
  }
}

/** The key of a request, or for tries and probes after the first, others that follow from it. */
function keyOf({ bits, key: given, again }: Draw, probe: number): Word64 {
  if (given === undefined) key.set(bits, mix(bits, 1));
  else key.set(given.high, given.low);
  const place = again * (MAX_PROBES + 1) + probe;
  if (place === 0) return key;
  return key.add(step.set(0, place).multiply(STRIDE)).xorShift(30).multiply(SCATTER).xorShift(31);
}
