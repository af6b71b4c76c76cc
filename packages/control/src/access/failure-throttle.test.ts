import { FakeClock } from "@tulle/testkit";
import { expect, test } from "vitest";

import { FailureThrottle } from "./failure-throttle.js";

test("failed lets twenty through at once, then one a second, for each address", async () => {
  const clock = new FakeClock();
  const throttle = new FailureThrottle(clock);
  const burst = Array.from({ length: 30 }, () => throttle.failed("10.0.0.1"));
  expect(burst.filter(Boolean)).toHaveLength(20);
  expect(throttle.isOver("10.0.0.1")).toBe(true);
  expect(throttle.isOver("10.0.0.2")).toBe(false);
  expect(throttle.failed("10.0.0.2")).toBe(true);
  await clock.advance(1000);
  expect([throttle.failed("10.0.0.1"), throttle.failed("10.0.0.1")]).toEqual([true, false]);
});

test("failed counts an IPv6 client's whole network, and an IPv4 one's address however it is written", () => {
  const throttle = new FailureThrottle(new FakeClock());
  for (let host = 0; host < 20; host++) throttle.failed(`2001:db8:0:1::${host.toString(16)}`);
  expect(throttle.isOver("2001:db8:0:1:ffff::1")).toBe(true);
  expect(throttle.isOver("2001:0db8:0:2::1")).toBe(false);
  for (let time = 0; time < 20; time++) throttle.failed(time % 2 === 0 ? "::ffff:10.0.0.1" : "10.0.0.1");
  expect(throttle.isOver("10.0.0.1")).toBe(true);
});

test("failed remembers a bounded number of addresses", () => {
  const throttle = new FailureThrottle(new FakeClock());
  for (let at = 0; at < 20_000; at++) throttle.failed(`10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`);
  expect(throttle.size).toBe(10_000);
});
