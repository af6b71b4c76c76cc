import { UNHEALTHY_PROBATION, UNHEALTHY_PROBE_WANTED, type LoadTable } from "../contract.js";
import type { ClusterPart, EndpointPart } from "../snapshot/contract.js";

/**
 * Whether a request that goes to an endpoint is the one that decides whether it may come back. Then nobody else's is, until
 * it has been told what became of it, or `offerProbe` is called. Of threads that send one at the very same time one gets it.
 */
export function takeProbe(load: LoadTable, { outlier }: ClusterPart, { slot }: EndpointPart): boolean {
  return outlier?.accrual !== undefined && isProbeWanted(load, slot)
    ? load.takeUnhealthy(slot, UNHEALTHY_PROBE_WANTED)
    : false;
}

/** The request that was to decide ended and says nothing of its endpoint: let another one. */
export function offerProbe(load: LoadTable, slot: number): void {
  if ((load.unhealthy(slot) & UNHEALTHY_PROBATION) !== 0)
    load.setUnhealthy(slot, UNHEALTHY_PROBE_WANTED, true);
}

export function isProbeWanted(load: LoadTable, slot: number): boolean {
  return (load.unhealthy(slot) & UNHEALTHY_PROBE_WANTED) !== 0;
}
