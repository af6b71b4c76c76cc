import type { AttemptState, DecisionView, PickFailure, Plan } from "../contract.js";
import type { EndpointPart } from "../snapshot/contract.js";
import { below, mix } from "../entropy.js";
import { LinkedCluster } from "../snapshot/linked-cluster.js";

const NO_HEALTHY_UPSTREAM: PickFailure = { kind: "fail", flag: "UH" };
const UPSTREAM_OVERFLOW: PickFailure = { kind: "fail", flag: "UO" };

/** A hedge is of use on another endpoint only. */
const HEDGE_RESELECTIONS = 5;

/**
 * Picks an endpoint of the plan's cluster, as the view's snapshot has it now: a retry sees what has changed since its
 * request was routed. `attempt.triedSlots` is what the caller has tried; adding the pick to it is the caller's part.
 *
 * Endpoints that were tried are avoided when the retry policy asks for other hosts (`hostReselections` above 0): first
 * by choosing again so often, then by taking any that is left. When all were tried, one of them it is.
 */
export function pick(view: DecisionView, plan: Plan, attempt: AttemptState): EndpointPart | PickFailure {
  const cluster = view.snapshot.cluster(plan.cluster.name) ?? plan.cluster;
  if (!(cluster instanceof LinkedCluster) || cluster.balancer === undefined) return NO_HEALTHY_UPSTREAM;
  if (view.load.clusterInFlight(cluster.slot) >= cluster.maxRequests) return UPSTREAM_OVERFLOW;
  const { triedSlots } = attempt;
  const bits = mix(view.entropy, cluster.salt + attempt.attempts);
  const draw = { load: view.load, clusterSlot: cluster.slot, bits };
  const first = cluster.balancer.choose(draw);
  const reselections = Math.max(
    plan.retry?.hostReselections ?? 0,
    plan.hedge === undefined ? 0 : HEDGE_RESELECTIONS,
  );
  if (triedSlots.length === 0 || reselections === 0 || !triedSlots.includes(first.slot)) return first;
  for (let again = 1; again <= reselections; again++) {
    const other = cluster.balancer.choose({ ...draw, bits: mix(bits, again) });
    if (!triedSlots.includes(other.slot)) return other;
  }
  return anyUntried(cluster.candidates, triedSlots, bits) ?? first;
}

function anyUntried(
  candidates: readonly EndpointPart[],
  triedSlots: readonly number[],
  bits: number,
): EndpointPart | undefined {
  const start = below(bits, candidates.length);
  for (let step = 0; step < candidates.length; step++) {
    const candidate = candidates[(start + step) % candidates.length]!;
    if (!triedSlots.includes(candidate.slot)) return candidate;
  }
  return undefined;
}
