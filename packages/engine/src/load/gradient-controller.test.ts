import { expect, test } from "vitest";
import { GradientController, type GradientSettings } from "./gradient-controller.js";

const SETTINGS: GradientSettings = {
  percentile: 0.5,
  updateIntervalMs: 100,
  maxLimit: 1000,
  minRttIntervalMs: 60_000,
  jitter: 0,
  minRttRequests: 10,
  minLimit: 3,
  buffer: 0.25,
};

/** A service that takes `capacity` requests at a time, each `serviceMs`; more wait. Clients keep `offered` going. */
class Simulation {
  now = 0;
  refused = 0;
  readonly controller: GradientController;
  #ends: number[] = [];
  #pending: { readonly end: number; readonly took: number }[] = [];

  constructor(settings: Partial<GradientSettings> = {}) {
    this.controller = new GradientController("a", { ...SETTINGS, ...settings }, 7);
  }

  run(
    forMs: number,
    { offered, capacity, serviceMs }: { offered: number; capacity: number; serviceMs: number },
  ): void {
    const until = this.now + forMs;
    for (; this.now < until; this.now++) {
      this.#ends = this.#ends.filter((end) => end > this.now);
      while (this.#ends.length < offered) {
        if (!this.controller.admits()) {
          this.refused++;
          break;
        }
        const waits = Math.floor(this.#ends.length / capacity) * serviceMs;
        this.controller.onBegin(this.now);
        const took = serviceMs + waits;
        const end = this.now + took;
        this.#ends.push(end);
        this.#pending.push({ end, took });
      }
      this.#pending = this.#pending.filter(({ end, took }) => {
        if (end > this.now + 1) return true;
        this.controller.onEnd(end, { durationMs: took, status: 200, grpc: false, grpcStatus: 0, cut: false });
        return false;
      });
    }
  }
}

test("the limit begins at the lowest, until the unburdened service is measured", () => {
  const { controller } = new Simulation();
  expect([controller.limit, controller.measuring, controller.minRttMs]).toEqual([3, true, 0]);
  for (let request = 0; request < 10; request++) {
    controller.onBegin(request);
    controller.onEnd(request + 20, { durationMs: 20, status: 200, grpc: false, grpcStatus: 0, cut: false });
  }
  expect(controller.measuring).toBe(false);
  expect(controller.minRttMs).toBeCloseTo(20, 0);
});

test("the limit rises while requests do not wait for each other, and never above the highest", () => {
  const simulation = new Simulation({ maxLimit: 200 });
  simulation.run(3000, { offered: 400, capacity: 1000, serviceMs: 10 });
  expect(simulation.controller.limit).toBe(200);
  expect(simulation.refused).toBeGreaterThan(0);
});

test("the limit stays near what the service takes at once, whatever is offered", () => {
  const simulation = new Simulation();
  simulation.run(10_000, { offered: 500, capacity: 20, serviceMs: 20 });
  expect(simulation.controller.limit).toBeGreaterThan(10);
  expect(simulation.controller.limit).toBeLessThan(80);
});

test("a service that becomes slow is measured anew when the limit stays at the lowest", () => {
  const simulation = new Simulation();
  simulation.run(2000, { offered: 50, capacity: 1000, serviceMs: 10 });
  expect(simulation.controller.minRttMs).toBeCloseTo(10, 0);
  simulation.run(6000, { offered: 50, capacity: 1000, serviceMs: 100 });
  expect(simulation.controller.minRttMs).toBeGreaterThan(90);
});

test("the limit before comes back after measuring, which happens once in the interval", () => {
  const simulation = new Simulation({ minRttIntervalMs: 5000 });
  simulation.run(4000, { offered: 50, capacity: 1000, serviceMs: 10 });
  const before = simulation.controller.limit;
  expect(before).toBeGreaterThan(50);
  let measured = false;
  for (let step = 0; step < 3000; step++) {
    simulation.run(1, { offered: 50, capacity: 1000, serviceMs: 10 });
    if (simulation.controller.measuring) {
      measured = true;
      expect(simulation.controller.limit).toBe(3);
    }
  }
  expect(measured).toBe(true);
  expect(simulation.controller.measuring).toBe(false);
  expect(simulation.controller.limit).toBeGreaterThanOrEqual(before);
});

test("who left early and who began before the measuring are not measured", () => {
  const controller = new GradientController(
    "a",
    { ...SETTINGS, minRttRequests: 2, minRttIntervalMs: 1000 },
    0,
  );
  const end = (now: number, durationMs: number, cut = false) =>
    controller.onEnd(now, { durationMs, status: 200, grpc: false, grpcStatus: 0, cut });
  controller.onBegin(0);
  end(1, 1, true);
  expect(controller.inFlight).toBe(0);
  for (const now of [10, 20]) {
    controller.onBegin(now);
    end(now + 8, 8);
  }
  expect(controller.minRttMs).toBeCloseTo(8, 0);
  // One that is slow, begun before the second measuring, ends in it.
  controller.onBegin(500);
  controller.onBegin(1100);
  expect(controller.measuring).toBe(true);
  end(1200, 700);
  end(1210, 4);
  expect(controller.measuring).toBe(true);
  controller.onBegin(1220);
  end(1224, 4);
  expect(controller.measuring).toBe(false);
  expect(controller.minRttMs).toBeCloseTo(4, 0);
});
