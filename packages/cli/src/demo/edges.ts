import { parsePrometheus } from "./prometheus.js";

/** One caller and one version of a callee, as the caller's sidecar counted. */
export interface Edge {
  readonly source: string;
  readonly destination: string;
  readonly version: string;
  readonly sourcePrincipal: string;
  readonly destinationPrincipal: string;
  /** Whether every request of it went over mutual TLS. */
  readonly mutualTls: boolean;
  readonly requests: number;
  readonly failures: number;
  /** Cumulative counts per upper bound in milliseconds, ascending; the last bound is Infinity. */
  readonly buckets: ReadonlyMap<number, number>;
}

interface Growing {
  edge: Edge;
  requests: number;
  failures: number;
  plaintext: boolean;
  readonly buckets: Map<number, number>;
}

/** Reads the edges out of one sidecar's `/stats/prometheus`: what it saw as the source of requests. */
export function edgesOf(text: string): readonly Edge[] {
  const edges = new Map<string, Growing>();
  for (const { name, labels, value } of parsePrometheus(text)) {
    const label = (key: string): string => labels.get(key) ?? "";
    if (label("reporter") !== "source") continue;
    const source = label("source_canonical_service") || label("source_workload");
    const destination = label("destination_service_name") || label("destination_canonical_service");
    // Answered before anybody was called: while a sidecar waits for its configuration.
    if (known(destination) === "") continue;
    const version = label("destination_version") || label("destination_canonical_revision");
    const key = keyOf({ source, destination, version });
    const growing = edges.get(key) ?? begin(source, destination, version);
    edges.set(key, growing);
    if (name === "istio_requests_total") {
      growing.requests += value;
      if (Number(label("response_code")) >= 500 || label("response_code") === "0") growing.failures += value;
      if (label("connection_security_policy") === "none") growing.plaintext = true;
      growing.edge = {
        ...growing.edge,
        sourcePrincipal: known(label("source_principal")) || growing.edge.sourcePrincipal,
        destinationPrincipal: known(label("destination_principal")) || growing.edge.destinationPrincipal,
      };
    } else if (name === "istio_request_duration_milliseconds_bucket") {
      const bound = label("le") === "+Inf" ? Number.POSITIVE_INFINITY : Number(label("le"));
      growing.buckets.set(bound, (growing.buckets.get(bound) ?? 0) + value);
    }
  }
  return [...edges.values()].map(finish).filter((edge) => edge.requests > 0);
}

/** What makes two edges one. */
export function keyOf({
  source,
  destination,
  version,
}: Pick<Edge, "source" | "destination" | "version">): string {
  return `${source}\n${destination}\n${version}`;
}

/** Edges of the same ends added up. */
export function mergeEdges(edges: readonly Edge[]): Edge[] {
  const merged = new Map<string, Edge>();
  for (const edge of edges) {
    const other = merged.get(keyOf(edge));
    merged.set(keyOf(edge), other === undefined ? edge : add(other, edge));
  }
  return [...merged.values()];
}

function add(a: Edge, b: Edge): Edge {
  const buckets = new Map(a.buckets);
  for (const [bound, count] of b.buckets) buckets.set(bound, (buckets.get(bound) ?? 0) + count);
  return {
    ...a,
    requests: a.requests + b.requests,
    failures: a.failures + b.failures,
    mutualTls: a.mutualTls && b.mutualTls,
    buckets,
  };
}

/**
 * The value at `share` (0 to 1) of a histogram of cumulative buckets, linear within a bucket as in Prometheus'
 * `histogram_quantile`; undefined without observations. Beyond the last finite bound, that bound.
 */
export function quantile(buckets: ReadonlyMap<number, number>, share: number): number | undefined {
  const bounds = [...buckets.keys()].sort((a, b) => a - b);
  const total = buckets.get(Number.POSITIVE_INFINITY) ?? 0;
  if (total === 0) return undefined;
  const rank = share * total;
  let below = 0;
  let lower = 0;
  for (const bound of bounds) {
    const count = buckets.get(bound) ?? 0;
    if (count >= rank) {
      if (bound === Number.POSITIVE_INFINITY) return lower;
      return count === below ? bound : lower + ((bound - lower) * (rank - below)) / (count - below);
    }
    below = count;
    lower = bound;
  }
  return lower;
}

/** What happened between two readings of the same edge. A counter that fell began again at 0. */
export function since(before: Edge | undefined, now: Edge): Pick<Edge, "requests" | "failures" | "buckets"> {
  if (before === undefined || before.requests > now.requests) return now;
  const buckets = new Map<number, number>();
  for (const [bound, count] of now.buckets) buckets.set(bound, count - (before.buckets.get(bound) ?? 0));
  return { requests: now.requests - before.requests, failures: now.failures - before.failures, buckets };
}

function begin(source: string, destination: string, version: string): Growing {
  const edge: Edge = {
    source,
    destination,
    version: known(version),
    sourcePrincipal: "",
    destinationPrincipal: "",
    mutualTls: false,
    requests: 0,
    failures: 0,
    buckets: new Map(),
  };
  return { edge, requests: 0, failures: 0, plaintext: false, buckets: new Map() };
}

function finish({ edge, requests, failures, plaintext, buckets }: Growing): Edge {
  return { ...edge, requests, failures, mutualTls: !plaintext && edge.destinationPrincipal !== "", buckets };
}

function known(value: string): string {
  return value === "unknown" || value === "-" ? "" : value;
}
