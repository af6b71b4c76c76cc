import fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalJson, equal, isObject, threeWayMerge } from "./three-way-merge.js";

/** RFC 7386 section 2. */
function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const result = new Map(Object.entries(isObject(target) ? target : {}));
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) result.delete(key);
    else result.set(key, mergePatch(result.get(key), value));
  }
  return Object.fromEntries(result);
}

test("threeWayMerge sets what differs, removes what is declared no more, leaves the rest", () => {
  const previous = { spec: { a: 1, b: 2, list: [1] }, gone: true };
  const declared = { spec: { a: 1, list: [1, 2] } };
  const current = { spec: { a: 5, b: 2, list: [1], theirs: 9 }, other: 1 };
  const patch = threeWayMerge(previous, declared, current);
  expect(patch).toEqual({ spec: { a: 1, b: null, list: [1, 2] } });
  expect(mergePatch(current, patch)).toEqual({ spec: { a: 1, list: [1, 2], theirs: 9 }, other: 1 });
});

test("threeWayMerge says that there is nothing to do", () => {
  expect(
    threeWayMerge({ a: 1 }, { a: { b: [1, { c: 2 }] } }, { a: { b: [1, { c: 2 }], d: 1 } }),
  ).toBeUndefined();
});

const json = fc.letrec((tie) => ({
  leaf: fc.oneof(fc.nat(3), fc.boolean(), fc.array(fc.nat(2), { maxLength: 2 })),
  node: fc.oneof({ depthSize: "small" }, tie("leaf"), tie("object")),
  object: fc.dictionary(fc.constantFrom("a", "b", "c", "__proto__", "constructor"), tie("node"), {
    maxKeys: 4,
  }),
}));

test("threeWayMerge's patch brings any object to what is declared, and then there is nothing to do", () => {
  fc.assert(
    fc.property(json["object"], json["object"], json["object"], (previous, declared, current) => {
      const [before, wanted, now] = [previous, declared, current].map((value) =>
        isObject(value) ? value : {},
      );
      const merged = mergePatch(now, threeWayMerge(before ?? {}, wanted ?? {}, now ?? {}) ?? {});
      expect(isObject(merged) && threeWayMerge(before ?? {}, wanted ?? {}, merged)).toBe(undefined);
    }),
  );
});

test("equal and canonicalJson do not depend on the order of keys", () => {
  expect(equal({ a: 1, b: [{ c: 1, d: 2 }] }, { b: [{ d: 2, c: 1 }], a: 1 })).toBe(true);
  expect(equal({ a: 1 }, { a: 1, b: 2 })).toBe(false);
  expect(equal([1, 2], [2, 1])).toBe(false);
  expect(equal({ a: 1 }, { toString: 1 })).toBe(false);
  expect(canonicalJson({ b: [{ d: 2, c: null }], a: undefined })).toBe('{"b":[{"c":null,"d":2}]}');
});
