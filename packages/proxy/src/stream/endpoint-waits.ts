import type { Clock, TimerWheel, WheelTimer } from "@tulle/base";
import type { ClusterPart, LoadTable, SnapshotSource } from "@tulle/engine";

import type { Counter, Family, Gauge, MetricsRegistry } from "../telemetry/metrics.js";

/** How often it is looked whether an endpoint is ready: threads tell each other of health by memory alone. */
const LOOK_MS = 20;

/** A request without an endpoint. Nobody calls it after it has been withdrawn. */
export interface EndpointWaiter {
  /** When it has waited long enough, monotonic; 0 = it has not waited before. */
  waitUntilMs: number;
  /** Something changed: looks for an endpoint again, and may come back. */
  onLookAgain(): void;
  /** None was ready in time. */
  onEndpointTimeout(): void;
}

/** Why a request must not wait: the last ones did so in vain, or too many do. */
export type WaitRefusal = "fail-fast" | "full";

export interface EndpointWaitsOptions {
  readonly clock: Clock;
  readonly configuration: SnapshotSource;
  readonly load: LoadTable;
  readonly fineWheel: TimerWheel;
  readonly metrics: MetricsRegistry;
}

interface Queue {
  /** In order of arrival. */
  readonly waiters: Set<EndpointWaiter>;
  /** Who waited did so in vain: nobody does, until a request finds an endpoint. */
  failsFast: boolean;
}

/**
 * Requests of clusters of which no endpoint is ready, where the cluster has them wait for one (`ClusterPart.endpointWait`).
 * When the time of the first is over, all of them fail, and so do those that follow, at once, until one finds an endpoint
 * ready.
 */
export class EndpointWaits {
  readonly #options: EndpointWaitsOptions;
  readonly #queues = new Map<string, Queue>();
  readonly #timer: WheelTimer;
  readonly #active: Family<Gauge>;
  readonly #outcomes: Family<Counter>;
  /** What was looked at last. */
  #snapshot: unknown;
  #epoch = Number.NaN;
  #waiting = 0;

  constructor(options: EndpointWaitsOptions) {
    this.#options = options;
    this.#timer = options.fineWheel.timer(() => this.#onTimer());
    const { metrics } = options;
    this.#active = metrics.gauge(
      "tulle_endpoint_wait_active",
      "Requests that wait for an endpoint of their cluster to be ready.",
    );
    this.#outcomes = metrics.counter(
      "tulle_endpoint_wait_requests_total",
      "Requests that found no endpoint ready, by what became of them: waited, timeout, fail_fast, full.",
    );
  }

  /** A request found no endpoint of a cluster ready. Undefined: it waits now. */
  wait(cluster: ClusterPart, waiter: EndpointWaiter): WaitRefusal | undefined {
    const { timeoutMs, maxRequests } = cluster.endpointWait!;
    const queue = this.#queues.get(cluster.name) ?? this.#createQueue(cluster.name);
    if (queue.failsFast) return this.#refuse(cluster.name, "fail-fast");
    if (queue.waiters.size >= maxRequests) return this.#refuse(cluster.name, "full");
    if (waiter.waitUntilMs === 0) {
      waiter.waitUntilMs = this.#options.clock.monotonic() + timeoutMs;
      this.#count(cluster.name, "waited");
    }
    queue.waiters.add(waiter);
    this.#countActive(cluster.name, 1);
    if (!this.#timer.armed) this.#timer.arm(LOOK_MS);
    return undefined;
  }

  /** It waits no more. Nothing when it did not. */
  withdraw(clusterName: string, waiter: EndpointWaiter): void {
    const queue = this.#queues.get(clusterName);
    if (queue?.waiters.delete(waiter) !== true) return;
    this.#countActive(clusterName, -1);
    this.#dropEmpty(clusterName, queue);
  }

  /** A request found an endpoint of the cluster. */
  onReady(clusterName: string): void {
    if (this.#queues.size === 0) return;
    const queue = this.#queues.get(clusterName);
    if (queue === undefined) return;
    queue.failsFast = false;
    this.#dropEmpty(clusterName, queue);
  }

  /** After a change of the configuration, or of endpoints' health: everybody looks again, in order of arrival. */
  look(): void {
    if (this.#waiting === 0) return;
    const { configuration, load } = this.#options;
    const epoch = load.healthEpoch();
    if (configuration.current === this.#snapshot && epoch === this.#epoch) return;
    this.#snapshot = configuration.current;
    this.#epoch = epoch;
    for (const [name, queue] of this.#queues) {
      // Those that come back are not asked twice.
      const before = [...queue.waiters];
      for (const waiter of before) {
        if (!queue.waiters.delete(waiter)) continue;
        this.#countActive(name, -1);
        waiter.onLookAgain();
      }
      this.#dropEmpty(name, queue);
    }
  }

  #onTimer(): void {
    this.look();
    const nowMs = this.#options.clock.monotonic();
    for (const [name, queue] of this.#queues) {
      for (const { waitUntilMs } of queue.waiters) {
        if (waitUntilMs > nowMs) continue;
        this.#failAll(name, queue);
        break;
      }
    }
    if (this.#waiting > 0) this.#timer.arm(LOOK_MS);
  }

  #failAll(name: string, queue: Queue): void {
    queue.failsFast = true;
    for (const waiter of queue.waiters) {
      queue.waiters.delete(waiter);
      this.#countActive(name, -1);
      this.#count(name, "timeout");
      waiter.onEndpointTimeout();
    }
  }

  #createQueue(name: string): Queue {
    // Clusters come and go: of one that is gone nobody need know that it failed.
    for (const [other, { waiters }] of this.#queues)
      if (waiters.size === 0 && this.#options.configuration.current.cluster(other) === undefined)
        this.#queues.delete(other);
    const queue: Queue = { waiters: new Set(), failsFast: false };
    this.#queues.set(name, queue);
    // What changed just before is looked at, too.
    this.#epoch = Number.NaN;
    return queue;
  }

  #dropEmpty(name: string, queue: Queue): void {
    if (queue.waiters.size === 0 && !queue.failsFast && this.#queues.get(name) === queue)
      this.#queues.delete(name);
  }

  #refuse(name: string, refusal: WaitRefusal): WaitRefusal {
    this.#count(name, refusal === "full" ? "full" : "fail_fast");
    return refusal;
  }

  #count(name: string, outcome: string): void {
    this.#outcomes.with(["cluster_name", name, "outcome", outcome]).inc();
  }

  #countActive(name: string, by: 1 | -1): void {
    this.#waiting += by;
    this.#active.with(["cluster_name", name]).add(by);
  }
}
