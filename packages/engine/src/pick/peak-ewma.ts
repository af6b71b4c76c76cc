import { mix } from "../entropy.js";
import type { EndpointPart } from "../snapshot/contract.js";
import type { Balancer, Candidates, Draw, Policy } from "./balancer.js";
import { drawIndex } from "./weighted-draw.js";

/** What is expected of an endpoint that has not answered yet, milliseconds: little, so that it is tried soon. */
const UNKNOWN_MS = 1;

/**
 * Of two endpoints drawn in proportion to their weights, the one that is expected to answer first: its peak average of
 * response times, times the requests that it would have under way. One that becomes slow is left at once, and tried
 * again as the memory of it fades. https://linkerd.io/2016/03/16/beyond-round-robin-load-balancing-for-latency/
 */
export const peakEwma: Policy = (candidates) => new PeakEwma(candidates);

class PeakEwma implements Balancer {
  readonly #candidates: Candidates;

  constructor(candidates: Candidates) {
    this.#candidates = candidates;
  }

  choose(draw: Draw): EndpointPart {
    const { endpoints } = this.#candidates;
    const first = drawIndex(this.#candidates, draw.bits);
    if (endpoints.length === 1) return endpoints[0]!;
    let second = drawIndex(this.#candidates, mix(draw.bits, 1));
    // Two draws of the same endpoint compare nothing: its neighbour then.
    if (second === first) second = (second + 1) % endpoints.length;
    return endpoints[this.#cost(second, draw) < this.#cost(first, draw) ? second : first]!;
  }

  #cost(index: number, { load, now }: Draw): number {
    const { slot } = this.#candidates.endpoints[index]!;
    load.watchPeak(slot, now);
    return Math.max(UNKNOWN_MS, load.expectedMs(slot, now)) * (load.inFlight(slot) + 1);
  }
}
