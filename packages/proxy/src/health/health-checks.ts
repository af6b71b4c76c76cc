import { TimerWheel, type Clock, type Disposable, type Logger, type Timer } from "@tulle/base";
import {
  nextCheckMs,
  UNHEALTHY_CHECK,
  UNHEALTHY_DEGRADED,
  type ClusterPart,
  type EndpointPart,
  type SlotTable,
  type SnapshotSource,
  type Transition,
} from "@tulle/engine";

import type { ProxyLimits } from "../limits/proxy-limits.js";
import type { MetricsRegistry } from "../telemetry/metrics.js";
import { OriginatedContexts } from "../tls/originated-contexts.js";
import type { WorkloadTls } from "../tls/workload-tls.js";
import { CheckMetrics } from "./check-metrics.js";
import { CheckedEndpoint, checkKey } from "./checked-endpoint.js";
import { failureType, type FailureType, type HealthEventLog } from "./health-event-log.js";
import { IMMEDIATE_FAIL_HEADER, type ProbeOutcome } from "./probe.js";
import { Prober } from "./prober.js";

/** Checks under way at once; others wait their turn. */
const MAX_RUNNING = 64;
const TICK_MS = 20;
/** Changes of the configuration come in bursts: one look for all. */
const AFTER_CHANGE_MS = 100;
/** Who cannot be asked for want of a certificate of our own is not to blame: it is looked again after. */
const WITHOUT_CERTIFICATE_MS = 200;

export interface HealthChecksOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly load: SlotTable;
  readonly configuration: SnapshotSource;
  readonly tls: WorkloadTls;
  readonly limits: ProxyLimits;
  readonly events: HealthEventLog;
  /** Numbers in [0, 1), for jitter. */
  readonly random: () => number;
  /** A check of an endpoint passed. */
  readonly onPassed: (cluster: ClusterPart, endpoint: EndpointPart) => void;
}

/** Why an endpoint's check fails, for people. */
export interface CheckFailure {
  readonly reason: string;
  readonly sinceMs: number;
}

/**
 * Active health checks of the endpoints of all clusters that want it, in the one thread that decides. An endpoint that
 * several clusters have is asked once, unless they ask differently; then each of them must be content.
 */
export class HealthChecks implements Disposable {
  readonly #options: HealthChecksOptions;
  readonly #wheel: TimerWheel;
  readonly #metrics: CheckMetrics;
  readonly #checked = new Map<string, CheckedEndpoint>();
  readonly #bySlot = new Map<number, Set<CheckedEndpoint>>();
  /** Those whose time has come, in order. */
  readonly #due = new Set<CheckedEndpoint>();
  #running = 0;
  /** Made when there is something to check. */
  #prober: Prober | undefined;
  #refreshTimer: Timer | undefined;

