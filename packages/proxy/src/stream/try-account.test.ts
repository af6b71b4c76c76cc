import { createLoadTable, type ClusterPart, type EndpointPart } from "@tulle/engine";
import { FakeClock } from "@tulle/testkit";
import { beforeEach, expect, test, vi } from "vitest";

import { TryAccount } from "./try-account.js";

const cluster = { slot: 1 } as ClusterPart;
const endpoint = { slot: 2 } as EndpointPart;

let clock: FakeClock;
let load: ReturnType<typeof createLoadTable>;
let account: TryAccount;
let observed: unknown[][];

beforeEach(() => {
  clock = new FakeClock();
  load = createLoadTable({ maxSlots: 8 });
  observed = [];
  vi.spyOn(load, "observe").mockImplementation((...told) => observed.push(told));
  account = new TryAccount(load, clock);
});

const counts = (): number[] => [load.clusterInFlight(1), load.inFlight(2), load.retriesInFlight(1)];

test("TryAccount counts a try until its end, once, and tells how it went", async () => {
  account.begin(cluster, endpoint, true);
  expect(counts()).toEqual([1, 1, 1]);
  await clock.advance(30);
  expect(account.elapsedMs).toBe(30);
  account.end(true);
  account.end(false);
  expect(counts()).toEqual([0, 0, 0]);
  expect(observed).toEqual([[2, 30, true, 30]]);
});

test("TryAccount tells of a tunnel how long it took to come about, not how long it lived", async () => {
  account.begin(cluster, endpoint, false);
  await clock.advance(20);
  account.observe(false);
  await clock.advance(3_600_000);
  expect(counts()).toEqual([1, 1, 0]);
  account.end(true);
  expect(counts()).toEqual([0, 0, 0]);
  expect(observed).toEqual([[2, 20, false, 20]]);
});

test("TryAccount of one try knows nothing of the one before", () => {
  account.begin(cluster, endpoint, false);
  account.observe(false);
  account.end(false);
  account.begin(cluster, { slot: 3 } as EndpointPart, true);
  account.end(true);
  expect(observed).toEqual([
    [2, 0, false, 0],
    [3, 0, true, 0],
  ]);
});
