import type { ClusterPart, WorkloadLabels } from "@tulle/engine";

import type { Exchange } from "../stream/exchange.js";
import type { Counter, Family, Histogram, MetricsRegistry } from "./metrics.js";

/** Istio's histogram buckets, for durations in milliseconds and for sizes in bytes alike. */
const BUCKETS = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000,
  3_600_000,
];

/** The workload that this proxy serves. */
export interface OwnWorkload extends WorkloadLabels {
  /** SPIFFE id; "" before the first certificate. */
  principal(): string;
}

/** Series of one way that requests go: who, to whom, with which result. */
interface Series {
  readonly requests: Counter;
  readonly duration: Histogram;
  readonly requestBytes: Histogram;
  readonly responseBytes: Histogram;
}

/** Series by cluster, peer and result; the last level is keyed by status while there is no flag. */
type ByResult = Map<number | string, Series>;

const UNKNOWN: WorkloadLabels = {
  workload: "unknown",
  namespace: "unknown",
  canonicalName: "unknown",
  canonicalRevision: "latest",
};

/** Stands for exchanges that found no cluster. */
const NO_CLUSTER: Pick<ClusterPart, "name" | "serviceHost"> = { name: "", serviceHost: "" };

/**
 * Istio's standard metrics (https://istio.io/latest/docs/reference/config/metrics/). The labels of a series are put
 * together once; after that a request costs three map lookups, an increment and three observations.
 */
export class IstioMetrics {
  readonly #own: OwnWorkload;
  readonly #requests: Family<Counter>;
  readonly #duration: Family<Histogram>;
  readonly #requestBytes: Family<Histogram>;
  readonly #responseBytes: Family<Histogram>;
  readonly #series = new WeakMap<object, WeakMap<object, ByResult>>();

  constructor(registry: MetricsRegistry, own: OwnWorkload) {
    this.#own = own;
    this.#requests = registry.counter("istio_requests_total", "Requests handled by this proxy.");
    this.#duration = registry.histogram(
      "istio_request_duration_milliseconds",
      "Duration of requests in milliseconds.",
      BUCKETS,
    );
    this.#requestBytes = registry.histogram(
      "istio_request_bytes",
      "Size of request bodies in bytes.",
      BUCKETS,
    );
    this.#responseBytes = registry.histogram(
      "istio_response_bytes",
      "Size of response bodies in bytes.",
      BUCKETS,
    );
  }

  record(exchange: Exchange): void {
    const series = this.#seriesOf(exchange);
    series.requests.value++;
    series.duration.observe(exchange.durationMs);
    series.requestBytes.observe(exchange.bytesReceived);
    series.responseBytes.observe(exchange.bytesSent);
  }

  #seriesOf(exchange: Exchange): Series {
    const cluster = exchange.cluster ?? NO_CLUSTER;
    let byPeer = this.#series.get(cluster);
    if (byPeer === undefined) {
      byPeer = new WeakMap();
      this.#series.set(cluster, byPeer);
    }
    // What all labels but the result depend on: metadata objects are never shared by two identities, and a client
    // without metadata is known by its connection only.
    const { source } = exchange;
    const peer = exchange.peer ?? (source.direction === "outbound" ? exchange.endpoint : undefined) ?? source;
    let byResult = byPeer.get(peer);
    if (byResult === undefined) {
      byResult = new Map();
      byPeer.set(peer, byResult);
    }
    const { responseCode, responseFlags, grpc } = exchange;
    // Of gRPC the status distinguishes: in one number with the response code, which has three digits.
    const code = grpc ? responseCode + 1000 * (exchange.grpcStatus + 2) : responseCode;
    const key = responseFlags === "" ? code : `${code} ${responseFlags}`;
    let series = byResult.get(key);
    if (series === undefined) {
      const labels = this.#labels(exchange);
      series = {
        requests: this.#requests.with(labels),
        duration: this.#duration.with(labels),
        requestBytes: this.#requestBytes.with(labels),
        responseBytes: this.#responseBytes.with(labels),
      };
      byResult.set(key, series);
    }
    return series;
  }

  #labels(exchange: Exchange): string[] {
    const outbound = exchange.source.direction === "outbound";
    const own = this.#own;
    const peer = exchange.peer ?? UNKNOWN;
    const source = outbound ? own : peer;
    const destination = outbound ? peer : own;
    const service = exchange.cluster?.serviceHost ?? "";
    const [name, namespace] = service === "" ? ["unknown", "unknown"] : serviceName(service);
    const principals = this.#principals(exchange, outbound);
    return [
      "reporter",
      outbound ? "source" : "destination",
      "source_workload",
      source.workload,
      "source_canonical_service",
      source.canonicalName,
      "source_canonical_revision",
      source.canonicalRevision,
      "source_workload_namespace",
      source.namespace,
      "source_principal",
      principals.source,
      "source_app",
      source.canonicalName,
      "source_version",
      source.canonicalRevision,
      "source_cluster",
      "Kubernetes",
      "destination_workload",
      destination.workload,
      "destination_workload_namespace",
      destination.namespace,
      "destination_principal",
      principals.destination,
      "destination_app",
      destination.canonicalName,
      "destination_version",
      destination.canonicalRevision,
      "destination_service",
      service === "" ? "unknown" : service,
      "destination_canonical_service",
      destination.canonicalName,
      "destination_canonical_revision",
      destination.canonicalRevision,
      "destination_service_name",
      name,
      "destination_service_namespace",
      namespace,
      "destination_cluster",
      "Kubernetes",
      "request_protocol",
      exchange.grpc ? "grpc" : "http",
      "response_code",
      String(exchange.responseCode),
      "grpc_response_status",
      exchange.grpcStatus < 0 ? "" : String(exchange.grpcStatus),
      "response_flags",
      exchange.responseFlags === "" ? "-" : exchange.responseFlags,
      "connection_security_policy",
      outbound ? "unknown" : exchange.source.peerSpiffeId !== "" ? "mutual_tls" : "none",
    ];
  }

  #principals(exchange: Exchange, outbound: boolean): { source: string; destination: string } {
    const own = this.#own.principal() === "" ? "unknown" : this.#own.principal();
    if (!outbound) {
      if (exchange.source.peerSpiffeId === "") return { source: "unknown", destination: "unknown" };
      return { source: exchange.source.peerSpiffeId, destination: own };
    }
    const tls = exchange.endpoint?.tls;
    if (tls === undefined) return { source: "unknown", destination: "unknown" };
    const [only] = tls.spiffeIds;
    return { source: own, destination: tls.spiffeIds.size === 1 && only !== undefined ? only : "unknown" };
  }
}

/** Service name and namespace of `reviews.default.svc.cluster.local`; any other host is its own name. */
function serviceName(host: string): [name: string, namespace: string] {
  const parts = host.split(".");
  return parts[2] === "svc" ? [parts[0] ?? host, parts[1] ?? "unknown"] : [host, "unknown"];
}
