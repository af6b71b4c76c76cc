import { createLoadTable, type ClusterPart, type EndpointPart } from "@tulle/engine";
import { FakeClock } from "@tulle/testkit";
import { beforeEach, expect, test, vi } from "vitest";

import { OutlierRecorder } from "../health/outlier-recorder.js";
import { TryLog } from "../records/try-log.js";
import { TryAccount } from "./try-account.js";

const cluster = { slot: 1 } as ClusterPart;
const endpoint = { slot: 2 } as EndpointPart;

let clock: FakeClock;
let load: ReturnType<typeof createLoadTable>;
let account: TryAccount;
let log: TryLog;
let observed: unknown[][];

beforeEach(() => {
  clock = new FakeClock();
  load = createLoadTable({ maxSlots: 8 });
  observed = [];
  vi.spyOn(load, "observe").mockImplementation((...told) => observed.push(told));
  log = new TryLog();
  account = new TryAccount(load, clock, log, new OutlierRecorder(load, { svid: undefined }, () => undefined));
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

test("TryAccount logs what became of a try: the last word, with the status that came before", async () => {
  account.begin(cluster, endpoint, false);
  await clock.advance(5);
  account.note("answered", 200, "");
  await clock.advance(5);
  account.note("closed", 0, "ECONNRESET");
  account.end(true);
  account.begin(cluster, endpoint, true);
  await clock.advance(7);
  account.end(false);
  const [first, second] = log.kept();
  expect(first).toMatchObject({ outcome: "closed", status: 200, detail: "ECONNRESET", durationMs: 10 });
  expect(second).toMatchObject({ outcome: "abandoned", status: 0, durationMs: 7 });
  expect(log.lastStatus).toBe(200);
});
