import { TimerWheel } from "@tulle/base";
import { FakeClock } from "@tulle/testkit";
import { beforeEach, expect, test } from "vitest";

import { ExchangeTimers } from "./exchange-timers.js";

let clock: FakeClock;
let timers: ExchangeTimers;
let told: string[];

beforeEach(() => {
  clock = new FakeClock();
  told = [];
  timers = new ExchangeTimers(
    { clock, fineWheel: new TimerWheel(clock, 10), coarseWheel: new TimerWheel(clock, 500) },
    {
      onDeadline: () => told.push("deadline"),
      onIdle: () => told.push("idle"),
      onRequestTooSlow: () => told.push("request"),
      onTooLong: () => told.push("whole"),
    },
  );
});

test("ExchangeTimers tells a deadline once, and the last one that was set", async () => {
  timers.setDeadline(100);
  timers.setDeadline(1000);
  await clock.advance(900);
  expect(told).toEqual([]);
  await clock.advance(200);
  expect(told).toEqual(["deadline"]);
  timers.setDeadline(100);
  timers.clearDeadline();
  await clock.advance(1000);
  expect(told).toEqual(["deadline"]);
});

test("ExchangeTimers tells idleness only when nothing moved for all of its time", async () => {
  const hour = 3_600_000;
  timers.watchIdle(hour, clock.monotonic());
  for (let i = 0; i < 5; i++) {
    await clock.advance(hour - 10_000);
    timers.touch();
  }
  expect(told).toEqual([]);
  await clock.advance(hour - 1000);
  expect(told).toEqual([]);
  await clock.advance(2000);
  expect(told).toEqual(["idle"]);
});

test("ExchangeTimers takes another idle time in place of the one there was", async () => {
  timers.watchIdle(5000, clock.monotonic());
  timers.watchIdle(60_000, clock.monotonic());
  await clock.advance(50_000);
  expect(told).toEqual([]);
  timers.stop();
  await clock.advance(100_000);
  expect(told).toEqual([]);
});

test("ExchangeTimers tells that a request is too slow, or the whole takes too long", async () => {
  timers.limitRequest(100);
  timers.limitWhole(500);
  await clock.advance(150);
  expect(told).toEqual(["request"]);
  timers.limitRequest(100);
  timers.clearRequest();
  await clock.advance(500);
  expect(told).toEqual(["request", "whole"]);
});
