import type { JsonObject } from "@bufbuild/protobuf";
import type { AttemptState, DecisionView, HashKey, PickFailure, Plan, RetryPlan } from "../contract.js";
import type { SessionPolicy } from "../affinity/session.js";
import type { EndpointPart } from "../snapshot/contract.js";
import { below, mix } from "../entropy.js";
import { createLoadTable } from "../load/load-table.js";
import { currentCluster } from "../route/current-cluster.js";
import { includes } from "../snapshot/metadata.js";
import { LinkedCluster } from "../snapshot/linked-cluster.js";
import type { Draw } from "./balancer.js";
import type { Balance, BalancedGroup } from "./cluster-balance.js";
import { traceBalance, traceChoice, traceFailure, traceMembers, traceSubset } from "./trace-pick.js";

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
 * Where an endpoint is on probation, the next request that may go anywhere goes to it (`takeProbe` is the caller's part).
 * The first try of a session goes to the endpoint that it is bound to. A request that names endpoints itself goes to the
 * first of them that is one of the cluster's and was not tried. Else a group is drawn by its share (priorities,
 * localities), then the policy chooses in it. Retries avoid the endpoints that their policy has them do without, those that
 * were tried or have some labels (`hostReselections` above 0): first by choosing again so often, then by taking any that is
 * left. When nobody is, one of them it is.
 */
export function pick(view: DecisionView, plan: Plan, attempt: AttemptState): EndpointPart | PickFailure {
  const cluster = currentCluster(view, plan, attempt);
  if (view.trace !== undefined) traceMembers(view.trace, view, plan, cluster);
  const picked = pickFrom(view, plan, attempt, cluster instanceof LinkedCluster ? cluster : undefined);
  if (view.trace !== undefined && "kind" in picked) traceFailure(view.trace, cluster, picked.flag);
  return picked;
}

function pickFrom(
  view: DecisionView,
  plan: Plan,
  attempt: AttemptState,
  cluster: LinkedCluster | undefined,
): EndpointPart | PickFailure {
  if (cluster === undefined) return NO_HEALTHY_UPSTREAM;
  const { load, trace } = view;
  const subset = cluster.subsets?.for(plan.labels, load, view.now);
  if (cluster.subsets !== undefined) {
    if (trace !== undefined) traceSubset(trace, cluster, plan.labels, subset);
    if (subset === undefined) return NO_HEALTHY_UPSTREAM;
  }
  const balances = subset?.balance ?? cluster.balance;
  const balance = leavesPriority(plan.retry, attempt)
    ? balances.besides(load, view.now, attempt.triedSlots)
    : balances.at(load, view.now);
  if (trace !== undefined) traceBalance(trace, cluster, balance, view);
  const bound = plan.session === undefined ? undefined : boundTo(view, plan.session, cluster, attempt);
  if (bound === null) return NO_HEALTHY_UPSTREAM;
  const asked = bound ?? namedEndpoint(cluster, balance, attempt);
  const probed =
    asked === undefined && balance.probed.length > 0 ? probedEndpoint(cluster, balance, attempt) : undefined;
  const named = asked ?? probed;
  const key = attempt.affinity?.key;
  const bits = mix(view.entropy, cluster.salt + attempt.attempts);
  const group =
    named === undefined ? drawGroup(balance, cluster.balance.hashed ? key : undefined, bits) : undefined;
  if (named === undefined && group?.balancer === undefined) return NO_HEALTHY_UPSTREAM;
  if (load.clusterInFlight(cluster.slot) >= cluster.maxRequests) return UPSTREAM_OVERFLOW;
  const picked = named ?? choose(view, plan, attempt, cluster.slot, balance, group!, bits);
  if (trace !== undefined) {
    const by =
      probed !== undefined
        ? "probation"
        : named === undefined
          ? "policy"
          : bound === undefined
            ? "name"
            : "session";
    traceChoice(trace, picked, by, cluster.balance.hashed ? key : undefined);
  }
  return picked;
}

/** The first endpoint that the request names, is well enough for it and was not tried. */
function namedEndpoint(
  cluster: LinkedCluster,
  { health }: Balance,
  { affinity, triedSlots }: AttemptState,
): EndpointPart | undefined {
  if (affinity === undefined) return undefined;
  for (const address of affinity.named) {
    const index = cluster.indexOf(address);
    if (index < 0 || !cluster.sessionHealth.has(health[index]!)) continue;
    const endpoint = cluster.endpoints[index]!;
    if (!triedSlots.includes(endpoint.slot)) return endpoint;
  }
  return undefined;
}

