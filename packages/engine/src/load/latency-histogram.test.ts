import fc from "fast-check";
import { expect, test } from "vitest";
import { LatencyHistogram } from "./latency-histogram.js";

test("a percentile is within 3 % of the true one, whatever the times", () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0.01, max: 100_000, noNaN: true }), { minLength: 1, maxLength: 200 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (times, share) => {
        const histogram = new LatencyHistogram();
        for (const time of times) histogram.add(time);
        const sorted = times.toSorted((left, right) => left - right);
        const exact = sorted[Math.max(1, Math.ceil(share * times.length)) - 1]!;
        expect(Math.abs(histogram.percentile(share) - exact) / exact).toBeLessThan(0.03);
      },
    ),
  );
});

test("times beyond the buckets count as the shortest and longest", () => {
  const histogram = new LatencyHistogram();
  expect(histogram.percentile(0.5)).toBe(0);
  histogram.add(0);
  histogram.add(1e12);
  expect(histogram.total).toBe(2);
  expect(histogram.percentile(0)).toBeLessThan(0.01);
  expect(histogram.percentile(1)).toBeGreaterThan(3_600_000);
  histogram.clear();
  expect([histogram.total, histogram.percentile(1)]).toEqual([0, 0]);
});
