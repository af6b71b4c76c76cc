import { expect, test } from "vitest";
import { copyJson, MAX_DEPTH, MAX_ITEMS } from "./copy.js";

test("copyJson refuses nesting beyond its limit without recursing into it", () => {
  let deep: unknown = 1;
  for (let level = 0; level < 100_000; level++) deep = [deep];
  const { violations } = copyJson(deep, ["spec"]);
  expect(violations).toEqual([
    { path: `spec${"[0]".repeat(MAX_DEPTH)}`, message: `is nested deeper than ${MAX_DEPTH} levels` },
  ]);
});

test("copyJson refuses long lists, large objects and what is no JSON", () => {
  const wide = Object.fromEntries(Array.from({ length: MAX_ITEMS + 1 }, (_, index) => [`k${index}`, 1]));
  const value = {
    a: Array.from({ length: MAX_ITEMS + 1 }, () => 0),
    b: wide,
    c: Number.NaN,
    d: () => 1,
    e: 1n,
    f: undefined,
  };
  expect(copyJson(value, ["spec"]).violations.map(({ path }) => path)).toEqual([
    "spec.a",
    "spec.b",
    "spec.c",
    "spec.d",
    "spec.e",
  ]);
});

test("copyJson refuses the key __proto__ and changes no prototype", () => {
  const { value, violations } = copyJson(JSON.parse('{"a":{"__proto__":{"polluted":true}}}'), ["spec"]);
  expect(violations).toEqual([{ path: "spec.a.__proto__", message: "is not a name that a field can have" }]);
  expect((value as { a: Record<string, unknown> }).a["polluted"]).toBeUndefined();
});

test("copyJson counts all values, so that shared parts cannot multiply", () => {
  let bomb: unknown = "x";
  for (let level = 0; level < 12; level++) bomb = [bomb, bomb, bomb, bomb];
  const { violations } = copyJson(bomb, ["spec"]);
  expect(violations).toEqual([{ path: "spec", message: "has more than 500000 values" }]);
});
