import { expect, test } from "vitest";
import { createLoadTable, NO_SLOT } from "./load-table.js";

test("acquire gives an identity the same slot until its last release", () => {
  const load = createLoadTable({ maxSlots: 8 });
  const slot = load.acquire("10.0.0.1:80");
  expect(load.acquire("10.0.0.1:80")).toBe(slot);
  expect(load.acquire("10.0.0.2:80")).not.toBe(slot);
  load.release(slot);
  load.begin(NO_SLOT, slot);
  load.end(NO_SLOT, slot);
  expect(load.acquire("10.0.0.1:80")).toBe(slot);
});

test("acquire keeps an identity's counts when it is released and comes back while requests are under way", () => {
  const load = createLoadTable({ maxSlots: 8 });
  const slot = load.acquire("a");
  load.begin(NO_SLOT, slot);
  load.release(slot);
  expect(load.acquire("a")).toBe(slot);
  expect(load.inFlight(slot)).toBe(1);
});

test("acquire hands a released slot to nobody else while a request is under way on it", () => {
  const load = createLoadTable({ maxSlots: 2 });
  const slot = load.acquire("a");
  load.begin(NO_SLOT, slot);
  load.release(slot);
  expect(load.acquire("b")).toBe(-1);
  load.end(NO_SLOT, slot);
  expect(load.acquire("b")).toBe(slot);
  expect(load.inFlight(slot)).toBe(0);
});

test("acquire passes over a free slot on which a late request has begun, until that ends", () => {
  const load = createLoadTable({ maxSlots: 2 });
  const slot = load.acquire("a");
  load.release(slot);
  load.begin(NO_SLOT, slot);
  expect(load.acquire("b")).toBe(-1);
  load.end(NO_SLOT, slot);
  expect(load.acquire("b")).toBe(slot);
});

test("acquire says -1 when the table is full", () => {
  const load = createLoadTable({ maxSlots: 3 });
  expect([load.acquire("a"), load.acquire("b"), load.acquire("c")]).toEqual([1, 2, -1]);
});

test("begin and end count requests and retries of endpoint and cluster", () => {
  const load = createLoadTable({ maxSlots: 8 });
  const cluster = load.acquire("cluster:x");
  const endpoint = load.acquire("a");
  load.begin(cluster, endpoint);
  load.begin(cluster, endpoint, true);
  expect([load.clusterInFlight(cluster), load.inFlight(endpoint), load.retriesInFlight(cluster)]).toEqual([
    2, 2, 1,
  ]);
  load.end(cluster, endpoint, true);
  expect([load.clusterInFlight(cluster), load.inFlight(endpoint), load.retriesInFlight(cluster)]).toEqual([
    1, 1, 0,
  ]);
});

test("observe moves the averages towards what is observed", () => {
  const load = createLoadTable({ maxSlots: 8 });
  const slot = load.acquire("a");
  load.observe(slot, 100, false);
  expect(load.latencyMs(slot)).toBe(100);
  load.observe(slot, 200, true);
  expect(load.latencyMs(slot)).toBeCloseTo(112.5);
  expect(load.failureRate(slot)).toBeCloseTo(0.125);
});

test("turn starts at the seed and wraps at 32 bits", () => {
  const load = createLoadTable({ maxSlots: 8, seed: 0xffff_ffff });
  const slot = load.acquire("cluster:x");
  expect([load.turn(slot), load.turn(slot), load.turn(slot)]).toEqual([0xffff_ffff, 0, 1]);
});
