import fc from "fast-check";
import { expect, test } from "vitest";

import { formatDuration, parseDuration } from "./duration.js";

test.each([
  ["0", 0],
  ["0s", 0],
  ["10s", 10_000],
  ["1h30m", 5_400_000],
  ["1.5s", 1500],
  [".5s", 500],
  ["500ms", 500],
  ["1us", 0.001],
  ["1µs", 0.001],
])("parseDuration reads %s", (text, ms) => {
  expect(parseDuration(text)).toBeCloseTo(ms, 9);
});

test.each(["", "5", "5 seconds", "-1s", "s", "1d", "1s ", "1e3s", "9".repeat(400) + "s"])(
  "parseDuration refuses %j",
  (text) => {
    expect(parseDuration(text)).toBeUndefined();
  },
);

test("formatDuration is read back as the same time", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e9 }), (ms) => {
      expect(parseDuration(formatDuration(ms))).toBeCloseTo(ms, 3);
    }),
  );
});
