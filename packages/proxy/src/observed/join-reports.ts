import type { ObservedEdge, TrafficReport } from "./contract.js";

/** What several threads observed, as one. */
export function joinReports(reports: readonly TrafficReport[]): TrafficReport {
  const edges = new Map<string, ObservedEdge>();
  for (const edge of reports.flatMap(({ inbound }) => inbound)) {
    const key = `${edge.source} ${edge.service} ${edge.port}`;
    const known = edges.get(key);
    edges.set(key, known === undefined ? edge : joined(known, edge));
  }
  const since = reports.map((report) => report.since).filter((at) => at > 0);
  return {
    // Of a thread that began later less is known.
    since: since.length < reports.length ? 0 : Math.max(0, ...since),
    complete: reports.every(({ complete }) => complete),
    inbound: [...edges.values()],
    calls: [...new Set(reports.flatMap(({ calls }) => calls))].sort(),
  };
}

function joined(one: ObservedEdge, other: ObservedEdge): ObservedEdge {
  const requests = new Map(one.requests.map((kind) => [`${kind.method} ${kind.path}`, kind]));
  for (const kind of other.requests) {
    const key = `${kind.method} ${kind.path}`;
    requests.set(key, { ...kind, count: kind.count + (requests.get(key)?.count ?? 0) });
  }
  return { ...one, requests: [...requests.values()], connections: one.connections + other.connections };
}
