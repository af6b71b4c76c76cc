import type { ClusterPart, LoadTable, SnapshotSource } from "@tulle/engine";

import type { Family, Gauge, MetricsRegistry } from "./metrics.js";

/** What Istio sends where nothing is limited. */
const NO_LIMIT = 4_294_967_295;

/** A limit of clusters, and how much of it is used. */
interface Breaker {
  readonly open: Family<Gauge>;
  readonly remaining: Family<Gauge>;
  readonly limit: (cluster: ClusterPart) => number;
  readonly used: (load: LoadTable, cluster: ClusterPart) => number;
}

/** Envoy's gauges of circuit breakers, for limits that are one. Read from the load table when somebody scrapes. */
export function addCircuitBreakerMetrics(
  registry: MetricsRegistry,
  configuration: SnapshotSource,
  load: LoadTable,
): void {
  const usual = breakersOf(registry, "default");
  const high = breakersOf(registry, "high");
  /** Gauges that were above 0, by cluster: one that is gone has nothing open. */
  const told = new Map<string, readonly Breaker[]>();
  registry.onCollect(() => {
    for (const [name, breakers] of told) {
      for (const { open, remaining } of breakers) {
        if (configuration.current.cluster(name) !== undefined) continue;
        open.with(["cluster_name", name]).set(0);
        remaining.with(["cluster_name", name]).set(0);
      }
    }
    told.clear();
    for (const cluster of configuration.current.clusters()) {
      const limited = tell(cluster, usual, load);
      told.set(
        cluster.name,
        cluster.high === undefined ? limited : [...limited, ...tell(cluster.high, high, load)],
      );
    }
  });
}

/** Sets the gauges of those limits that are one, and returns them. */
function tell(cluster: ClusterPart, breakers: readonly Breaker[], load: LoadTable): readonly Breaker[] {
  const limited = breakers.filter(({ limit }) => limit(cluster) < NO_LIMIT);
  for (const { open, remaining, limit, used } of limited) {
    const labels = ["cluster_name", cluster.name];
    const left = Math.max(0, limit(cluster) - used(load, cluster));
    open.with(labels).set(left === 0 ? 1 : 0);
    if (cluster.tracksRemaining === true) remaining.with(labels).set(left);
  }
  return limited;
}

function breakersOf(registry: MetricsRegistry, priority: "default" | "high"): readonly Breaker[] {
  const gauge = (name: string, help: string): Family<Gauge> =>
    registry.gauge(`envoy_cluster_circuit_breakers_${priority}_${name}`, help);
  return [
    {
      open: gauge("cx_open", "Whether no further connection may be made."),
      remaining: gauge("remaining_cx", "Connections that may still be made."),
      limit: ({ maxConnections }) => maxConnections,
      used: (table, { slot }) => table.connections(slot),
    },
    {
      open: gauge("cx_pool_open", "Whether no further connection pool may be made."),
      remaining: gauge("remaining_cx_pools", "Connection pools that may still be made."),
      limit: ({ pools }) => pools?.max ?? NO_LIMIT,
      used: (table, { pools }) => (pools === undefined ? 0 : table.connections(pools.slot)),
    },
    {
      open: gauge("rq_pending_open", "Whether no further request may wait for a connection."),
      remaining: gauge("remaining_pending", "Requests that may still wait for a connection."),
      limit: ({ maxPendingRequests }) => maxPendingRequests,
      used: (table, { slot }) => table.pending(slot),
    },
    {
      open: gauge("rq_open", "Whether no further request may begin."),
      remaining: gauge("remaining_rq", "Requests that may still begin."),
      limit: ({ maxRequests }) => maxRequests,
      used: (table, { slot }) => table.clusterInFlight(slot),
    },
    {
      open: gauge("rq_retry_open", "Whether no further retry may begin."),
      remaining: gauge("remaining_retries", "Retries that may still begin."),
      limit: ({ maxRetries }) => maxRetries,
      used: (table, { slot }) => table.retriesInFlight(slot),
    },
  ];
}
