import { FakeClock } from "@tulle/testkit";
import { expect, test } from "vitest";

import { TimerWheel } from "./timer-wheel.js";

test("TimerWheel fires after the delay and never before it", async () => {
  const clock = new FakeClock();
  const wheel = new TimerWheel(clock, 20, 8);
  const fired: number[] = [];
  for (const delayMs of [0, 5, 100, 1000, 160]) {
    const timer = wheel.timer(() => {
      expect(clock.monotonic()).toBeGreaterThanOrEqual(delayMs);
      expect(clock.monotonic()).toBeLessThanOrEqual(delayMs + 40);
      fired.push(delayMs);
    });
    timer.arm(delayMs);
  }
  await clock.advance(2000);
  expect(fired).toEqual([0, 5, 100, 160, 1000]);
});

test("WheelTimer says how long it will take", async () => {
  const clock = new FakeClock();
  const timer = new TimerWheel(clock, 10).timer(() => undefined);
  expect(timer.leftMs).toBe(0);
  timer.arm(500);
  await clock.advance(200);
  expect(timer.leftMs).toBeGreaterThanOrEqual(300);
  expect(timer.leftMs).toBeLessThanOrEqual(320);
  timer.disarm();
  expect(timer.leftMs).toBe(0);
});

test("WheelTimer does not fire when disarmed, and once when armed again", async () => {
  const clock = new FakeClock();
  const wheel = new TimerWheel(clock, 10);
  let fired = 0;
  const timer = wheel.timer(() => fired++);
  timer.arm(50);
  timer.disarm();
  expect(timer.armed).toBe(false);
  await clock.advance(200);
  expect(fired).toBe(0);
  timer.arm(50);
  await clock.advance(30);
  timer.arm(50);
  await clock.advance(40);
  expect(fired).toBe(0);
  await clock.advance(40);
  expect(fired).toBe(1);
});

test("TimerWheel holds a host timer only while something is armed", async () => {
  const clock = new FakeClock();
  const wheel = new TimerWheel(clock, 10);
  expect(clock.pending).toBe(0);
  const timer = wheel.timer(() => undefined);
  timer.arm(20);
  expect(clock.pending).toBe(1);
  await clock.advance(100);
  expect(wheel.armed).toBe(0);
  expect(clock.pending).toBe(0);
});

test("TimerWheel does not fire a timer that another one disarmed in the same tick", async () => {
  const clock = new FakeClock();
  const wheel = new TimerWheel(clock, 10);
  let second = 0;
  const victim = wheel.timer(() => second++);
  const first = wheel.timer(() => victim.disarm());
  first.arm(20);
  victim.arm(20);
  await clock.advance(100);
  expect(second).toBe(0);
});
