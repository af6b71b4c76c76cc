import { expect, test } from "vitest";

import { rotationDueAt, rotationStep, type RootRecord, type RotationFacts } from "./root-rotation.js";

const DAY = 86_400_000;
const facts: RotationFacts = {
  nowMs: 0,
  acknowledged: true,
  minDistributionMs: 1000,
  maxDistributionMs: 60_000,
};
const root = (id: string, phase: RootRecord["phase"], more: Partial<RootRecord> = {}): RootRecord => ({
  id,
  phase,
  since: 0,
  notBefore: 0,
  notAfter: 30 * DAY,
  ...more,
});
const step = (roots: readonly RootRecord[], more: Partial<RotationFacts>) =>
  rotationStep(roots, { ...facts, ...more });

test("rotationStep makes the next root when a third of the life of the one that signs is left", () => {
  const active = root("A", "active");
  expect(rotationDueAt(active)).toBe(20 * DAY);
  expect(step([active], { nowMs: 20 * DAY - 1 })).toBeUndefined();
  expect(step([active], { nowMs: 20 * DAY })).toEqual({ kind: "prepare" });
  expect(step([], {})).toEqual({ kind: "prepare" });
});

test("rotationStep lets the next root sign once everybody trusts it, and not before its time", () => {
  const roots = [root("A", "active"), root("B", "next", { since: 100 })];
  expect(step(roots, { nowMs: 1099 })).toBeUndefined();
  expect(step(roots, { nowMs: 1100 })).toEqual({ kind: "promote", unacknowledged: false });
  expect(step(roots, { nowMs: 1100, acknowledged: false })).toBeUndefined();
  // Who never answers does not hold everybody up, and an end is an end.
  expect(step(roots, { nowMs: 60_100, acknowledged: false })).toEqual({
    kind: "promote",
    unacknowledged: true,
  });
  const ending = [root("A", "active", { notAfter: 200 }), root("B", "next", { since: 100 })];
  expect(step(ending, { nowMs: 200, acknowledged: false })).toEqual({
    kind: "promote",
    unacknowledged: true,
  });
});

test("rotationStep takes an old root away when the last certificate that it signed has ended", () => {
  const roots = [
    root("A", "retiring", { retireAt: 500 }),
    root("B", "retiring", { retireAt: 600 }),
    root("C", "active"),
  ];
  expect(step(roots, { nowMs: 499 })).toBeUndefined();
  expect(step(roots, { nowMs: 500 })).toEqual({ kind: "remove", ids: ["A"] });
  expect(step(roots, { nowMs: 600 })).toEqual({ kind: "remove", ids: ["A", "B"] });
});
