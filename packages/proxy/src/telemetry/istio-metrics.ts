import type { Exchange } from "../stream/exchange.js";
import type { Counter, Family, Histogram, MetricsRegistry } from "./metrics.js";
import {
  BLACK_HOLE,
  securityPolicy,
  trafficLabels,
  type LabelledCluster,
  type OwnWorkload,
} from "./traffic-labels.js";

/** Istio's histogram buckets, for durations in milliseconds and for sizes in bytes alike. */
const BUCKETS = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000,
  3_600_000,
];

/** Series of one way that requests go: who, to whom, with which result. */
interface Series {
  readonly requests: Counter;
  readonly duration: Histogram;
  readonly requestBytes: Histogram;
  readonly responseBytes: Histogram;
  /** Of gRPC calls only. */
  readonly requestMessages: Counter | undefined;
  readonly responseMessages: Counter | undefined;
}

/** Series by cluster, peer and result; the last level is keyed by status while there is no flag. */
type ByResult = Map<number | string, Series>;

/** Stands for exchanges that found no cluster. */
const NO_CLUSTER: LabelledCluster = { name: "", serviceHost: "", originalDestination: false };

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
  readonly #requestMessages: Family<Counter>;
  readonly #responseMessages: Family<Counter>;
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
    this.#requestMessages = registry.counter(
      "istio_request_messages_total",
      "Messages that clients sent in gRPC calls, counted when a call ends.",
    );
    this.#responseMessages = registry.counter(
      "istio_response_messages_total",
      "Messages that servers sent in gRPC calls, counted when a call ends.",
    );
  }

  record(exchange: Exchange): void {
    const series = this.#seriesOf(exchange);
    series.requests.value++;
    series.duration.observe(exchange.durationMs);
    series.requestBytes.observe(exchange.bytesReceived);
    series.responseBytes.observe(exchange.bytesSent);
    series.requestMessages?.inc(exchange.requestMessages?.messages);
    series.responseMessages?.inc(exchange.responseMessages?.messages);
  }

  #seriesOf(exchange: Exchange): Series {
    const cluster =
      exchange.cluster ?? (exchange.upstreamCluster === BLACK_HOLE.name ? BLACK_HOLE : NO_CLUSTER);
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
      const labels = this.#labels(exchange, cluster);
      series = {
        requests: this.#requests.with(labels),
        duration: this.#duration.with(labels),
        requestBytes: this.#requestBytes.with(labels),
        responseBytes: this.#responseBytes.with(labels),
        requestMessages: grpc ? this.#requestMessages.with(labels) : undefined,
        responseMessages: grpc ? this.#responseMessages.with(labels) : undefined,
      };
      byResult.set(key, series);
    }
    return series;
  }

  #labels(exchange: Exchange, cluster: LabelledCluster): string[] {
    return [
      ...trafficLabels(exchange, this.#own, cluster),
      "request_protocol",
      exchange.grpc ? "grpc" : "http",
      "response_code",
      String(exchange.responseCode),
      "grpc_response_status",
      exchange.grpcStatus < 0 ? "" : String(exchange.grpcStatus),
      "response_flags",
      exchange.responseFlags === "" ? "-" : exchange.responseFlags,
      "connection_security_policy",
      securityPolicy(exchange),
    ];
  }
}
