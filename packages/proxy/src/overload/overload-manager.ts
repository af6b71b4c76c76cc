import { TokenBucket, type Clock, type Disposable, type Timer } from "@tulle/base";
import type { HeaderList } from "@tulle/http";

import type { LimitName, LimitValues } from "../limits/limit-table.js";
import type { MetricsRegistry } from "../telemetry/metrics.js";
import { isHealthCheck } from "./health-check-request.js";
import { LateTurns } from "./late-turns.js";
import { MemoryRelief, type RelievableConnection } from "./memory-relief.js";
import { EventLoopLag, readMemoryUse, type MemoryUse } from "./monitors.js";
import { pressureOf, type Thresholds } from "./pressure.js";

/** How often the monitors are read (Envoy's refresh interval), and how often under pressure: to be right soon, either way. */
const REFRESH_MS = 250;
const PRESSED_REFRESH_MS = 50;
/** How often connections are looked through for memory, while it is short. */
const RELIEF_MS = 250;

/** Refusals of a second that are told at length. */
const TOLD_PER_SECOND = 20;

/** What becomes of a request. */
export const enum Verdict {
  GO_ON,
  REFUSE,
  /** It is enough when the client is told. */
  REFUSE_QUIETLY,
}

/** What exchanges and connections ask. Costs next to nothing while there is no pressure. */
export interface OverloadState {
  /** Share of the new requests that are refused whatever turn they come in, 0 to 1. */
  readonly pressure: number;
  /** Connections are closed after their exchange. */
  readonly closesConnections: boolean;
  /** New connections are closed as they come. */
  readonly refusesConnections: boolean;
  /** What becomes of a request with these fields, whose client has shown this identity or "". Once for each: it counts. */
  judge(headers: HeaderList, peerSpiffeId: string): Verdict;
  /** A request was sent on, and it was answered or given up. */
  onSent(): void;
  onAnswered(): void;
  /** A client's connection is there, and is gone: it may be asked for memory. */
  onConnected(connection: RelievableConnection): void;
  onDisconnected(connection: RelievableConnection): void;
}

/** The state of a proxy that nobody watches. */
export const CALM: OverloadState = {
  pressure: 0,
  closesConnections: false,
  refusesConnections: false,
  judge: () => Verdict.GO_ON,
  onSent: () => undefined,
  onAnswered: () => undefined,
  onConnected: () => undefined,
  onDisconnected: () => undefined,
};

export interface OverloadOptions {
  readonly clock: Clock;
  /** The same, as it was when the turn of the event loop began. Default: turns take no time. */
  readonly turn?: Clock;
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
  /** Where idle timeouts begin to shrink, and where they are at their least. */
  readonly trim: Thresholds;
  pressure: number;
  trimmed: number;
}

/**
 * Keeps a thread alive and quick that is asked for more than it can do (Envoy's overload manager). It watches how late
 * timers fire and how full heap and memory are; between its two thresholds, each of these has a growing share of the new
 * requests refused, and at the upper one all. Where it is memory that is short, connections are closed after their
 * exchange from halfway on, and new ones at once at the upper threshold. A thread that is late would only be later for
 * it: its clients would come back with handshakes. Before any of that idle timeouts shrink, and beyond the first threshold the
 * streams that hold the most memory are reset.
 *
 * Between two looks at the monitors `LateTurns` keeps the thread from becoming late in the first place.
 */
export class OverloadManager implements OverloadState, Disposable {
  pressure = 0;
  closesConnections = false;
  refusesConnections = false;
  readonly #clock: Clock;
  readonly #turns: LateTurns;
  readonly #told: TokenBucket;
  readonly #options: OverloadOptions;
  readonly #lag: EventLoopLag;
  readonly #monitors: { readonly lag: Monitor; readonly heap: Monitor; readonly memory: Monitor };
  readonly #refused;
  readonly #relief: MemoryRelief;
  readonly #resets;
  /** Of how much idle timeouts are taken away, 0 to 1, and what of the heaviest streams is reset. */
  #trimmed = 0;
  #resetting = 0;
  #relievedAtMs = Number.NEGATIVE_INFINITY;
  #dueAt = 0;
  #timer: Timer;
  /** What is refused adds up to it: so that exactly the share is, evenly. */
  #credit = 0;
  /** Requests refused for late turns, in all and when the monitors were read last. */
  #late = 0;
  #lateBefore = 0;
  #isLate = false;

