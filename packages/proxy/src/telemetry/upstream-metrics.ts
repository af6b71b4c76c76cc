import type { ClusterPart } from "@tulle/engine";

import type { Counter, Family, Gauge, MetricsRegistry } from "./metrics.js";

/** Series of one cluster. Kept for as long as the cluster's name is used. */
export class ClusterTraffic {
  /** Connections open or being made. */
  readonly connections: Gauge;
  /** Requests that wait for a connection. */
  readonly pending: Gauge;
  readonly connectionsTotal: Counter;
  readonly connectFailures: Counter;
  readonly connectionOverflow: Counter;
  readonly pendingOverflow: Counter;
  readonly poolOverflow: Counter;
  readonly requests: Counter;
  readonly retries: Counter;
  readonly timeouts: Counter;
  readonly redirectsFollowed: Counter;
  readonly redirectsNotFollowed: Counter;

  constructor(name: string, families: Families) {
    const labels = ["cluster_name", name];
    this.connections = families.connections.with(labels);
    this.pending = families.pending.with(labels);
    this.connectionsTotal = families.connectionsTotal.with(labels);
    this.connectFailures = families.connectFailures.with(labels);
    this.connectionOverflow = families.connectionOverflow.with(labels);
    this.poolOverflow = families.poolOverflow.with(labels);
    this.pendingOverflow = families.pendingOverflow.with(labels);
    this.requests = families.requests.with(labels);
    this.retries = families.retries.with(labels);
    this.timeouts = families.timeouts.with(labels);
    this.redirectsFollowed = families.redirectsFollowed.with(labels);
    this.redirectsNotFollowed = families.redirectsNotFollowed.with(labels);
  }
}

interface Families {
  readonly connections: Family<Gauge>;
  readonly pending: Family<Gauge>;
  readonly connectionsTotal: Family<Counter>;
  readonly connectFailures: Family<Counter>;
  readonly connectionOverflow: Family<Counter>;
  readonly pendingOverflow: Family<Counter>;
  readonly poolOverflow: Family<Counter>;
  readonly requests: Family<Counter>;
  readonly retries: Family<Counter>;
  readonly timeouts: Family<Counter>;
  readonly redirectsFollowed: Family<Counter>;
  readonly redirectsNotFollowed: Family<Counter>;
}

/** More clusters than this share one record: the control plane decides how many there are, not a client. */
const MAX_CLUSTERS = 20_000;

/** Envoy's cluster statistics (`envoy_cluster_upstream_*`). */
export class UpstreamMetrics {
  readonly #families: Families;
  readonly #byName = new Map<string, ClusterTraffic>();
  readonly #byPart = new WeakMap<ClusterPart, ClusterTraffic>();

  constructor(registry: MetricsRegistry) {
    const counter = (name: string, help: string): Family<Counter> =>
      registry.counter(`envoy_cluster_upstream_${name}`, help);
    const gauge = (name: string, help: string): Family<Gauge> =>
      registry.gauge(`envoy_cluster_upstream_${name}`, help);
    this.#families = {
      connections: gauge("cx_active", "Connections open."),
      pending: gauge("rq_pending_active", "Requests waiting for a connection."),
      connectionsTotal: counter("cx_total", "Connections made."),
      connectFailures: counter("cx_connect_fail", "Connections that could not be made."),
      connectionOverflow: counter("cx_overflow", "Times the connection circuit breaker was open."),
      pendingOverflow: counter("rq_pending_overflow", "Requests refused by the pending circuit breaker."),
      poolOverflow: counter(
        "cx_pool_overflow",
        "Requests refused by the circuit breaker of connection pools.",
      ),
      requests: counter("rq_total", "Tries sent to an endpoint."),
      retries: counter("rq_retry", "Retries."),
      timeouts: counter("rq_timeout", "Requests that ran into the route's timeout."),
      redirectsFollowed: counter(
        "internal_redirect_succeeded_total",
        "Redirects of a service that the proxy followed itself.",
      ),
      redirectsNotFollowed: counter(
        "internal_redirect_failed_total",
        "Redirects that the proxy was to follow and gave to the client.",
      ),
    };
  }

  of(cluster: ClusterPart): ClusterTraffic {
    const cached = this.#byPart.get(cluster);
    if (cached !== undefined) return cached;
    const name = this.#byName.size < MAX_CLUSTERS ? cluster.name : "overflow";
    let traffic = this.#byName.get(name);
    if (traffic === undefined) {
      traffic = new ClusterTraffic(name, this.#families);
      this.#byName.set(name, traffic);
    }
    this.#byPart.set(cluster, traffic);
    return traffic;
  }
}