  constructor(options: HealthChecksOptions) {
    this.#options = options;
    this.#wheel = new TimerWheel(options.clock, TICK_MS);
    this.#metrics = new CheckMetrics(options.metrics);
    options.metrics.onCollect(() => this.#countEndpoints());
  }

  onConfigurationChanged(): void {
    this.#refreshTimer ??= this.#options.clock.setTimeout(() => this.#refresh(), AFTER_CHANGE_MS, {
      keepAlive: false,
    });
  }

  /** An endpoint said in an answer to a request of `cluster` that it is not well. */
  told(cluster: string, slot: number): void {
    for (const checked of this.#bySlot.get(slot) ?? []) {
      if (!checked.clusterNames.includes(cluster) || !checked.state.healthy) continue;
      this.#metrics.failure(checked.clusterNames, "told");
      this.#fail(checked, `it answered a request with ${IMMEDIATE_FAIL_HEADER}`, true, "PASSIVE");
    }
  }

  /** Why the endpoint of a slot is held to be down; undefined when it is not. */
  failureOf(slot: number): CheckFailure | undefined {
    for (const { state, reason, sinceMs } of this.#bySlot.get(slot) ?? []) {
      if (!state.healthy) return { reason, sinceMs };
    }
    return undefined;
  }

  [Symbol.dispose](): void {
    this.#refreshTimer?.[Symbol.dispose]();
    for (const checked of this.#checked.values()) checked.stop();
    this.#checked.clear();
    this.#due.clear();
    this.#prober?.[Symbol.dispose]();
    this.#wheel[Symbol.dispose]();
  }

  #refresh(): void {
    this.#refreshTimer = undefined;
    const wanted = this.#wanted();
    for (const checked of this.#checked.values()) {
      if (wanted.has(checked.key)) continue;
      this.#forget(checked);
    }
    for (const [key, { cluster, endpoint, clusters }] of wanted) {
      const known = this.#checked.get(key);
      if (known === undefined) this.#begin(key, cluster, endpoint, clusters);
      else known.clusters = clusters;
    }
    this.#prober?.onConfigurationChanged([...this.#checked.values()].map(({ probe }) => probe.endpoint));
  }

  #wanted(): Map<string, { cluster: ClusterPart; endpoint: EndpointPart; clusters: ClusterPart[] }> {
    const wanted = new Map<
      string,
      { cluster: ClusterPart; endpoint: EndpointPart; clusters: ClusterPart[] }
    >();
    for (const cluster of this.#options.configuration.current.clusters()) {
      const settings = cluster.healthCheck;
      if (settings === undefined) continue;
      for (const endpoint of cluster.endpoints) {
        const key = checkKey(cluster, endpoint, settings);
        const known = wanted.get(key);
        if (known === undefined) wanted.set(key, { cluster, endpoint, clusters: [cluster] });
        else known.clusters.push(cluster);
      }
    }
    return wanted;
  }

  #begin(key: string, cluster: ClusterPart, endpoint: EndpointPart, clusters: readonly ClusterPart[]): void {
    const settings = cluster.healthCheck;
    if (settings === undefined) return;
    const { clock, random } = this.#options;
    const checked = new CheckedEndpoint(key, cluster, endpoint, settings, clock.now());
    checked.clusters = clusters;
    checked.timer = this.#wheel.timer(() => this.#onDue(checked));
    this.#checked.set(key, checked);
    const others = this.#bySlot.get(endpoint.slot);
    if (others === undefined) this.#bySlot.set(endpoint.slot, new Set([checked]));
    else others.add(checked);
    if (settings.initialJitterMs > 0) checked.timer.arm(settings.initialJitterMs * random());
    else this.#onDue(checked);
  }

  #forget(checked: CheckedEndpoint): void {
    const { slot } = checked.endpoint;
    this.#checked.delete(checked.key);
    this.#due.delete(checked);
    if (checked.running !== undefined) this.#running--;
    checked.stop();
    const others = this.#bySlot.get(slot);
    others?.delete(checked);
    this.#mark(slot);
    if (others?.size === 0) this.#bySlot.delete(slot);
    this.#runDue();
  }

  #onDue(checked: CheckedEndpoint): void {
    this.#due.add(checked);
    this.#runDue();
  }

  #runDue(): void {
    for (const checked of this.#due) {
      if (this.#running >= MAX_RUNNING) return;
      this.#due.delete(checked);
      this.#run(checked);
    }
  }

  #run(checked: CheckedEndpoint): void {
    const { tls, limits } = this.#options;
    if (checked.endpoint.tls?.kind === "mesh" && tls.svid === undefined) {
      checked.timer?.arm(WITHOUT_CERTIFICATE_MS);
      return;
    }
    this.#prober ??= new Prober({
      wheel: this.#wheel,
      tls,
      limits,
      originated: new OriginatedContexts(this.#options),
    });
    this.#running++;
    this.#metrics.attempt(checked.clusterNames);
    checked.running = this.#prober.run(checked.probe, (outcome) => {
      checked.running = undefined;
      this.#running--;
      this.#take(checked, outcome);
      this.#runDue();
    });
  }

  #take(checked: CheckedEndpoint, outcome: ProbeOutcome): void {
    const { settings, state } = checked;
    let transition: Transition;
    if (outcome.kind === "passed") transition = this.#pass(checked, outcome.degraded);
    else {
      this.#metrics.failure(checked.clusterNames, outcome.kind);
      const atOnce = outcome.kind === "failed" && outcome.atOnce;
      transition = this.#fail(checked, outcome.reason, atOnce, failureType(outcome));
    }
    const { random } = this.#options;
    const waitMs = nextCheckMs(settings, state.healthy, transition, this.#hasTraffic(checked), random);
    checked.timer?.arm(waitMs);
  }

  #pass(checked: CheckedEndpoint, degraded: boolean): Transition {
    const { settings, state, endpoint } = checked;
    this.#metrics.success(checked.clusterNames);
    const { events } = this.#options;
    const { first } = state;
    const transition = state.passed(settings);
    if (state.healthy) checked.reason = "";
    if (transition === "changed" || first) events.added(checked, first);
    if (settings.logsSuccesses) events.passed(checked);
    if (degraded !== checked.degraded) events.degraded(checked, degraded);
    checked.degraded = degraded;
    this.#mark(endpoint.slot);
    if (transition === "changed") this.#changed(checked);
    else if (settings.logsSuccesses) this.#options.logger.info("health check passed", fieldsOf(checked));
    if (state.healthy) for (const cluster of checked.clusters) this.#options.onPassed(cluster, endpoint);
    return transition;
  }

  #fail(checked: CheckedEndpoint, reason: string, atOnce: boolean, type: FailureType): Transition {
    const { settings, state, endpoint } = checked;
    const { events } = this.#options;
    const { first } = state;
    checked.reason = reason;
    const transition = state.failed(settings, atOnce);
    if (transition === "changed") events.ejected(checked, type);
    if (first || settings.logsFailures) events.failed(checked, type, first);
    this.#mark(endpoint.slot);
    if (transition === "changed") this.#changed(checked);
    else if (settings.logsFailures)
      this.#options.logger.warn("health check failed", { ...fieldsOf(checked), reason });
    return transition;
  }

  #changed(checked: CheckedEndpoint): void {
    const { logger, clock } = this.#options;
    checked.sinceMs = clock.now();
    if (checked.state.healthy) logger.warn("endpoint is healthy again", fieldsOf(checked));
    else logger.warn("endpoint is unhealthy", { ...fieldsOf(checked), reason: checked.reason });
  }

  /** Brings the load table in line with what the checks of a slot say. */
  #mark(slot: number): void {
    let down = false;
    let degraded = false;
    for (const checked of this.#bySlot.get(slot) ?? []) {
      if (!checked.state.healthy) down = true;
      if (checked.degraded) degraded = true;
    }
    const { load } = this.#options;
    load.setUnhealthy(slot, UNHEALTHY_CHECK, down);
    load.setUnhealthy(slot, UNHEALTHY_DEGRADED, degraded);
  }

  /** Whether a cluster that it is checked for has ever sent a request to one of its endpoints. */
  #hasTraffic({ clusters }: CheckedEndpoint): boolean {
    const { load } = this.#options;
    return clusters.some(({ endpoints }) => endpoints.some(({ slot }) => load.latencyMs(slot) > 0));
  }

  #countEndpoints(): void {
    const counts = new Map<string, { healthy: number; degraded: number }>();
    for (const checked of this.#checked.values()) {
      for (const name of checked.clusterNames) {
        let count = counts.get(name);
        if (count === undefined) counts.set(name, (count = { healthy: 0, degraded: 0 }));
        if (checked.state.healthy) count.healthy++;
        if (checked.degraded) count.degraded++;
      }
    }
    for (const [name, { healthy, degraded }] of counts) this.#metrics.endpoints(name, healthy, degraded);
  }
}

function fieldsOf({ clusters, endpoint, settings }: CheckedEndpoint): Record<string, unknown> {
  return { cluster: clusters[0]?.name ?? "", endpoint: endpoint.key, check: settings.probe.kind };
}
