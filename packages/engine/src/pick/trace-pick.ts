import type { JsonObject } from "@bufbuild/protobuf";
import type { DecisionView, HashKey, Plan } from "../contract.js";
import { UNHEALTHY_CHECK, UNHEALTHY_DEGRADED, UNHEALTHY_EJECTED, UNHEALTHY_PROBATION } from "../contract.js";
import type { ClusterPart, EndpointPart } from "../snapshot/contract.js";
import type { Subset } from "./subsets.js";
import type { LinkedCluster } from "../snapshot/linked-cluster.js";
import type { Trace } from "../trace.js";
import { memberPercents } from "./aggregate.js";
import type { Balance, BalancedGroup } from "./cluster-balance.js";

/** Endpoints that are told of, at most. */
const MAX_LISTED = 100;

/** Tells how an aggregate shares out its requests among its members; nothing of any other cluster. */
export function traceMembers(trace: Trace, view: DecisionView, plan: Plan, taken: ClusterPart): void {
  const named = view.snapshot.cluster(plan.cluster.name) ?? plan.cluster;
  if (named.members.length === 0) return;
  for (const [subject, share] of memberPercents(view, named)) {
    const verdict = subject === taken.name ? "chosen" : "passed-over";
    const reason = `gets ${round(share)} % of the requests to ${named.name}`;
    trace.add({ step: "cluster", subject, verdict, reason, facts: { percent: round(share) } });
  }
}

/** Tells of every endpoint that a pick looks at, and of the groups that requests are divided among. */
export function traceBalance(
  trace: Trace,
  cluster: LinkedCluster,
  balance: Balance,
  { load, now }: DecisionView,
): void {
  trace.add({
    step: "cluster",
    subject: cluster.name,
    verdict: "info",
    reason: `has ${cluster.endpoints.length} endpoints and is balanced by ${cluster.balance.policyName}`,
    owner: cluster.provenance,
    facts: {
      inFlight: load.clusterInFlight(cluster.slot),
      maxRequests: cluster.maxRequests,
      policy: cluster.balance.policyName,
    },
  });
  const total = balance.upTo[balance.upTo.length - 1] ?? 0;
  for (const group of balance.groups) {
    trace.add({
      step: group.locality < 0 ? "priority" : "locality",
      subject: nameOf(cluster, group),
      verdict: "info",
      reason: `${group.endpoints.length} ${wordOf(group)} get ${round((group.share * 100) / total)} % of the requests`,
      facts: { priority: group.priority, state: group.state, percent: round((group.share * 100) / total) },
    });
  }
  cluster.endpoints.slice(0, MAX_LISTED).forEach((endpoint, index) => {
    const bits = load.unhealthy(endpoint.slot);
    trace.add({
      step: "endpoint",
      subject: endpoint.key,
      verdict: "info",
      reason: `is ${balance.health[index]}${heldAgainst(bits)}`,
      facts: {
        health: balance.health[index]!,
        weight: round(balance.weights[index]!),
        inFlight: load.inFlight(endpoint.slot),
        expectedMs: round(load.expectedMs(endpoint.slot, now)),
        priority: cluster.balance.priorityOf(index),
        locality: cluster.balance.localityOf(index),
        failedCheck: (bits & UNHEALTHY_CHECK) !== 0,
        ejected: (bits & UNHEALTHY_EJECTED) !== 0,
      },
    });
  });
}

/** Tells which of a cluster's subsets a request goes to. */
export function traceSubset(
  trace: Trace,
  { name, provenance }: LinkedCluster,
  labels: JsonObject = {},
  subset: Subset | undefined,
): void {
  trace.add({
    step: "cluster",
    subject: name,
    verdict: subset === undefined ? "passed-over" : "info",
    reason:
      subset === undefined
        ? `has no endpoint with the labels that the route asks for (${JSON.stringify(labels)}), and no fallback`
        : `is divided into subsets by labels: of those that the route asks for (${JSON.stringify(labels)}) it is ${subset.name}`,
    owner: provenance,
    facts: { subset: subset?.name ?? "" },
  });
}

/** What an endpoint was chosen by. */
export type ChosenBy = "policy" | "session" | "name" | "probation";

/** Tells which endpoint it is. */
export function traceChoice(
  trace: Trace,
  picked: EndpointPart,
  by: ChosenBy,
  key: HashKey | undefined,
): void {
  trace.add({
    step: "endpoint",
    subject: picked.key,
    verdict: "chosen",
    reason: reasonOf(by, key),
    ...(key !== undefined && { facts: { hashKey: hex(key) } }),
  });
}

/** Tells that there is nobody to take the request. */
export function traceFailure(trace: Trace, cluster: ClusterPart, flag: "UH" | "UO"): void {
  trace.add({
    step: "endpoint",
    subject: cluster.name,
    verdict: "passed-over",
    reason:
      flag === "UO"
        ? `has as many requests under way as its circuit breaker allows (${cluster.maxRequests})`
        : `${cluster.endpoints.length === 0 ? "has no endpoints" : "none of its endpoints may take the request"}${waitWords(cluster)}`,
    facts: { flag },
  });
}

function waitWords({ endpointWait }: ClusterPart): string {
  if (endpointWait === undefined) return "";
  const { timeoutMs, maxRequests } = endpointWait;
  return `: requests wait up to ${timeoutMs} ms for one, ${maxRequests} at a time in each thread, unless others have waited in vain`;
}

function reasonOf(by: ChosenBy, key: HashKey | undefined): string {
  if (by === "session") return "the request's session is bound to it";
  if (by === "name") return "the request itself names it";
  if (by === "probation") return "it is on probation, and this request decides whether it comes back";
  return key === undefined
    ? "chosen by the balancing policy"
    : `what the request hashes to (${hex(key)}) belongs to it`;
}

function heldAgainst(bits: number): string {
  const reasons = [
    ...((bits & UNHEALTHY_CHECK) === 0 ? [] : ["its active health check fails"]),
    ...((bits & UNHEALTHY_EJECTED) === 0 ? [] : ["outlier detection has ejected it"]),
    ...((bits & UNHEALTHY_PROBATION) === 0 ? [] : ["it is on probation"]),
    ...((bits & UNHEALTHY_DEGRADED) === 0 ? [] : ["its health check found it degraded"]),
  ];
  return reasons.length === 0 ? "" : `: ${reasons.join(" and ")}`;
}

function nameOf(cluster: LinkedCluster, { priority, locality, endpoints }: BalancedGroup): string {
  if (locality < 0) return `priority ${priority}`;
  const first = endpoints[0];
  return first === undefined
    ? `locality ${locality}`
    : cluster.balance.localityOf(cluster.indexOf(first.key));
}

function wordOf({ state }: BalancedGroup): string {
  return state === "panic" ? "endpoints, healthy or not (panic)," : `${state} endpoints`;
}

function hex({ high, low }: HashKey): string {
  return high.toString(16).padStart(8, "0") + low.toString(16).padStart(8, "0");
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
