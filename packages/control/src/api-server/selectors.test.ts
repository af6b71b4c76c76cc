import fc from "fast-check";
import { expect, test } from "vitest";

import { MeshError } from "@tulle/base";

import { parseFieldSelector, parseLabelSelector } from "./selectors.js";

test.each([
  ["", { a: "b" }, true],
  ["a=b", { a: "b" }, true],
  ["a==b", { a: "c" }, false],
  ["a!=b", {}, true],
  ["a!=b", { a: "b" }, false],
  ["a in (b, c)", { a: "c" }, true],
  ["a in (b,c)", {}, false],
  ["a notin (b,c)", {}, true],
  ["a notin (b,c)", { a: "b" }, false],
  ["a", { a: "" }, true],
  ["!a", { a: "" }, false],
  ["a=b,c in (d,e),!f", { a: "b", c: "e" }, true],
  ["a=b,c in (d,e),!f", { a: "b", c: "e", f: "" }, false],
  ["example.com/x-y=z", { "example.com/x-y": "z" }, true],
  ["toString", {}, false],
])("parseLabelSelector reads %j", (text, labels, expected) => {
  expect(parseLabelSelector(text)(labels as Record<string, string>)).toBe(expected);
});

test.each(["a in (b", "=x", "a in b", "a b", "a=b=c"])("parseLabelSelector refuses %j", (text) => {
  expect(() => parseLabelSelector(text)).toThrow(expect.objectContaining({ code: "API_SELECTOR" }));
});

test("parseFieldSelector reads equality and inequality", () => {
  expect(parseFieldSelector("metadata.name=x,metadata.namespace!=y,")).toEqual([
    { path: "metadata.name", value: "x", negated: false },
    { path: "metadata.namespace", value: "y", negated: true },
  ]);
  expect(() => parseFieldSelector("metadata.name")).toThrow(MeshError);
});

test("selectors of any text are read or refused, never anything else", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      for (const parse of [parseLabelSelector, parseFieldSelector]) {
        try {
          parse(text);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(MeshError);
        }
      }
    }),
  );
});
