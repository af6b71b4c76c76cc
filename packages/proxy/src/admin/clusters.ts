import { healthOf, type ClusterPart, type EndpointPart, type LoadTable, type Snapshot } from "@tulle/engine";

import type { CheckFailure } from "../health/health-checks.js";
import { addressJson } from "../socket-path.js";

/** Envoy's `/clusters` text: one `cluster::host::name::value` per line. */
export function clustersText(snapshot: Snapshot, load: LoadTable): string {
  let text = "";
  for (const cluster of sorted(snapshot)) {
    text += limitsText(cluster, "default_priority");
    if (cluster.high !== undefined) text += limitsText(cluster.high, "high_priority");
    text += `${cluster.name}::added_via_api::true\n`;
    for (const endpoint of cluster.endpoints) {
      const host = `${cluster.name}::${endpoint.key}`;
      text += `${host}::cx_active::${load.connections(endpoint.slot)}\n`;
      text += `${host}::rq_active::${load.inFlight(endpoint.slot)}\n`;
      text += `${host}::health_flags::${healthFlags(endpoint, load)}\n`;
      text += `${host}::weight::${endpoint.weight}\n`;
      text += `${host}::mutual_tls::${endpoint.tls?.kind === "mesh"}\n`;
    }
  }
  return text;
}

function limitsText(cluster: ClusterPart, priority: string): string {
  const limits: readonly (readonly [string, number])[] = [
    ["max_connections", cluster.maxConnections],
    ["max_pending_requests", cluster.maxPendingRequests],
    ["max_requests", cluster.maxRequests],
    ["max_retries", cluster.maxRetries],
    ...(cluster.pools === undefined ? [] : [["max_connection_pools", cluster.pools.max] as const]),
  ];
  return limits.map(([name, value]) => `${cluster.name}::${priority}::${name}::${value}\n`).join("");
}

/** Envoy's `/clusters?format=json`. */
export function clustersJson(
  snapshot: Snapshot,
  load: LoadTable,
  checkFailure: (slot: number) => CheckFailure | undefined,
): unknown {
  return {
    cluster_statuses: sorted(snapshot).map((cluster) => ({
      name: cluster.name,
      added_via_api: true,
      host_statuses: cluster.endpoints.map((endpoint) => ({
        address: addressJson(endpoint),
        stats: [{ name: "rq_active", type: "GAUGE", value: String(load.inFlight(endpoint.slot)) }],
        health_status: healthStatus(endpoint, load),
        ejection: ejectionOf(endpoint, load),
        failed_check: failedCheckOf(checkFailure(endpoint.slot)),
        weight: endpoint.weight,
      })),
    })),
  };
}

function sorted(snapshot: Snapshot): ClusterPart[] {
  return [...snapshot.clusters()].sort((left, right) => (left.name < right.name ? -1 : 1));
}

/** Envoy's flags: what is held against an endpoint, or `healthy`. */
function healthFlags(endpoint: EndpointPart, load: LoadTable): string {
  const health = healthOf(load, endpoint.slot);
  const flags = [
    health.checkFailed ? "/failed_active_hc" : "",
    health.ejected ? "/failed_outlier_check" : "",
    health.onProbation ? "/on_probation" : "",
    endpoint.healthy ? "" : "/failed_eds_health",
    health.degraded ? "/degraded_active_hc" : "",
  ].join("");
  return flags === "" ? "healthy" : flags;
}

function healthStatus(endpoint: EndpointPart, load: LoadTable): unknown {
  const { checkFailed, ejected, onProbation, degraded } = healthOf(load, endpoint.slot);
  return {
    eds_health_status: endpoint.healthy ? "HEALTHY" : "UNHEALTHY",
    ...(checkFailed && { failed_active_health_check: true }),
    ...(ejected && { failed_outlier_check: true }),
    ...(onProbation && { on_probation: true }),
    ...(degraded && { failed_active_degraded_check: true }),
  };
}

/** Why an active check fails, and since when; undefined = it does not. */
function failedCheckOf(failure: CheckFailure | undefined): unknown {
  return failure && { reason: failure.reason, since: new Date(failure.sinceMs).toISOString() };
}

/** Why and how long an endpoint is ejected, or was the last time; undefined = it never was. */
function ejectionOf(endpoint: EndpointPart, load: LoadTable): unknown {
  const health = healthOf(load, endpoint.slot);
  if (health.ejectedFor === undefined) return undefined;
  return {
    active: health.ejected,
    reason: health.ejectedFor,
    ejected_at: new Date(health.ejectedAtMs).toISOString(),
    until: new Date(health.ejectedUntilMs).toISOString(),
    ejections: health.ejections,
  };
}
