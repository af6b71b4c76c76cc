import { expect, test } from "vitest";
import type { MeshObject } from "../kind.js";
import { runtimeKind } from "./kind.js";

const HALF = { numerator: 5000, denominator: "TEN_THOUSAND" };

test("check accepts percentages and fractions", () => {
  const spec = { values: { "reviews.canary": 10, off: 0, all: 100, half: HALF, few: { numerator: 1 } } };
  expect(runtimeKind.check({ spec })).toEqual({ ok: true, spec, warnings: [] });
  expect(runtimeKind.check({ spec: { values: {} } }).ok).toBe(true);
  const [column] = runtimeKind.columns;
  expect(column?.cell({ spec } as unknown as MeshObject, 0)).toBe(
    "reviews.canary=10%,off=0%,all=100%,half=50%,few=1%",
  );
});

test.each<[Record<string, unknown>, string]>([
  [{}, "spec.values: is required"],
  [{ values: { a: 101 } }, "spec.values.a: expected percent"],
  [{ values: { a: -1 } }, "spec.values.a: expected percent"],
  [{ values: { a: 0.5 } }, "spec.values.a: expected percent"],
  [{ values: { a: "10" } }, "spec.values.a: expected percent"],
  [{ values: { a: null } }, "spec.values.a: expected percent"],
  [{ values: { a: { numerator: 101 } } }, "spec.values.a.numerator: must be at most 100"],
  [{ values: { a: { denominator: "HUNDRED" } } }, "spec.values.a.numerator"],
  [{ values: { a: { numerator: 1, denominator: "TEN" } } }, "spec.values.a.denominator"],
  [{ values: { a: { numerator: 1, other: 1 } } }, "spec.values.a"],
  [{ values: { "a b": 1 } }, 'expected a key such as "reviews.canary"'],
  [{ values: {}, other: 1 }, "spec.other"],
])("check refuses %j", (spec, expected) => {
  const checked = runtimeKind.check({ spec });
  const told = checked.ok
    ? ""
    : checked.violations.map(({ path, message }) => `${path}: ${message}`).join("\n");
  expect(told).toContain(expected);
});
