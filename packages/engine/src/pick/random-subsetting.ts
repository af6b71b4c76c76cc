import { mix, saltOf } from "../entropy.js";
import type { EndpointPart } from "../snapshot/contract.js";
import type { Balancer, Candidates, Draw, Policy } from "./balancer.js";
import { createCandidates } from "./weighted-draw.js";

/**
 * Has a policy balance over a few of the candidates only, so that not every client connects to every server. Which they are is
 * drawn by rendezvous hashing from the proxy's identity: the same after a restart, others for another proxy, and of those
 * that are used one at most changes when an endpoint comes or goes (gRFC A68).
 */
export function randomSubsetting(size: number, inner: Policy): Policy {
  return (candidates) =>
    candidates.endpoints.length <= size ? inner(candidates) : new Subsetting(candidates, size, inner);
}

class Subsetting implements Balancer {
  readonly #candidates: Candidates;
  readonly #size: number;
  readonly #policy: Policy;
  #inner: Balancer | undefined;

  constructor(candidates: Candidates, size: number, policy: Policy) {
    this.#candidates = candidates;
    this.#size = size;
    this.#policy = policy;
  }

  choose(draw: Draw): EndpointPart {
    this.#inner ??= this.#policy(subsetOf(this.#candidates, this.#size, draw.load.identity));
    return this.#inner.choose(draw);
  }
}

/** The `size` candidates with the lowest hashes, in the order in which they came. */
function subsetOf({ endpoints, weights }: Candidates, size: number, identity: number): Candidates {
  const ranked = endpoints
    .map(({ key }, index) => ({ index, key, rank: mix(saltOf(key), identity) }))
    .sort((left, right) => left.rank - right.rank || (left.key < right.key ? -1 : 1))
    .slice(0, size)
    .map(({ index }) => index)
    .sort((left, right) => left - right);
  return createCandidates(
    ranked.map((index) => endpoints[index]!),
    ranked.map((index) => weights[index]!),
  );
}
