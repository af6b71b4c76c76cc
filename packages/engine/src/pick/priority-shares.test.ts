import fc from "fast-check";
import { expect, test } from "vitest";

import { priorityShares } from "./priority-shares.js";

/** Healthy and degraded of 100 endpoints each, as percent of the requests that each priority gets. */
function spread(levels: readonly (readonly [healthy: number, degraded: number])[], panicPercent = 0): string {
  const health = levels.map(([healthy, degraded]) => ({ endpoints: 100, healthy, degraded }));
  return priorityShares(health, 1.4, panicPercent)
    .map(
      ({ healthy, degraded, panic }) => `${Math.round(healthy)}/${Math.round(degraded)}${panic ? "!" : ""}`,
    )
    .join(" ");
}

// The first five are the examples of Envoy's documentation.
test.each([
  [
    [
      [100, 0],
      [100, 0],
    ],
    "100/0 0/0",
  ],
  [
    [
      [72, 0],
      [72, 0],
    ],
    "100/0 0/0",
  ],
  [
    [
      [71, 0],
      [71, 0],
    ],
    "99/0 1/0",
  ],
  [
    [
      [50, 0],
      [50, 0],
    ],
    "70/0 30/0",
  ],
  [
    [
      [25, 0],
      [25, 0],
    ],
    "50/0 50/0",
  ],
  [
    [
      [50, 50],
      [0, 0],
    ],
    "70/30 0/0",
  ],
  [
    [
      [0, 100],
      [50, 0],
    ],
    "0/30 70/0",
  ],
  [
    [
      [0, 0],
      [0, 100],
    ],
    "0/0 0/100",
  ],
  [
    [
      [0, 0],
      [0, 0],
    ],
    "0/0 0/0",
  ],
] as const)(
  "priorityShares gives to priorities with %j healthy and degraded endpoints %s",
  (levels, expected) => {
    expect(spread(levels)).toBe(expected);
  },
);

test("priorityShares panics only when the priorities together cannot take everything", () => {
  expect(
    spread(
      [
        [10, 0],
        [100, 0],
      ],
      50,
    ),
  ).toBe("14/0 86/0");
  expect(
    spread(
      [
        [10, 0],
        [55, 0],
      ],
      50,
    ),
  ).toBe("15/0! 85/0");
  expect(
    spread(
      [
        [10, 0],
        [20, 0],
      ],
      50,
    ),
  ).toBe("50/0! 50/0!");
  expect(
    spread(
      [
        [0, 0],
        [0, 0],
      ],
      1,
    ),
  ).toBe("50/0! 50/0!");
});

test("priorityShares gives away everything when anything is usable, and never more", () => {
  const level = fc
    .tuple(fc.nat(50), fc.nat(50), fc.nat(50))
    .map(([healthy, degraded, ill]) => ({ endpoints: healthy + degraded + ill, healthy, degraded }));
  fc.assert(
    fc.property(fc.array(level, { minLength: 1, maxLength: 6 }), fc.nat(100), (levels, panicPercent) => {
      const shares = priorityShares(levels, 1.4, panicPercent);
      const total = shares.reduce((sum, { healthy, degraded }) => sum + healthy + degraded, 0);
      const usable = levels.some(({ healthy, degraded }) => healthy + degraded > 0);
      if (usable) expect(total).toBeCloseTo(100, 6);
      else expect([0, 100]).toContain(Math.round(total));
      shares.forEach(({ healthy, degraded, panic }, index) => {
        if (!panic && levels[index]!.healthy === 0) expect(healthy).toBe(0);
        if (!panic && levels[index]!.degraded === 0) expect(degraded).toBe(0);
      });
    }),
  );
});