  constructor(options: OverloadOptions) {
    const { clock, limits, metrics } = options;
    this.#options = options;
    this.#clock = clock;
    const { turn = clock } = options;
    this.#turns = new LateTurns(clock, turn, limits["overload.lagShedMs"]);
    this.#told = new TokenBucket(TOLD_PER_SECOND, TOLD_PER_SECOND, turn);
    this.#relief = new MemoryRelief(limits["overload.resetStreamBytes"]);
    const trimFrom = limits["overload.reduceTimeoutsPercent"];
    const monitor = (name: string, from: LimitName, saturated: LimitName, memory: boolean): Monitor => ({
      name,
      limit: from,
      thresholds: { from: limits[from], saturated: Math.max(limits[from], limits[saturated]) },
      memory,
      trim: memory
        ? { from: trimFrom, saturated: Math.max(trimFrom, limits[from]) }
        : { from: Number.POSITIVE_INFINITY, saturated: Number.POSITIVE_INFINITY },
      pressure: 0,
      trimmed: 0,
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
    this.#resets = metrics
      .counter(
        "envoy_overload_reset_high_memory_stream_count",
        "Requests that were ended because they held much memory when it was short.",
      )
      .with([]);
    this.#showIn(metrics);
    this.#timer = this.#arm();
  }

  judge(headers: HeaderList, peerSpiffeId: string): Verdict {
    if (!this.#turns.isTooMuch() && this.pressure === 0) return Verdict.GO_ON;
    if (isHealthCheck(headers, peerSpiffeId) || !this.#isShed()) return Verdict.GO_ON;
    return this.#told.take() ? Verdict.REFUSE : Verdict.REFUSE_QUIETLY;
  }

  onSent(): void {
    this.#turns.onSent();
  }

  onAnswered(): void {
    this.#turns.onAnswered();
  }

  onConnected(connection: RelievableConnection): void {
    this.#relief.add(connection);
  }

  onDisconnected(connection: RelievableConnection): void {
    this.#relief.remove(connection);
  }

  #isShed(): boolean {
    if (this.#turns.saidTooMuch) this.#late++;
    else {
      this.#credit += this.pressure;
      if (this.#credit < 1) return false;
      this.#credit -= 1;
    }
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
    this.#judgeTurns();
    this.#trimmed = Math.max(monitors.heap.trimmed, monitors.memory.trimmed);
    this.#resetting = this.#options.limits["overload.resetStreamBytes"] > 0 ? memoryPressure : 0;
    this.#relieve();
    this.#timer = this.#arm();
  }

  #judge(monitor: Monitor, value: number): void {
    const before = monitor.pressure;
    monitor.pressure = pressureOf(value, monitor.thresholds);
    monitor.trimmed = pressureOf(value, monitor.trim);
    if (before === 0 && monitor.pressure > 0) this.#options.onOverload(monitor.limit, Math.round(value));
  }

  /** Gets memory back from clients. */
  #relieve(): void {
    if (this.#trimmed === 0 && this.#resetting === 0) return;
    const now = this.#clock.monotonic();
    if (now - this.#relievedAtMs < RELIEF_MS) return;
    this.#relievedAtMs = now;
    const { limits, onOverload } = this.#options;
    if (this.#trimmed > 0) {
      const least = limits["overload.leastTimeoutPercent"] / 100;
      this.#relief.endIdle(1 - this.#trimmed * (1 - least));
    }
    const resets = this.#relief.resetHeaviest(this.#resetting);
    if (resets === 0) return;
    this.#resets.inc(resets);
    onOverload("overload.resetStreamBytes", limits["overload.resetStreamBytes"]);
  }

  #judgeTurns(): void {
    const wasLate = this.#isLate;
    this.#isLate = this.#late > this.#lateBefore;
    this.#lateBefore = this.#late;
    const { limit, thresholds, pressure } = this.#monitors.lag;
    if (this.#isLate && !wasLate && pressure === 0) this.#options.onOverload(limit, thresholds.from);
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
      active.with(["action", "stop_accepting_requests"]).set(this.pressure > 0 || this.#isLate ? 1 : 0);
      scale.with(["action", "reduce_timeouts"]).set(Math.round(100 * this.#trimmed));
      active.with(["action", "reduce_timeouts"]).set(this.#trimmed > 0 ? 1 : 0);
      scale.with(["action", "reset_high_memory_stream"]).set(Math.round(100 * this.#resetting));
      active.with(["action", "reset_high_memory_stream"]).set(this.#resetting > 0 ? 1 : 0);
      active.with(["action", "disable_http_keepalive"]).set(this.closesConnections ? 1 : 0);
      active.with(["action", "reject_incoming_connections"]).set(this.refusesConnections ? 1 : 0);
    });
  }
}
