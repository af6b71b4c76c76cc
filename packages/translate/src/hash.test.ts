import { expect, test } from "vitest";
import { hash64 } from "./hash.js";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test.each([
  ["", "cbf29ce484222325"],
  ["a", "af63dc4c8601ec8c"],
  ["foobar", "85944171f73967e8"],
])("hash64 gives the published FNV-1a value of %j", (text, expected) => {
  expect(hash64(bytes(text))).toBe(expected);
});

test("hash64 tells apart contents that differ in one bit", () => {
  const one = new Uint8Array(10_000);
  const other = new Uint8Array(10_000);
  other[9_999] = 1;
  expect(hash64(one)).not.toBe(hash64(other));
});
