import type { Counter, Family, Gauge, MetricsRegistry } from "../telemetry/metrics.js";

const PREFIX = "envoy_cluster_health_check";

/** Envoy's health check statistics of clusters. */
export class CheckMetrics {
  readonly #attempt: Family<Counter>;
  readonly #success: Family<Counter>;
  readonly #failure: Family<Counter>;
  readonly #networkFailure: Family<Counter>;
  readonly #passiveFailure: Family<Counter>;
  readonly #healthy: Family<Gauge>;
  readonly #degraded: Family<Gauge>;

  constructor(registry: MetricsRegistry) {
    this.#attempt = registry.counter(`${PREFIX}_attempt`, "Health checks made.");
    this.#success = registry.counter(`${PREFIX}_success`, "Health checks that passed.");
    this.#failure = registry.counter(`${PREFIX}_failure`, "Health checks that failed, whatever for.");
    this.#networkFailure = registry.counter(
      `${PREFIX}_network_failure`,
      "Health checks that failed without an answer.",
    );
    this.#passiveFailure = registry.counter(
      `${PREFIX}_passive_failure`,
      "Answers to requests by which an endpoint said that it is not well.",
    );
    this.#healthy = registry.gauge(`${PREFIX}_healthy`, "Endpoints whose health check passes.");
    this.#degraded = registry.gauge(`${PREFIX}_degraded`, "Endpoints whose health check says degraded.");
  }

  attempt(clusters: Iterable<string>): void {
    count(this.#attempt, clusters);
  }

  success(clusters: Iterable<string>): void {
    count(this.#success, clusters);
  }

  failure(clusters: Iterable<string>, kind: "failed" | "unreachable" | "told"): void {
    count(this.#failure, clusters);
    if (kind === "unreachable") count(this.#networkFailure, clusters);
    if (kind === "told") count(this.#passiveFailure, clusters);
  }

  endpoints(cluster: string, healthy: number, degraded: number): void {
    const labels = ["cluster_name", cluster];
    this.#healthy.with(labels).set(healthy);
    this.#degraded.with(labels).set(degraded);
  }
}

function count(family: Family<Counter>, clusters: Iterable<string>): void {
  for (const cluster of clusters) family.with(["cluster_name", cluster]).inc();
}
