import type { Clock, Disposable, Logger, Timer } from "@tulle/base";
import {
  OutlierDetector,
  type ClusterPart,
  type EndpointPart,
  type LoadTable,
  type OutlierEvent,
  type SnapshotSource,
} from "@tulle/engine";

import type { MetricsRegistry } from "../telemetry/metrics.js";
import { OutlierMetrics } from "./outlier-metrics.js";
import type { Suspicion } from "./outlier-recorder.js";

/** Intervals are looked at no more often than this. */
const MIN_WAIT_MS = 50;
/** Endpoints of rules that have gone come back within. */
const AFTER_CHANGE_MS = 100;
/** Of outliers that are not ejected the log tells no more often than this, for each cluster. */
const REPEAT_MS = 60_000;
const MAX_TOLD = 10_000;

export interface OutliersOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly load: LoadTable;
  readonly configuration: SnapshotSource;
  /** Numbers in [0, 1). */
  readonly random: () => number;
}

/** Outlier detection of a sidecar, in the one thread that decides: has the detector's time pass, logs and counts. */
export class Outliers implements Disposable {
  readonly #options: OutliersOptions;
  readonly #detector: OutlierDetector;
  readonly #metrics: OutlierMetrics;
  /** By cluster: when the log said last that an outlier is not ejected. */
  readonly #toldSpared = new Map<string, number>();
  #timer: Timer | undefined;
  #dueMs = Number.POSITIVE_INFINITY;
  #disposed = false;

  constructor(options: OutliersOptions) {
    const { clock, load, random, metrics } = options;
    this.#options = options;
    this.#detector = new OutlierDetector({
      load,
      random,
      date: () => clock.now(),
      onEvent: (event) => this.#tell(event),
    });
    this.#metrics = new OutlierMetrics(metrics, () => this.#detector);
  }

  /** Requests found that an endpoint stands out. */
  suspect({ cluster, slot, bits }: Suspicion): void {
    const { configuration, clock } = this.#options;
    this.#detector.suspect(configuration.current, cluster, slot, bits, clock.monotonic());
  }

  /** An active health check passed. */
  onCheckPassed(cluster: ClusterPart, endpoint: EndpointPart): void {
    this.#detector.onCheckPassed(cluster, endpoint);
  }

  /** There may be other rules. Changes come in bursts: one look for all. */
  onConfigurationChanged(): void {
    this.#wakeIn(AFTER_CHANGE_MS);
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#timer?.[Symbol.dispose]();
  }

  #sweep(): void {
    this.#timer = undefined;
    this.#dueMs = Number.POSITIVE_INFINITY;
    const nowMs = this.#options.clock.monotonic();
    const next = this.#detector.sweep(this.#options.configuration.current, nowMs);
    if (next !== undefined) this.#wakeIn(next - nowMs);
  }

  #wakeIn(delayMs: number): void {
    const { clock } = this.#options;
    const waitMs = Math.max(delayMs, MIN_WAIT_MS);
    const dueMs = clock.monotonic() + waitMs;
    if (this.#disposed || dueMs >= this.#dueMs) return;
    this.#timer?.[Symbol.dispose]();
    this.#dueMs = dueMs;
    this.#timer = clock.setTimeout(() => this.#sweep(), waitMs, { keepAlive: false });
  }

  #tell(event: OutlierEvent): void {
    this.#metrics.count(event);
    const { action, cluster, endpoint, kind, reason, ejections, ejectedForMs } = event;
    const fields = { cluster, endpoint, reason, ejections };
    const { logger } = this.#options;
    switch (action) {
      case "ejected":
        logger.warn("endpoint ejected", { ...fields, kind, ejectedForMs });
        // Of failure accrual its time is over exactly then, and not with an interval.
        this.#wakeIn(ejectedForMs);
        break;
      case "probation":
        logger.warn("ejected endpoint on probation", { ...fields, kind });
        break;
      case "returned":
        logger.warn("ejected endpoint returned", { ...fields, kind });
        break;
      default:
        if (this.#mayRepeat(cluster))
          logger.warn("endpoint stands out and is not ejected", { ...fields, kind });
    }
  }

  /** Failures go on, and with them what cannot be done about them. */
  #mayRepeat(cluster: string): boolean {
    const nowMs = this.#options.clock.monotonic();
    const last = this.#toldSpared.get(cluster);
    if (last !== undefined && nowMs - last < REPEAT_MS) return false;
    if (this.#toldSpared.size >= MAX_TOLD) this.#toldSpared.clear();
    this.#toldSpared.set(cluster, nowMs);
    return true;
  }
}
