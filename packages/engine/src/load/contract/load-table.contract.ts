import { expect, test } from "vitest";

import { UNHEALTHY_CHECK, UNHEALTHY_EJECTED } from "../../contract.js";
import { ResultCount, ResultTime } from "../result-table.js";
import { NO_SLOT, type LoadTableOptions, type SlotTable } from "../load-table.js";

/** What every load table does, whoever shares it. */
export function loadTableContract(name: string, create: (options: LoadTableOptions) => SlotTable): void {
  test(`${name}: acquire gives an identity the same slot until its last release`, () => {
    const load = create({ maxSlots: 8 });
    const slot = load.acquire("10.0.0.1:80");
    expect(load.acquire("10.0.0.1:80")).toBe(slot);
    expect(load.acquire("10.0.0.2:80")).not.toBe(slot);
    load.release(slot);
    load.begin(NO_SLOT, slot);
    load.end(NO_SLOT, slot);
    expect(load.acquire("10.0.0.1:80")).toBe(slot);
  });

  test(`${name}: acquire keeps an identity's counts when it is released and comes back while requests are under way`, () => {
    const load = create({ maxSlots: 8 });
    const slot = load.acquire("a");
    load.begin(NO_SLOT, slot);
    load.release(slot);
    expect(load.acquire("a")).toBe(slot);
    expect(load.inFlight(slot)).toBe(1);
  });

  test(`${name}: acquire hands a released slot to nobody else while a request is under way on it`, () => {
    const load = create({ maxSlots: 2 });
    const slot = load.acquire("a");
    load.begin(NO_SLOT, slot);
    load.release(slot);
    expect(load.acquire("b")).toBe(-1);
    load.end(NO_SLOT, slot);
    expect(load.acquire("b")).toBe(slot);
    expect(load.inFlight(slot)).toBe(0);
  });

  test(`${name}: acquire passes over a free slot on which a late request has begun, until that ends`, () => {
    const load = create({ maxSlots: 2 });
    const slot = load.acquire("a");
    load.release(slot);
    load.begin(NO_SLOT, slot);
    expect(load.acquire("b")).toBe(-1);
    load.end(NO_SLOT, slot);
    expect(load.acquire("b")).toBe(slot);
  });

  test(`${name}: acquire says -1 when the table is full`, () => {
    const load = create({ maxSlots: 3 });
    expect([load.acquire("a"), load.acquire("b"), load.acquire("c")]).toEqual([1, 2, -1]);
  });

  test(`${name}: begin and end count requests and retries of endpoint and cluster`, () => {
    const load = create({ maxSlots: 8 });
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

  test(`${name}: observe moves the averages towards what is observed`, () => {
    const load = create({ maxSlots: 8 });
    const slot = load.acquire("a");
    load.observe(slot, 100, false, 0);
    expect(load.latencyMs(slot)).toBe(100);
    load.observe(slot, 200, true, 0);
    expect(load.latencyMs(slot)).toBeCloseTo(112.5);
    expect(load.failureRate(slot)).toBeCloseTo(0.125);
  });

  test(`${name}: countRecent counts requests and retries of about the last window`, () => {
    const load = create({ maxSlots: 8 });
    const slot = load.acquire("cluster:x");
    const start = 1_700_000_000_000;
    const recent = (nowMs: number) => [
      load.recentRequests(slot, 10_000, nowMs),
      load.recentRetries(slot, 10_000, nowMs),
    ];
    for (let i = 0; i < 10; i++) load.countRecent(slot, 10_000, start, false);
    for (let i = 0; i < 4; i++) load.countRecent(slot, 10_000, start, true);
    expect(recent(start + 9999)).toEqual([10, 4]);
    expect(recent(start + 15_000)).toEqual([5, 2]);
    load.countRecent(slot, 10_000, start + 15_000, false);
    expect(recent(start + 15_000)).toEqual([6, 2]);
    expect(recent(start + 40_000)).toEqual([0, 0]);
  });

  test(`${name}: acquire gives a slot with nothing counted lately`, () => {
    const load = create({ maxSlots: 2 });
    const slot = load.acquire("a");
    load.countRecent(slot, 10_000, 50_000, false);
    load.release(slot);
    expect(load.acquire("b")).toBe(slot);
    expect(load.recentRequests(slot, 10_000, 50_000)).toBe(0);
  });

  test(`${name}: takeRetried tells of a request once, for a minute`, () => {
    const load = create({ maxSlots: 8 });
    load.noteRetried(0xffff_fff0, 1_700_000_000_000);
    expect(load.takeRetried(0xffff_fff1, 1_700_000_001_000)).toBe(false);
    expect(load.takeRetried(0xffff_fff0, 1_700_000_001_000)).toBe(true);
    expect(load.takeRetried(0xffff_fff0, 1_700_000_001_000)).toBe(false);
    load.noteRetried(5, 1_700_000_000_000);
    expect(load.takeRetried(5, 1_700_000_062_000)).toBe(false);
  });

  test(`${name}: expectedMs rises at once with a slow answer, and forgets it over time`, () => {
    const load = create({ maxSlots: 8 });
    const slot = load.acquire("a");
    expect(load.expectedMs(slot, 5)).toBe(0);
    load.observe(slot, 10, false, 1000);
    expect(load.expectedMs(slot, 9000)).toBe(10);
    load.watchPeak(slot, 1000);
    load.watchPeak(slot, 5000);
    expect(load.expectedMs(slot, 1000)).toBe(10);
    load.observe(slot, 400, false, 1000);
    expect(load.expectedMs(slot, 1000)).toBe(400);
    load.observe(slot, 10, false, 1100);
    expect(load.expectedMs(slot, 1100)).toBeGreaterThan(390);
    expect(load.expectedMs(slot, 11_100)).toBeCloseTo(load.expectedMs(slot, 1100) / Math.E);
    load.observe(slot, 10, false, 101_100);
    expect(load.expectedMs(slot, 101_100)).toBeLessThan(11);
    // Who fails at once is not fast.
    load.observe(slot, 1, true, 101_100);
    expect(load.expectedMs(slot, 101_100)).toBe(1000);
  });

  test(`${name}: warmSince keeps what was noted until the slot is another's`, () => {
    const load = create({ maxSlots: 2 });
    const slot = load.acquire("a");
    expect(load.warmSince(slot)).toBe(0);
    load.setWarmSince(slot, 1234.5);
    expect(load.warmSince(slot)).toBe(1234.5);
    load.setWarmSince(slot, Number.NEGATIVE_INFINITY);
    expect(load.warmSince(slot)).toBe(Number.NEGATIVE_INFINITY);
    load.release(slot);
    expect(load.warmSince(load.acquire("b"))).toBe(0);
  });

  test(`${name}: setUnhealthy sets and clears one bit, and the epoch counts what changed`, () => {
    const load = create({ maxSlots: 8 });
    const slot = load.acquire("a");
    const epochs = [load.healthEpoch()];
    const note = (bit: number, on: boolean): number => {
      load.setUnhealthy(slot, bit, on);
      epochs.push(load.healthEpoch());
      return load.unhealthy(slot);
    };
    expect(note(UNHEALTHY_CHECK, true)).toBe(UNHEALTHY_CHECK);
    expect(note(UNHEALTHY_CHECK, true)).toBe(UNHEALTHY_CHECK);
    expect(note(UNHEALTHY_EJECTED, true)).toBe(UNHEALTHY_CHECK | UNHEALTHY_EJECTED);
    expect(note(UNHEALTHY_CHECK, false)).toBe(UNHEALTHY_EJECTED);
    expect(epochs).toEqual([0, 1, 1, 2, 3]);
    expect([load.takeUnhealthy(slot, UNHEALTHY_CHECK), load.healthEpoch()]).toEqual([false, 3]);
    load.setUnhealthy(slot, UNHEALTHY_CHECK, true);
    expect([load.takeUnhealthy(slot, UNHEALTHY_CHECK), load.healthEpoch()]).toEqual([true, 5]);
    expect(load.unhealthy(slot)).toBe(UNHEALTHY_EJECTED);
    load.release(slot);
    expect(load.unhealthy(load.acquire("b"))).toBe(0);
  });

  test(`${name}: active faults are counted`, () => {
    const load = create({ maxSlots: 2 });
    load.addActiveFaults(1);
    load.addActiveFaults(1);
    load.addActiveFaults(-1);
    expect(load.activeFaults()).toBe(1);
  });

  test(`${name}: a bucket gives out its tokens, and one more with each interval`, () => {
    const load = create({ maxSlots: 2 });
    const limit = { maxTokens: 2, msPerToken: 100 };
    for (const kept of [true, false]) {
      const take = (now: number, key = "a"): number => load.takeToken(key, kept, limit, now);
      expect([take(1000), take(1000), take(1000), take(1050)]).toEqual([2, 1, 0, 0.5]);
      expect(load.tokens("a", kept, limit, 1050)).toBe(0.5);
      expect([take(1100), take(1100)]).toEqual([1, 0]);
      expect(take(1100, "b")).toBe(2);
      expect(take(9000)).toBe(2);
      expect(load.tokens("unknown", kept, limit, 0)).toBe(2);
    }
  });

  test(`${name}: keys that callers make up are forgotten in favour of others, and never those of the configuration`, () => {
    const load = create({ maxSlots: 2 });
    const limit = { maxTokens: 1, msPerToken: 1_000_000 };
    load.takeToken("a", true, limit, 1);
    load.takeToken("a", false, limit, 1);
    for (let i = 0; i < 100_000; i++) load.takeToken(`other ${i}`, false, limit, 2 + i / 1000);
    expect(load.tokens("a", true, limit, 102)).toBeLessThan(1);
    expect(load.tokens("a", false, limit, 102)).toBe(1);
    expect(load.tokens("other 99999", false, limit, 102)).toBeLessThan(1);
  });

  test(`${name}: results are counted for each slot, and an identity that comes back to another's slot has none`, () => {
    const load = create({ maxSlots: 2 });
    const { results } = load;
    const slot = load.acquire("a");
    expect(results.add(ResultCount.CONSECUTIVE_5XX, slot)).toBe(1);
    expect(results.add(ResultCount.CONSECUTIVE_5XX, slot)).toBe(2);
    results.set(ResultCount.EJECTIONS, slot, 7);
    results.setTime(ResultTime.EJECTED_UNTIL, slot, 1234.5);
    expect(results.get(ResultCount.CONSECUTIVE_5XX, NO_SLOT)).toBe(0);
    expect(results.take(ResultCount.CONSECUTIVE_5XX, slot)).toBe(2);
    expect(results.get(ResultCount.CONSECUTIVE_5XX, slot)).toBe(0);
    expect(results.get(ResultCount.EJECTIONS, slot)).toBe(7);
    expect(results.time(ResultTime.EJECTED_UNTIL, slot)).toBe(1234.5);
    load.release(slot);
    expect(load.acquire("b")).toBe(slot);
    expect(results.get(ResultCount.EJECTIONS, slot)).toBe(0);
    expect(results.time(ResultTime.EJECTED_UNTIL, slot)).toBe(0);
  });

  test(`${name}: what filters learn is kept by key`, () => {
    const { controllers } = create({ maxSlots: 2 });
    const settings = {
      windowSeconds: 1,
      threshold: 1,
      aggression: 1,
      minRequestsPerSecond: 0,
      maxProbability: 1,
      isSuccess: () => true,
    };
    const window = controllers.successes("a|1", "a", settings);
    expect(controllers.successes("a|1", "a", settings)).toBe(window);
    expect(controllers.successes("a|2", "a", settings)).not.toBe(window);
    expect([...controllers.windows()].map((each) => each.name)).toEqual(["a", "a"]);
  });

  test(`${name}: turn starts at the seed and wraps at 32 bits`, () => {
    const load = create({ maxSlots: 8, seed: 0xffff_ffff });
    const slot = load.acquire("cluster:x");
    expect([load.turn(slot), load.turn(slot), load.turn(slot)]).toEqual([0xffff_ffff, 0, 1]);
    expect([load.nextTurn(slot), load.nextTurn(slot), load.turn(slot)]).toEqual([2, 2, 2]);
  });

  test(`${name}: connections and pending requests keep a slot from others`, () => {
    const load = create({ maxSlots: 2 });
    const slot = load.acquire("cluster:x");
    load.addConnections(slot, 1);
    load.addPending(slot, 1);
    expect([load.connections(slot), load.pending(slot)]).toEqual([1, 1]);
    load.release(slot);
    expect(load.acquire("b")).toBe(-1);
    load.addPending(slot, -1);
    expect(load.acquire("b")).toBe(-1);
    load.addConnections(slot, -1);
    expect(load.acquire("b")).toBe(slot);
    expect([load.connections(slot), load.pending(slot)]).toEqual([0, 0]);
  });

  test(`${name}: an identity that comes back to another's slot starts without averages`, () => {
    const load = create({ maxSlots: 2, seed: 7 });
    const slot = load.acquire("a");
    load.observe(slot, 100, true, 0);
    load.turn(slot);
    load.release(slot);
    expect(load.acquire("b")).toBe(slot);
    expect([load.latencyMs(slot), load.failureRate(slot), load.turn(slot)]).toEqual([0, 0, 7]);
    expect(load.expectedMs(slot, 0)).toBe(0);
  });
}
