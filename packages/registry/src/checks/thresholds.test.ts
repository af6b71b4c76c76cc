import { expect, test } from "vitest";
import { Thresholds } from "./thresholds.js";

test("Thresholds follows each result by default", () => {
  const thresholds = new Thresholds({
    successBeforePassing: 0,
    failuresBeforeWarning: 0,
    failuresBeforeCritical: 0,
  });
  expect([thresholds.next("passing"), thresholds.next("critical"), thresholds.next("warning")]).toEqual([
    "passing",
    "critical",
    "warning",
  ]);
});

test("Thresholds needs so many results in a row, and warns on the way down", () => {
  const thresholds = new Thresholds({
    successBeforePassing: 2,
    failuresBeforeWarning: 2,
    failuresBeforeCritical: 3,
  });
  const results = ["critical", "critical", "critical", "passing", "critical", "passing", "passing"] as const;
  expect(results.map((result) => thresholds.next(result))).toEqual([
    undefined,
    "warning",
    "critical",
    undefined,
    undefined,
    undefined,
    "passing",
  ]);
});
