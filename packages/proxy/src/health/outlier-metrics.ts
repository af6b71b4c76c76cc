import { OUTLIER_KINDS, type OutlierDetector, type OutlierEvent, type OutlierKind } from "@tulle/engine";

import type { Counter, Family, Gauge, MetricsRegistry } from "../telemetry/metrics.js";

const PREFIX = "envoy_cluster_outlier_detection_ejections";

/** Envoy's outlier statistics of clusters, made for those in which something stood out. */
export class OutlierMetrics {
  readonly #active: Family<Gauge>;
  readonly #enforced: Family<Counter>;
  readonly #overflow: Family<Counter>;
  readonly #enforcedBy: ReadonlyMap<OutlierKind, Family<Counter>>;
  readonly #detectedBy: ReadonlyMap<OutlierKind, Family<Counter>>;
  readonly #clusters = new Set<string>();

  constructor(registry: MetricsRegistry, detector: () => OutlierDetector) {
    this.#active = registry.gauge(`${PREFIX}_active`, "Endpoints that are ejected.");
    this.#enforced = registry.counter(`${PREFIX}_enforced_total`, "Ejections.");
    this.#overflow = registry.counter(
      `${PREFIX}_overflow`,
      "Ejections that did not happen because too many endpoints are ejected already.",
    );
    const byKind = (name: string, help: string): ReadonlyMap<OutlierKind, Family<Counter>> =>
      new Map(
        OUTLIER_KINDS.map((kind) => [
          kind,
          registry.counter(`${PREFIX}_${name}_${kind}`, `${help} (${kind.replaceAll("_", " ")}).`),
        ]),
      );
    this.#enforcedBy = byKind("enforced", "Ejections");
    this.#detectedBy = byKind("detected", "Outliers found, ejected or not");
    registry.onCollect(() => {
      for (const cluster of this.#clusters)
        this.#active.with(["cluster_name", cluster]).set(detector().activeEjections(cluster));
    });
  }

  count({ action, cluster, kind }: OutlierEvent): void {
    if (action === "returned" || action === "probation") return;
    this.#clusters.add(cluster);
    const labels = ["cluster_name", cluster];
    this.#detectedBy.get(kind)?.with(labels).inc();
    if (action === "spared") this.#overflow.with(labels).inc();
    if (action !== "ejected") return;
    this.#enforced.with(labels).inc();
    this.#enforcedBy.get(kind)?.with(labels).inc();
  }
}