/** An endpoint that wants a request to show whether it may come back, and that this one has not tried. */
function probedEndpoint(
  { outlier }: LinkedCluster,
  { probed }: Balance,
  { probes, triedSlots }: AttemptState,
): EndpointPart | undefined {
  // Another cluster that has the endpoint may have ejected it: its own requests decide.
  if (probes !== true || outlier?.accrual === undefined) return undefined;
  for (const endpoint of probed) if (!triedSlots.includes(endpoint.slot)) return endpoint;
  return undefined;
}

/** Whether the retry policy asks for another priority by now. */
function leavesPriority(retry: RetryPlan | undefined, { attempts }: AttemptState): boolean {
  return retry !== undefined && retry.triesPerPriority > 0 && attempts >= retry.triesPerPriority;
}

/**
 * The endpoint that a session is bound to; undefined when it is free to go anywhere, null when it must not and its
 * endpoint cannot take it. Retries go elsewhere, but for strict sessions.
 */
function boundTo(
  { load, now }: DecisionView,
  session: SessionPolicy,
  cluster: LinkedCluster,
  { affinity, attempts }: AttemptState,
): EndpointPart | undefined | null {
  if (affinity === undefined || affinity.boundTo === "" || (attempts > 0 && !session.strict))
    return undefined;
  const index = cluster.indexOf(affinity.boundTo);
  const { health } = cluster.balance.at(load, now);
  if (index >= 0 && cluster.sessionHealth.has(health[index]!)) return cluster.endpoints[index];
  return session.strict ? null : undefined;
}

/** The group of a request; undefined when there is none. Nearly always there is one. Equal keys draw alike. */
function drawGroup(
  { groups, upTo }: Balance,
  key: HashKey | undefined,
  bits: number,
): BalancedGroup | undefined {
  if (groups.length < 2) return groups[0];
  const chance = mix(key === undefined ? bits : key.high ^ key.low, GROUP_SALT);
  const point = (chance / 0x1_0000_0000) * upTo[upTo.length - 1]!;
  let index = 0;
  while (point >= upTo[index]!) index++;
  return groups[index];
}

function choose(
  view: DecisionView,
  { retry, hedge }: Plan,
  { triedSlots, affinity }: AttemptState,
  clusterSlot: number,
  { groups }: Balance,
  group: BalancedGroup,
  bits: number,
): EndpointPart {
  draw.load = view.load;
  draw.now = view.now;
  draw.clusterSlot = clusterSlot;
  draw.key = affinity?.key;
  const first = chooseAgain(group, bits, 0);
  const reselections = Math.max(retry?.hostReselections ?? 0, hedge === undefined ? 0 : HEDGE_RESELECTIONS);
  if (triedSlots.length === 0 || reselections === 0) return first;
  const avoided = hedge !== undefined || retry?.avoidsTried === true ? triedSlots : NONE;
  const omitted = retry?.omitsHosts;
  if (isWelcome(first, avoided, omitted)) return first;
  for (let again = 1; again <= reselections; again++) {
    const other = chooseAgain(group, mix(bits, again), again);
    if (isWelcome(other, avoided, omitted)) return other;
  }
  return anyWelcome(groups, avoided, omitted, bits) ?? first;
}

const NONE: readonly number[] = [];

/** Whether a retry may go to an endpoint: it is none of those to avoid, and has no labels that are omitted. */
function isWelcome(
  { slot, labels }: EndpointPart,
  avoided: readonly number[],
  omitted: readonly JsonObject[] | undefined,
): boolean {
  return !avoided.includes(slot) && omitted?.some((each) => includes(labels, each)) !== true;
}

/** One for all picks, which do not overlap: a pick allocates nothing. */
const draw: { -readonly [Key in keyof Draw]: Draw[Key] } = {
  load: createLoadTable({ maxSlots: 1 }),
  clusterSlot: 0,
  bits: 0,
  key: undefined,
  again: 0,
  now: 0,
};

function chooseAgain(group: BalancedGroup, bits: number, again: number): EndpointPart {
  draw.bits = bits;
  draw.again = again;
  return group.balancer!.choose(draw);
}

function anyWelcome(
  groups: readonly BalancedGroup[],
  avoided: readonly number[],
  omitted: readonly JsonObject[] | undefined,
  bits: number,
): EndpointPart | undefined {
  for (const { endpoints } of groups) {
    const start = below(bits, endpoints.length);
    for (let step = 0; step < endpoints.length; step++) {
      const candidate = endpoints[(start + step) % endpoints.length]!;
      if (isWelcome(candidate, avoided, omitted)) return candidate;
    }
  }
  return undefined;
}
