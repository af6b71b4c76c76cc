import fc from "fast-check";
import { expect, test } from "vitest";

import { decodePercent } from "./percent-decoding.js";
import { readQuery } from "./query.js";

test.each([
  // Envoy's example of url_unescape_spec.
  ["%2f%23/%20%2523", "reserved", "%2f%23/ %23"],
  ["%2f%23/%20%2523", "slash", "%2f#/ %23"],
  ["%2f%23/%20%2523", "nothing", "/#/ %23"],
  ["%", "nothing", "%"],
  ["%4", "nothing", "%4"],
  ["%zz%41", "nothing", "%zzA"],
  ["%C3%A9", "reserved", "é"],
] as const)("%s without %s is %s", (text, kept, decoded) => {
  expect(decodePercent(text, kept)).toBe(decoded);
});

test("what was encoded is decoded", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) => {
      expect(decodePercent(encodeURIComponent(text), "nothing")).toBe(text);
    }),
  );
});

test("queries are read whole, or not at all", () => {
  expect(readQuery("a=1&b&=c&a=%26+x&&", false)).toEqual([
    ["a", "1"],
    ["b", ""],
    ["", "c"],
    ["a", "&+x"],
  ]);
  expect(readQuery("a=+x", true)).toEqual([["a", " x"]]);
  expect(readQuery("a&".repeat(256), false)).toBeUndefined();
  expect(readQuery("a&".repeat(200), false)).toHaveLength(200);
});
