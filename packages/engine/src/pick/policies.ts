import type { EndpointPart } from "../snapshot/contract.js";
import { mix } from "../entropy.js";
import type { Balancer, Candidates, Draw, Policy } from "./balancer.js";
import { smoothSchedule } from "./smooth-schedule.js";
import { drawIndex } from "./weighted-draw.js";

/** RANDOM: in proportion to the weights. */
export const random: Policy = (candidates) => ({
  choose: ({ bits }) => candidates.endpoints[drawIndex(candidates, bits)]!,
});

/** ROUND_ROBIN: in turn, weights spread evenly over the cycle. */
export const roundRobin: Policy = (candidates) => {
  const { endpoints } = candidates;
  const schedule = candidates.upTo === undefined ? undefined : smoothSchedule(candidates.weights);
  if (schedule === undefined) {
    return { choose: ({ load, clusterSlot }) => endpoints[load.turn(clusterSlot) % endpoints.length]! };
  }
  return {
    choose: ({ load, clusterSlot }) => endpoints[schedule[load.turn(clusterSlot) % schedule.length]!]!,
  };
};

/**
 * LEAST_REQUEST: draws `choices` endpoints in proportion to their weights and takes the one with the fewest requests
 * in flight per weight, the first drawn when they are equal. So idle endpoints get their exact share, and loaded ones
 * are avoided: https://www.eecs.harvard.edu/~michaelm/postscripts/tpds2001.pdf
 */
export function leastRequest(choices: number): Policy {
  return (candidates) =>
    candidates.endpoints.length === 1 ? only(candidates) : new LeastRequest(candidates, choices);
}

function only(candidates: Candidates): Balancer {
  const endpoint = candidates.endpoints[0]!;
  return { choose: () => endpoint };
}

class LeastRequest implements Balancer {
  readonly #candidates: Candidates;
  readonly #choices: number;

  constructor(candidates: Candidates, choices: number) {
    this.#candidates = candidates;
    this.#choices = choices;
  }

  choose({ load, bits }: Draw): EndpointPart {
    const { endpoints, weights } = this.#candidates;
    let best = drawIndex(this.#candidates, bits);
    let bestInFlight = load.inFlight(endpoints[best]!.slot);
    for (let choice = 1; choice < this.#choices; choice++) {
      let index = drawIndex(this.#candidates, mix(bits, choice));
      // Two draws of the same endpoint compare nothing: its neighbour then.
      if (index === best) index = (index + 1) % endpoints.length;
      const inFlight = load.inFlight(endpoints[index]!.slot);
      if (inFlight * weights[best]! < bestInFlight * weights[index]!) {
        best = index;
        bestInFlight = inFlight;
      }
    }
    return endpoints[best]!;
  }
}
