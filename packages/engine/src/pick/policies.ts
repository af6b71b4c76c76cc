import type { LoadTable } from "../contract.js";
import type { EndpointPart } from "../snapshot/contract.js";
import { below, mix } from "../entropy.js";
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

/** Always the first endpoint; retries elsewhere take the next. `shuffle`: in an order that each proxy draws. */
export function pickFirst(shuffle: boolean): Policy {
  return ({ endpoints }) => {
    let start = shuffle ? -1 : 0;
    return {
      choose: ({ bits, again }) => {
        if (start < 0) start = below(bits, endpoints.length);
        return endpoints[(start + again) % endpoints.length]!;
      },
    };
  };
}

/** How least request compares. */
export interface LeastRequestSettings {
  /** Endpoints that are drawn and compared; `all` = every one. */
  readonly choices: number | "all";
  /** Exponent of the requests under way: 0 leaves them out, above 1 they count more against the weight. */
  readonly bias: number;
}

/**
 * LEAST_REQUEST: draws `choices` endpoints in proportion to their weights and takes the one with the fewest requests
 * in flight per weight, the first drawn when they are equal. So idle endpoints get their exact share, and loaded ones
 * are avoided: https://www.eecs.harvard.edu/~michaelm/postscripts/tpds2001.pdf
 */
export function leastRequest({ choices, bias }: LeastRequestSettings): Policy {
  return (candidates) => {
    if (candidates.endpoints.length === 1) return only(candidates);
    const costs = bias === 1 ? inFlightOf : (slot: number, load: LoadTable) => load.inFlight(slot) ** bias;
    return choices === "all"
      ? new LeastOfAll(candidates, costs)
      : new LeastOfDrawn(candidates, choices, costs);
  };
}

type Cost = (slot: number, load: LoadTable) => number;

const inFlightOf: Cost = (slot, load) => load.inFlight(slot);

function only(candidates: Candidates): Balancer {
  const endpoint = candidates.endpoints[0]!;
  return { choose: () => endpoint };
}

class LeastOfDrawn implements Balancer {
  readonly #candidates: Candidates;
  readonly #choices: number;
  readonly #cost: Cost;

  constructor(candidates: Candidates, choices: number, cost: Cost) {
    this.#candidates = candidates;
    this.#choices = choices;
    this.#cost = cost;
  }

  choose({ load, bits }: Draw): EndpointPart {
    const { endpoints, weights } = this.#candidates;
    let best = drawIndex(this.#candidates, bits);
    let bestCost = this.#cost(endpoints[best]!.slot, load);
    for (let choice = 1; choice < this.#choices; choice++) {
      let index = drawIndex(this.#candidates, mix(bits, choice));
      // Two draws of the same endpoint compare nothing: its neighbour then.
      if (index === best) index = (index + 1) % endpoints.length;
      const cost = this.#cost(endpoints[index]!.slot, load);
      if (cost * weights[best]! < bestCost * weights[index]!) {
        best = index;
        bestCost = cost;
      }
    }
    return endpoints[best]!;
  }
}

class LeastOfAll implements Balancer {
  readonly #candidates: Candidates;
  readonly #cost: Cost;

  constructor(candidates: Candidates, cost: Cost) {
    this.#candidates = candidates;
    this.#cost = cost;
  }

  /** Begins where a draw falls: of equals, each is taken by its weight. */
  choose({ load, bits }: Draw): EndpointPart {
    const { endpoints, weights } = this.#candidates;
    const start = drawIndex(this.#candidates, bits);
    let best = start;
    let bestCost = this.#cost(endpoints[start]!.slot, load);
    for (let offset = 1; offset < endpoints.length; offset++) {
      const index = (start + offset) % endpoints.length;
      const cost = this.#cost(endpoints[index]!.slot, load);
      if (cost * weights[best]! < bestCost * weights[index]!) {
        best = index;
        bestCost = cost;
      }
    }
    return endpoints[best]!;
  }
}
