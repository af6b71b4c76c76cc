import type { ClusterPart, LoadTable, Snapshot } from "@tulle/engine";

/** Envoy's `/clusters` text: one `cluster::host::name::value` per line. */
export function clustersText(snapshot: Snapshot, load: LoadTable): string {
  let text = "";
  for (const cluster of sorted(snapshot)) {
    const limits: readonly (readonly [string, number])[] = [
      ["max_connections", cluster.maxConnections],
      ["max_pending_requests", cluster.maxPendingRequests],
      ["max_requests", cluster.maxRequests],
      ["max_retries", cluster.maxRetries],
    ];
    for (const [name, value] of limits) text += `${cluster.name}::default_priority::${name}::${value}\n`;
    text += `${cluster.name}::added_via_api::true\n`;
    for (const endpoint of cluster.endpoints) {
      const host = `${cluster.name}::${endpoint.key}`;
      text += `${host}::rq_active::${load.inFlight(endpoint.slot)}\n`;
      text += `${host}::health_flags::${endpoint.healthy ? "healthy" : "/failed_eds_health"}\n`;
      text += `${host}::weight::${endpoint.weight}\n`;
      text += `${host}::mutual_tls::${endpoint.tls !== undefined}\n`;
    }
  }
  return text;
}

/** Envoy's `/clusters?format=json`. */
export function clustersJson(snapshot: Snapshot, load: LoadTable): unknown {
  return {
    cluster_statuses: sorted(snapshot).map((cluster) => ({
      name: cluster.name,
      added_via_api: true,
      host_statuses: cluster.endpoints.map((endpoint) => ({
        address: { socket_address: { address: endpoint.host, port_value: endpoint.port } },
        stats: [{ name: "rq_active", type: "GAUGE", value: String(load.inFlight(endpoint.slot)) }],
        health_status: { eds_health_status: endpoint.healthy ? "HEALTHY" : "UNHEALTHY" },
        weight: endpoint.weight,
      })),
    })),
  };
}

function sorted(snapshot: Snapshot): ClusterPart[] {
  return [...snapshot.clusters()].sort((left, right) => (left.name < right.name ? -1 : 1));
}
