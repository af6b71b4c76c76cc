import type { ClusterPart, EndpointPart, Provenance } from "./contract.js";
import { saltOf } from "../entropy.js";
import type { Balancer } from "../pick/balancer.js";
import { createCandidates } from "../pick/weighted-draw.js";
import type { AssignedEndpoint, Assignment } from "./assignment.js";
import type { ClusterSettings, RetryBudget } from "./cluster-settings.js";

/** A cluster with its endpoints: what requests are balanced over. Made anew when either changes, never altered. */
export class LinkedCluster implements ClusterPart {
  readonly name: string;
  readonly serviceHost: string;
  readonly servicePort: number;
  readonly subset: string;
  readonly slot: number;
  readonly connectTimeoutMs: number;
  readonly maxConnections: number;
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  readonly maxRetries: number;
  readonly retryBudget: RetryBudget;
  readonly maxRequestsPerConnection: number;
  readonly endpoints: readonly EndpointPart[];
  readonly warm: boolean;
  readonly originalDestination: boolean;
  readonly provenance: Provenance;
  /** Chance of its own for the balancer. */
  readonly salt: number;
  /** The endpoints that requests go to; empty when none can take any. */
  readonly candidates: readonly EndpointPart[];
  /** Undefined when there are no candidates. */
  readonly balancer: Balancer | undefined;

  /** `endpoints` are those of `assignment`, in its order. */
  constructor(
    settings: ClusterSettings,
    slot: number,
    assignment: Assignment,
    endpoints: readonly EndpointPart[],
    warm: boolean,
  ) {
    this.name = settings.name;
    this.serviceHost = settings.serviceHost;
    this.servicePort = settings.servicePort;
    this.subset = settings.subset;
    this.slot = slot;
    this.connectTimeoutMs = settings.connectTimeoutMs;
    this.maxConnections = settings.maxConnections;
    this.maxPendingRequests = settings.maxPendingRequests;
    this.maxRequests = settings.maxRequests;
    this.maxRetries = settings.maxRetries;
    this.retryBudget = settings.retryBudget;
    this.maxRequestsPerConnection = settings.maxRequestsPerConnection;
    this.endpoints = endpoints;
    this.warm = warm;
    this.originalDestination = settings.originalDestination;
    this.provenance = settings.provenance;
    this.salt = saltOf(settings.name);
    const shares = sharesOf(assignment, settings);
    this.candidates = shares.map(({ index }) => endpoints[index]!);
    const weights = shares.map(({ weight }) => weight);
    this.balancer =
      shares.length === 0 ? undefined : settings.balancing.policy(createCandidates(this.candidates, weights));
  }
}

/**
 * Endpoints of the lowest priority number that has a healthy one; else of the lowest that has a degraded one. When a
 * priority has fewer healthy ones than the panic threshold asks for, all of its endpoints.
 */
function usableIndexes(endpoints: readonly AssignedEndpoint[], panicPercent: number): number[] {
  const priorities = [...new Set(endpoints.map((endpoint) => endpoint.priority))].sort(
    (left, right) => left - right,
  );
  for (const health of ["healthy", "degraded"] as const) {
    for (const priority of priorities) {
      const usable = indexesWhere(endpoints, (one) => one.priority === priority && one.health === health);
      if (usable.length > 0 && !panics(endpoints, priority, panicPercent)) return usable;
    }
  }
  const panicking = priorities.find((priority) => panics(endpoints, priority, panicPercent));
  return panicking === undefined ? [] : indexesWhere(endpoints, (one) => one.priority === panicking);
}

function panics(endpoints: readonly AssignedEndpoint[], priority: number, panicPercent: number): boolean {
  if (panicPercent === 0) return false;
  const members = endpoints.filter((one) => one.priority === priority);
  const usable = members.filter((one) => one.health !== "unhealthy");
  return (usable.length / members.length) * 100 < panicPercent;
}

function indexesWhere(
  endpoints: readonly AssignedEndpoint[],
  holds: (one: AssignedEndpoint) => boolean,
): number[] {
  const indexes: number[] = [];
  endpoints.forEach((endpoint, index) => {
    if (holds(endpoint)) indexes.push(index);
  });
  return indexes;
}

/** An endpoint that takes requests, by its position, and its weight among the others. */
interface Share {
  readonly index: number;
  readonly weight: number;
}

function sharesOf(assignment: Assignment, { panicPercent, balancing }: ClusterSettings): Share[] {
  const { endpoints } = assignment;
  const usable = usableIndexes(endpoints, panicPercent).map((index) => ({
    index,
    weight: endpoints[index]!.weight,
  }));
  if (!balancing.localityWeighted) return usable;
  const weighted = byLocality(assignment, usable);
  // All localities without a weight: Envoy would use none; requests that can be served are served.
  return weighted.length > 0 ? weighted : usable;
}

/** Each locality's weight, divided among its usable endpoints by their own; a locality without weight gets nothing. */
function byLocality({ endpoints, localityWeights }: Assignment, usable: readonly Share[]): Share[] {
  const sums = new Map<number, number>();
  for (const { index, weight } of usable) {
    const { locality } = endpoints[index]!;
    sums.set(locality, (sums.get(locality) ?? 0) + weight);
  }
  return usable
    .map(({ index, weight }) => {
      const { locality } = endpoints[index]!;
      return { index, weight: (localityWeights[locality]! * weight) / sums.get(locality)! };
    })
    .filter(({ weight }) => weight > 0);
}
