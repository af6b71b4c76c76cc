import { FakeClock } from "@tulle/testkit";
import type { Clock } from "@tulle/base";
import { expect, test } from "vitest";

import { parseLimits, ProxyLimits } from "../limits/proxy-limits.js";
import { Gauge, MetricsRegistry } from "../telemetry/metrics.js";
import { EventLoopLag } from "./monitors.js";
import { OverloadManager, Verdict } from "./overload-manager.js";
import { pressureOf } from "./pressure.js";

const LIMITS = [
  "overload.lagShedMs=100",
  "overload.lagSaturatedMs=500",
  "overload.heapShedPercent=80",
  "overload.heapSaturatedPercent=90",
];

/** A manager whose timers fire as late as the test says. */
function managed() {
  let now = 0;
  let fire: (() => void) | undefined;
  let due = 0;
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    setTimeout: (callback, delayMs) => {
      fire = callback;
      due = now + delayMs;
      return { [Symbol.dispose]: () => (fire = undefined) };
    },
    setInterval: () => {
      throw new Error("not used");
    },
  };
  const memory = { heap: 0.1, memory: 0 };
  const overloaded: [string, number][] = [];
  const metrics = new MetricsRegistry();
  const manager = new OverloadManager({
    clock,
    metrics,
    limits: new ProxyLimits(parseLimits(LIMITS)).trusted.values,
    onOverload: (limit, value) => overloaded.push([limit, value]),
    readMemory: () => memory,
  });
  const tick = (lateMs = 0): void => {
    now = due + lateMs;
    fire?.();
  };
  const gauge = (name: string, label: string): number | undefined => {
    for (const series of metrics.series()) {
      const { instrument, labels } = series;
      if (series.name === name && labels[1] === label && instrument instanceof Gauge) return instrument.value;
    }
    return undefined;
  };
  return { manager, memory, tick, overloaded, gauge, armed: () => fire !== undefined };
}

const shedOf = (manager: OverloadManager, requests: number): number =>
  Array.from({ length: requests }, () => manager.judge([], "")).filter((each) => each !== Verdict.GO_ON)
    .length;

test("pressure grows from one threshold to the other", () => {
  const thresholds = { from: 10, saturated: 20 };
  expect([0, 10, 15, 20, 30].map((value) => pressureOf(value, thresholds))).toEqual([0, 0, 0.5, 1, 1]);
  expect(pressureOf(11, { from: 10, saturated: 10 })).toBe(1);
});

test("lag is smoothed, and no single sleep counts for long", () => {
  const lag = new EventLoopLag(1000);
  lag.observe(3_600_000);
  expect(lag.ms).toBe(500);
  lag.observe(-5);
  lag.observe(0);
  expect(lag.ms).toBe(125);
});

test("a calm proxy refuses nothing; one that is late, as much as it is late", () => {
  const { manager, tick, overloaded, gauge } = managed();
  for (let time = 0; time < 5; time++) tick(5);
  expect(manager.pressure).toBe(0);
  for (let time = 0; time < 20; time++) tick(300);
  expect(manager.pressure).toBeCloseTo(0.5, 3);
  expect(shedOf(manager, 100)).toBeGreaterThanOrEqual(49);
  expect(gauge("envoy_overload_pressure", "event_loop_lag")).toBe(50);
  expect(gauge("envoy_overload_active", "stop_accepting_requests")).toBe(1);
  expect([manager.closesConnections, manager.refusesConnections]).toEqual([false, false]);
  for (let time = 0; time < 20; time++) tick(5000);
  expect(shedOf(manager, 10)).toBe(10);
  // Well again within a second.
  for (let time = 0; time < 4; time++) tick();
  expect(manager.pressure).toBe(0);
  expect(overloaded.map(([limit]) => limit)).toEqual(["overload.lagShedMs"]);
});

test("without memory connections go, too: at halfway those that are there, then those that come", () => {
  const { manager, memory, tick } = managed();
  const at = (heap: number) => {
    memory.heap = heap;
    tick();
    return [manager.pressure > 0, manager.closesConnections, manager.refusesConnections];
  };
  expect(at(0.79)).toEqual([false, false, false]);
  expect(at(0.82)).toEqual([true, false, false]);
  expect(at(0.86)).toEqual([true, true, false]);
  expect(at(0.95)).toEqual([true, true, true]);
  expect(at(0.5)).toEqual([false, false, false]);
});

test("idle timeouts shrink before anything is refused, and connections are looked through four times a second", () => {
  const { manager, memory, tick, gauge } = managed();
  const shares: number[] = [];
  const connection = { endIdle: (share: number) => shares.push(share), visitStreams: () => undefined };
  manager.onConnected(connection);
  const at = (share: number): void => {
    memory.memory = share;
    tick();
  };
  at(0.75);
  expect(shares).toEqual([]);
  // From 80 % to 90 %, to a tenth of the timeouts.
  at(0.85);
  expect(shares.pop()).toBeCloseTo(0.55);
  expect(manager.pressure).toBe(0);
  expect(gauge("envoy_overload_scale_percent", "reduce_timeouts")).toBe(50);
  expect(gauge("envoy_overload_active", "reset_high_memory_stream")).toBe(0);
  at(0.935);
  expect(shares.pop()).toBeCloseTo(0.1);
  expect(gauge("envoy_overload_active", "reduce_timeouts")).toBe(1);
  expect(gauge("envoy_overload_scale_percent", "reset_high_memory_stream")).toBe(50);
  // Under pressure the monitors are read every 50 ms.
  for (let time = 0; time < 4; time++) tick();
  expect(shares).toEqual([]);
  tick();
  expect(shares.length).toBe(1);
  manager.onDisconnected(connection);
  for (let time = 0; time < 10; time++) tick();
  expect(shares.length).toBe(1);
});

test("its timer ends with it", async () => {
  const { manager, armed } = managed();
  expect(armed()).toBe(true);
  manager[Symbol.dispose]();
  expect(armed()).toBe(false);
  const clock = new FakeClock();
  const other = new OverloadManager({
    clock,
    metrics: new MetricsRegistry(),
    limits: new ProxyLimits().trusted.values,
    onOverload: () => undefined,
  });
  await clock.advance(10_000);
  expect(other.pressure).toBe(0);
  other[Symbol.dispose]();
  expect(clock.pending).toBe(0);
});
