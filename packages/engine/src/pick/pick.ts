import type { AttemptState, DecisionView, LoadTable, PickFailure, Plan } from "../contract.js";
import type { EndpointPart } from "../snapshot/contract.js";
import { below, mix } from "../entropy.js";
import { NO_SLOT } from "../load/load-table.js";
import { LinkedCluster } from "../snapshot/linked-cluster.js";
import type { Draw } from "./balancer.js";
import type { Balance, BalancedGroup } from "./cluster-balance.js";

const NO_HEALTHY_UPSTREAM: PickFailure = { kind: "fail", flag: "UH" };
const UPSTREAM_OVERFLOW: PickFailure = { kind: "fail", flag: "UO" };

/** A hedge is of use on another endpoint only. */
const HEDGE_RESELECTIONS = 5;
/** Chance of its own for the choice among groups, apart from the choice of an endpoint. */
const GROUP_SALT = 0x6b0f;

/**
 * Picks an endpoint of the plan's cluster, as the view's snapshot has it now: a retry sees what has changed since its
 * request was routed. `attempt.triedSlots` is what the caller has tried; adding the pick to it is the caller's part.
 *
 * First a group is drawn by its share (priorities, localities), then the policy chooses in it. Endpoints that were
 * tried are avoided when the retry policy asks for other hosts (`hostReselections` above 0): first by choosing again so
 * often, then by taking any that is left. When all were tried, one of them it is.
 */
export function pick(view: DecisionView, plan: Plan, attempt: AttemptState): EndpointPart | PickFailure {
  const cluster = view.snapshot.cluster(plan.cluster.name) ?? plan.cluster;
  if (!(cluster instanceof LinkedCluster)) return NO_HEALTHY_UPSTREAM;
  const { load } = view;
  const balance = cluster.balance.at(load);
  const bits = mix(view.entropy, cluster.salt + attempt.attempts);
  const group = drawGroup(balance, bits);
  if (group?.balancer === undefined) return NO_HEALTHY_UPSTREAM;
  if (load.clusterInFlight(cluster.slot) >= cluster.maxRequests) return UPSTREAM_OVERFLOW;
  const { triedSlots } = attempt;
  const first = group.balancer.choose(prepare(load, cluster.slot, bits));
  const reselections = Math.max(
    plan.retry?.hostReselections ?? 0,
    plan.hedge === undefined ? 0 : HEDGE_RESELECTIONS,
  );
  if (triedSlots.length === 0 || reselections === 0 || !triedSlots.includes(first.slot)) return first;
  for (let again = 1; again <= reselections; again++) {
    const other = group.balancer.choose(prepare(load, cluster.slot, mix(bits, again)));
    if (!triedSlots.includes(other.slot)) return other;
  }
  return anyUntried(balance.groups, triedSlots, bits) ?? first;
}

/** The group of a request; undefined when there is none. Nearly always there is one. */
function drawGroup({ groups, upTo }: Balance, bits: number): BalancedGroup | undefined {
  if (groups.length < 2) return groups[0];
  const point = (mix(bits, GROUP_SALT) / 0x1_0000_0000) * upTo[upTo.length - 1]!;
  let index = 0;
  while (point >= upTo[index]!) index++;
  return groups[index];
}

/** One for all picks: they do not overlap. */
const draw: { -readonly [Key in keyof Draw]: Draw[Key] | undefined } = {
  load: undefined,
  clusterSlot: NO_SLOT,
  bits: 0,
};

function prepare(load: LoadTable, clusterSlot: number, bits: number): Draw {
  draw.load = load;
  draw.clusterSlot = clusterSlot;
  draw.bits = bits;
  return draw as Draw;
}

function anyUntried(
  groups: readonly BalancedGroup[],
  triedSlots: readonly number[],
  bits: number,
): EndpointPart | undefined {
  for (const { endpoints } of groups) {
    const start = below(bits, endpoints.length);
    for (let step = 0; step < endpoints.length; step++) {
      const candidate = endpoints[(start + step) % endpoints.length]!;
      if (!triedSlots.includes(candidate.slot)) return candidate;
    }
  }
  return undefined;
}
