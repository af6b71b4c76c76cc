import fc from "fast-check";
import { expect, test } from "vitest";

import { MeshError } from "@tulle/base";

import { applyConfiguration, jsonPatch, mergePatch, strategicMergePatch, type Json } from "./patch.js";

// The table of RFC 7386, appendix A.
test.each<[Json, Json, Json]>([
  [{ a: "b" }, { a: "c" }, { a: "c" }],
  [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
  [{ a: "b" }, { a: null }, {}],
  [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
  [{ a: ["b"] }, { a: "c" }, { a: "c" }],
  [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
  [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
  [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
  [
    ["a", "b"],
    ["c", "d"],
    ["c", "d"],
  ],
  [{ a: "b" }, ["c"], ["c"]],
  [{ a: "foo" }, null, null],
  [{ a: "foo" }, "bar", "bar"],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: "b", c: null }, { a: "b" }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
])("mergePatch of %j with %j", (target, patch, expected) => {
  expect(mergePatch(target, patch)).toEqual(expected);
});

test("mergePatch keeps a member named __proto__ a member", () => {
  const patch = JSON.parse('{"__proto__": {"polluted": true}}') as Json;
  const merged = mergePatch({}, patch) as object;
  expect(Object.keys(merged)).toEqual(["__proto__"]);
  expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
});

test("strategicMergePatch obeys kubectl's directives", () => {
  expect(
    strategicMergePatch(
      { metadata: { finalizers: ["a", "b"], labels: { x: "1" } }, data: { k: "v" } },
      {
        metadata: {
          "$setElementOrder/finalizers": ["b"],
          "$deleteFromPrimitiveList/finalizers": ["a"],
          labels: { x: null, y: "2" },
        },
        data: { $patch: "replace", z: "w" },
      },
    ),
  ).toEqual({ metadata: { finalizers: ["b"], labels: { y: "2" } }, data: { z: "w" } });
});

test("applyConfiguration removes what its manager no longer applies and keeps what others set", () => {
  const live = { spec: { mine: 1, dropped: 2, theirs: 3, list: [1, 2] } };
  const previous = { spec: { mine: 1, dropped: 2, list: [1, 2] } };
  expect(applyConfiguration(live, previous, { spec: { mine: 5, list: [3] } })).toEqual({
    spec: { mine: 5, theirs: 3, list: [3] },
  });
});

// Cases of RFC 6902, appendix A.
test.each<[string, Json, Json, Json]>([
  ["add a member", { foo: "bar" }, [{ op: "add", path: "/baz", value: "qux" }], { baz: "qux", foo: "bar" }],
  [
    "add an element",
    { foo: ["a", "c"] },
    [{ op: "add", path: "/foo/1", value: "b" }],
    { foo: ["a", "b", "c"] },
  ],
  ["append", { foo: ["a"] }, [{ op: "add", path: "/foo/-", value: ["b"] }], { foo: ["a", ["b"]] }],
  ["remove a member", { baz: 1, foo: 2 }, [{ op: "remove", path: "/baz" }], { foo: 2 }],
  ["remove an element", { foo: [1, 2, 3] }, [{ op: "remove", path: "/foo/1" }], { foo: [1, 3] }],
  ["replace", { baz: 1 }, [{ op: "replace", path: "/baz", value: 2 }], { baz: 2 }],
  [
    "move a value",
    { a: { b: 1 }, c: {} },
    [{ op: "move", from: "/a/b", path: "/c/d" }],
    { a: {}, c: { d: 1 } },
  ],
  ["move an element", { f: [1, 2, 3] }, [{ op: "move", from: "/f/0", path: "/f/2" }], { f: [2, 3, 1] }],
  ["copy", { a: [1] }, [{ op: "copy", from: "/a", path: "/b" }], { a: [1], b: [1] }],
  ["test", { a: { x: 1, y: 2 } }, [{ op: "test", path: "/a", value: { y: 2, x: 1 } }], { a: { x: 1, y: 2 } }],
  ["escapes", { "/": 9, "~1": 10 }, [{ op: "test", path: "/~01", value: 10 }], { "/": 9, "~1": 10 }],
  ["the whole document", { a: 1 }, [{ op: "replace", path: "", value: { b: 2 } }], { b: 2 }],
])("jsonPatch can %s", (_name, target, patch, expected) => {
  expect(jsonPatch(target, patch)).toEqual(expected);
});

test.each<[string, Json]>([
  ["a test that fails", [{ op: "test", path: "/a", value: 2 }]],
  ["a missing parent", [{ op: "add", path: "/x/y", value: 1 }]],
  ["an index out of range", [{ op: "add", path: "/l/5", value: 1 }]],
  ["an index with a leading zero", [{ op: "remove", path: "/l/00" }]],
  ["a missing value", [{ op: "add", path: "/b" }]],
  ["an unknown operation", [{ op: "spin", path: "/b" }]],
  ["an inherited member", [{ op: "remove", path: "/toString" }]],
  ["no list", { op: "add" }],
])("jsonPatch refuses %s", (_name, patch) => {
  expect(() => jsonPatch({ a: 1, l: [1] }, patch)).toThrow(
    expect.objectContaining({ code: "API_JSON_PATCH" }),
  );
});

test("jsonPatch of any operations is applied or refused, never anything else", () => {
  const operation = fc.record({
    op: fc.constantFrom("add", "remove", "replace", "move", "copy", "test", "x"),
    path: fc.constantFrom("", "/a", "/a/b", "/l/0", "/l/-", "/__proto__", "nope"),
    from: fc.constantFrom("", "/a", "/l", "/l/1", "/none"),
    value: fc.jsonValue(),
  });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 6 }), (operations) => {
      try {
        jsonPatch({ a: { b: 1 }, l: [1, 2] }, operations as unknown as Json);
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(MeshError);
      }
    }),
  );
});
