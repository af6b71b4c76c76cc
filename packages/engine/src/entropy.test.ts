import fc from "fast-check";
import { expect, test } from "vitest";
import { below, mix, saltOf } from "./entropy.js";

test("below stays below its bound", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 0xffff_ffff }),
      fc.integer({ min: 1, max: 0xffff_ffff }),
      (bits, bound) => {
        const value = below(bits, bound);
        return Number.isInteger(value) && value >= 0 && value < bound;
      },
    ),
  );
});

test("mix spreads sequential entropy evenly", () => {
  const buckets = Array.from({ length: 16 }, () => 0);
  for (let entropy = 0; entropy < 32_000; entropy++) buckets[below(mix(entropy, 7), 16)]!++;
  for (const count of buckets) expect(count).toBeGreaterThan(2000 * 0.9);
  for (const count of buckets) expect(count).toBeLessThan(2000 * 1.1);
});

test("mix makes decisions with different salts independent of each other", () => {
  let both = 0;
  const first = saltOf("reviews");
  const second = saltOf("ratings");
  for (let entropy = 0; entropy < 40_000; entropy++) {
    if (below(mix(entropy, first), 10) === 0 && below(mix(entropy, second), 10) === 0) both++;
  }
  expect(both).toBeGreaterThan(300);
  expect(both).toBeLessThan(500);
});
