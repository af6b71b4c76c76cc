import type { EndpointPart } from "../snapshot/contract.js";
import { below } from "../entropy.js";
import type { Candidates } from "./balancer.js";

/** An index drawn in proportion to the weights. */
export function drawIndex(candidates: Candidates, bits: number): number {
  const { upTo } = candidates;
  if (upTo === undefined) return below(bits, candidates.endpoints.length);
  const point = (bits / 0x1_0000_0000) * upTo[upTo.length - 1]!;
  let low = 0;
  let high = upTo.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (point < upTo[middle]!) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Candidates from endpoints and weights; weights must be positive. */
export function createCandidates(endpoints: readonly EndpointPart[], weights: readonly number[]): Candidates {
  const first = weights[0];
  if (weights.every((weight) => weight === first)) return { endpoints, weights, upTo: undefined };
  let total = 0;
  return { endpoints, weights, upTo: weights.map((weight) => (total += weight)) };
}
