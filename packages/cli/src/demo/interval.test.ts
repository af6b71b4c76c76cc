import { expect, test } from "vitest";

import { isExplained, shareInterval } from "./interval.js";

test("shareInterval narrows with the number of observations", () => {
  const few = shareInterval(10, 100);
  const many = shareInterval(1000, 10_000);
  expect(few.low).toBeCloseTo(0.036, 2);
  expect(few.high).toBeCloseTo(0.244, 2);
  expect(many.high - many.low).toBeLessThan((few.high - few.low) / 5);
  expect(shareInterval(0, 0)).toEqual({ low: 0, high: 1 });
});

test("isExplained accepts a fair sample and refuses one that is off", () => {
  expect(isExplained(0.1, 103, 1000)).toBe(true);
  expect(isExplained(0.1, 150, 1000)).toBe(false);
  expect(isExplained(0.1, 0, 1000)).toBe(false);
  expect(isExplained(0, 0, 1000)).toBe(true);
});
