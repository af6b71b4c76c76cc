import { expect, test } from "vitest";

import { Backoff } from "./backoff.js";

test("Backoff grows to its maximum and starts again after reset", () => {
  const backoff = new Backoff({ baseMs: 100, maxMs: 1000 }, () => 0);
  expect([backoff.next(), backoff.next(), backoff.next(), backoff.next(), backoff.next()]).toEqual([
    100, 200, 400, 800, 1000,
  ]);
  backoff.reset();
  expect(backoff.next()).toBe(100);
});

test("Backoff spreads each delay over its jitter", () => {
  const lowest = new Backoff({ baseMs: 100, maxMs: 1000, jitter: 0.5 }, () => 0.999);
  expect(lowest.next()).toBeGreaterThanOrEqual(50);
  expect(lowest.next()).toBeLessThan(110);
});
