import { expect, test } from "vitest";

import { PrefixIndex } from "./prefix-index.js";

test("what is filed is found by the length and the text of a prefix; more lengths than a few are not taken", () => {
  const index = new PrefixIndex<string>();
  expect(index.add(undefined, "none")).toBe(false);
  expect(index.add(["/a", "/bb", "/a"], "one")).toBe(true);
  expect(index.add(["/a"], "two")).toBe(true);
  const found = (text: string): readonly string[] =>
    index.groups.flatMap(({ length, rules }) => rules.get(text.slice(0, length)) ?? []);
  expect(found("/a/x")).toEqual(["one", "two"]);
  expect(found("/bbc")).toEqual(["one"]);
  expect(found("/c")).toEqual([]);
  for (let length = 3; length < 7; length++)
    expect(index.add(["/".padEnd(length + 1, "c")], "more")).toBe(true);
  expect(index.add(["/ccccccccc"], "beyond")).toBe(false);
  expect(index.groups).toHaveLength(6);
});
