import { systemClock } from "@tulle/base";
import { beforeEach, expect, test } from "vitest";

import { FlushQueue } from "./flush-queue.js";
import { TurnClock } from "./turn-clock.js";

let hostMs: number;
let queue: FlushQueue;
let clock: TurnClock;

beforeEach(() => {
  hostMs = 0;
  queue = new FlushQueue();
  const host = { ...systemClock, now: () => 1000 + hostMs, monotonic: () => hostMs };
  clock = new TurnClock(host, queue);
});

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("the time changes between turns and not within one", async () => {
  expect([clock.now(), clock.monotonic()]).toEqual([1000, 0]);
  hostMs = 70;
  expect([clock.now(), clock.monotonic()]).toEqual([1000, 0]);
  await turn();
  expect([clock.now(), clock.monotonic()]).toEqual([1070, 70]);
  await turn();
  hostMs = 75;
  expect(clock.monotonic()).toBe(75);
});

test("what is flushed at the end of a turn may read it, and the next turn has its own", async () => {
  const seen: number[] = [clock.monotonic()];
  queue.add({ flush: () => void seen.push(clock.monotonic()) });
  hostMs = 10;
  await turn();
  hostMs = 20;
  await turn();
  expect([...seen, clock.monotonic()]).toEqual([0, 10, 20]);
});

test("many turns within a second are told of, once; as many in a longer time are not", async () => {
  let told = 0;
  const host = { ...systemClock, now: () => 1000 + hostMs, monotonic: () => hostMs };
  clock = new TurnClock(host, queue, () => told++);
  const pass = async (turns: number, everyMs: number): Promise<void> => {
    for (let each = 0; each < turns; each++) {
      hostMs += everyMs;
      clock.monotonic();
      await turn();
    }
  };
  await pass(200, 25);
  expect(told).toBe(0);
  await pass(200, 10);
  expect(told).toBe(1);
});
