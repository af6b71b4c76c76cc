import type { Clock, Disposable, Timer } from "@tulle/base";

import type { LimitName, LimitValues } from "../limits/limit-table.js";
import type { MetricsRegistry } from "../telemetry/metrics.js";
import { EventLoopLag, readMemoryUse, type MemoryUse } from "./monitors.js";
import { pressureOf, type Thresholds } from "./pressure.js";

/** How often the monitors are read (Envoy's refresh interval), and how often under pressure: to be right soon, either way. */
const REFRESH_MS = 250;
const PRESSED_REFRESH_MS = 50;

/** What exchanges and connections ask. Reading it costs a field. */
export interface OverloadState {
  /** Share of the new requests that are refused, 0 to 1. */
  readonly pressure: number;
  /** Connections are closed after their exchange. */
  readonly closesConnections: boolean;
  /** New connections are closed as they come. */
  readonly refusesConnections: boolean;
  /** Whether one more request is refused. Ask only under pressure: each call counts. */
  sheds(): boolean;
}

/** The state of a proxy that nobody watches. */
export const CALM: OverloadState = {
  pressure: 0,
  closesConnections: false,
  refusesConnections: false,
  sheds: () => false,
};

export interface OverloadOptions {
  readonly clock: Clock;
  readonly metrics: MetricsRegistry;
  readonly limits: LimitValues;
  /** Requests are refused for this limit from now on. */
  readonly onOverload: (limit: LimitName, value: number) => void;
  /** Default: this thread's and its process'. */
  readonly readMemory?: () => MemoryUse;
}

interface Monitor {
  readonly name: string;
  readonly limit: LimitName;
  readonly thresholds: Thresholds;
  /** It is memory that is short: what a new connection costs cannot be had. */
  readonly memory: boolean;
  pressure: number;
}

/**
 * Keeps a thread alive and quick that is asked for more than it can do (Envoy's overload manager). It watches how late
 * timers fire and how full heap and memory are; between its two thresholds, each of these has a growing share of the new
 * requests refused, and at the upper one all. Where it is memory that is short, connections are closed after their
 * exchange from halfway on, and new ones at once at the upper threshold. A thread that is late would only be later for
 * it: its clients would come back with handshakes.
 */
export class OverloadManager implements OverloadState, Disposable {
  pressure = 0;
  closesConnections = false;
  refusesConnections = false;
  readonly #clock: Clock;
  readonly #options: OverloadOptions;
  readonly #lag: EventLoopLag;
  readonly #monitors: { readonly lag: Monitor; readonly heap: Monitor; readonly memory: Monitor };
  readonly #refused;
  #dueAt = 0;
  #timer: Timer;
  /** What is refused adds up to it: so that exactly the share is, evenly. */
  #credit = 0;

  constructor(options: OverloadOptions) {
    const { clock, limits, metrics } = options;
    this.#options = options;
    this.#clock = clock;
    const monitor = (name: string, from: LimitName, saturated: LimitName, memory: boolean): Monitor => ({
      name,
      limit: from,
      thresholds: { from: limits[from], saturated: Math.max(limits[from], limits[saturated]) },
      memory,
      pressure: 0,
    });
    this.#monitors = {
      lag: monitor("event_loop_lag", "overload.lagShedMs", "overload.lagSaturatedMs", false),
      heap: monitor("heap", "overload.heapShedPercent", "overload.heapSaturatedPercent", true),
      memory: monitor("memory", "overload.memoryShedPercent", "overload.memorySaturatedPercent", true),
    };
    this.#lag = new EventLoopLag(2 * this.#monitors.lag.thresholds.saturated);
    this.#refused = metrics
      .counter("envoy_http_downstream_rq_overload_close", "Requests that were refused because of overload.")
      .with([]);
    this.#showIn(metrics);
    this.#timer = this.#arm();
  }

  sheds(): boolean {
    this.#credit += this.pressure;
    if (this.#credit < 1) return false;
    this.#credit -= 1;
    this.#refused.inc();
    return true;
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
  }

  #arm(): Timer {
    const delayMs = this.pressure > 0 ? PRESSED_REFRESH_MS : REFRESH_MS;
    this.#dueAt = this.#clock.monotonic() + delayMs;
    return this.#clock.setTimeout(() => this.#refresh(), delayMs, { keepAlive: false });
  }

  #refresh(): void {
    this.#lag.observe(this.#clock.monotonic() - this.#dueAt);
    const { heap, memory } = (this.#options.readMemory ?? readMemoryUse)();
    const monitors = this.#monitors;
    this.#judge(monitors.lag, this.#lag.ms);
    this.#judge(monitors.heap, 100 * heap);
    this.#judge(monitors.memory, 100 * memory);
    const memoryPressure = Math.max(monitors.heap.pressure, monitors.memory.pressure);
    this.pressure = Math.max(monitors.lag.pressure, memoryPressure);
    this.closesConnections = memoryPressure >= 0.5;
    this.refusesConnections = memoryPressure === 1;
    if (this.pressure === 0) this.#credit = 0;
    this.#timer = this.#arm();
  }

  #judge(monitor: Monitor, value: number): void {
    const before = monitor.pressure;
    monitor.pressure = pressureOf(value, monitor.thresholds);
    if (before === 0 && monitor.pressure > 0) this.#options.onOverload(monitor.limit, Math.round(value));
  }

  #showIn(metrics: MetricsRegistry): void {
    const pressure = metrics.gauge(
      "envoy_overload_pressure",
      "How far a resource is between its thresholds, percent.",
    );
    const lag = metrics.gauge("tulle_event_loop_lag_milliseconds", "How late timers fire, smoothed.");
    const active = metrics.gauge("envoy_overload_active", "1 while an action of the overload manager is on.");
    const scale = metrics.gauge("envoy_overload_scale_percent", "How far an action is taken, percent.");
    metrics.onCollect(() => {
      for (const monitor of Object.values(this.#monitors))
        pressure.with(["resource", monitor.name]).set(Math.round(100 * monitor.pressure));
      lag.with([]).set(Math.round(this.#lag.ms));
      scale.with(["action", "stop_accepting_requests"]).set(Math.round(100 * this.pressure));
      active.with(["action", "stop_accepting_requests"]).set(this.pressure > 0 ? 1 : 0);
      active.with(["action", "disable_http_keepalive"]).set(this.closesConnections ? 1 : 0);
      active.with(["action", "reject_incoming_connections"]).set(this.refusesConnections ? 1 : 0);
    });
  }
}
