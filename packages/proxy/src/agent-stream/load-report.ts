import {
  UNHEALTHY_CHECK,
  UNHEALTHY_DEGRADED,
  UNHEALTHY_EJECTED,
  UNHEALTHY_PROBATION,
  type ClusterPart,
  type EndpointPart,
  type LoadTable,
  type Snapshot,
} from "@tulle/engine";

const MAX_CLUSTERS = 200;
const MAX_ENDPOINTS = 200;

/** What is under way in a cluster, against its limits, and at its endpoints. Plain data. */
export interface ClusterLoad {
  readonly cluster: string;
  readonly requests: number;
  readonly maxRequests: number;
  readonly connections: number;
  readonly maxConnections: number;
  readonly pending: number;
  readonly maxPending: number;
  readonly retries: number;
  readonly maxRetries: number;
  /** At most 200; those of a cluster that was not named only when something is under way on them, or held against them. */
  readonly endpoints: readonly EndpointLoad[];
}

export interface EndpointLoad {
  /** `host:port` */
  readonly endpoint: string;
  readonly requests: number;
  readonly healthy: boolean;
  /** What is held against it beside what the control plane says: `ejected`, `failing checks`, `degraded`. */
  readonly held: readonly string[];
}

/** The load of one cluster, or of all that have something under way ("" as the name). Undefined when there is no such one. */
export function loadReport(
  snapshot: Snapshot,
  load: LoadTable,
  name: string,
): readonly ClusterLoad[] | undefined {
  if (name !== "") {
    const cluster = snapshot.cluster(name);
    return cluster === undefined ? undefined : [clusterLoad(cluster, load, true)];
  }
  const busy: ClusterLoad[] = [];
  for (const cluster of snapshot.clusters()) {
    const report = clusterLoad(cluster, load, false);
    const { requests, connections, pending, endpoints } = report;
    if (requests + connections + pending + endpoints.length > 0) busy.push(report);
    if (busy.length >= MAX_CLUSTERS) break;
  }
  return busy;
}

function clusterLoad(cluster: ClusterPart, load: LoadTable, all: boolean): ClusterLoad {
  const { slot } = cluster;
  const endpoints = cluster.endpoints
    .map((endpoint) => endpointLoad(endpoint, load))
    .filter(({ requests, held }) => all || requests > 0 || held.length > 0);
  return {
    cluster: cluster.name,
    requests: load.clusterInFlight(slot),
    maxRequests: cluster.maxRequests,
    connections: load.connections(slot),
    maxConnections: cluster.maxConnections,
    pending: load.pending(slot),
    maxPending: cluster.maxPendingRequests,
    retries: load.retriesInFlight(slot),
    maxRetries: cluster.maxRetries,
    endpoints: endpoints.slice(0, MAX_ENDPOINTS),
  };
}

/** What is under way at an endpoint, and what is held against it. */
export function endpointLoad({ key, slot, healthy }: EndpointPart, load: LoadTable): EndpointLoad {
  const bits = load.unhealthy(slot);
  const held = HELD.filter(([bit]) => (bits & bit) !== 0).map(([, name]) => name);
  return { endpoint: key, requests: load.inFlight(slot), healthy, held };
}

const HELD: readonly (readonly [number, string])[] = [
  [UNHEALTHY_EJECTED, "ejected"],
  [UNHEALTHY_PROBATION, "on probation"],
  [UNHEALTHY_CHECK, "failing checks"],
  [UNHEALTHY_DEGRADED, "degraded"],
];
