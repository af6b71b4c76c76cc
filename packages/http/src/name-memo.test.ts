import fc from "fast-check";
import { expect, test } from "vitest";

import { NameMemo } from "./name-memo.js";

test("NameMemo says what was found, whatever came at the place before", () => {
  const name = fc.oneof(fc.constantFrom("a", "b", "accept", "x".repeat(64)), fc.string({ maxLength: 80 }));
  fc.assert(
    fc.property(fc.array(fc.array(name, { maxLength: 40 }), { maxLength: 8 }), (lists) => {
      const memo = new NameMemo((wanted) => `found ${wanted}`);
      for (const list of lists)
        expect(list.map((each, place) => memo.at(place, each))).toEqual(list.map((each) => `found ${each}`));
    }),
  );
});

test("NameMemo looks a name up once while it stays in its place, and again when it has left it", () => {
  const asked: string[] = [];
  const memo = new NameMemo((name) => asked.push(name));
  for (const list of [
    ["a", "b"],
    ["a", "b"],
    ["a", "c"],
    ["a", "b"],
  ])
    for (const [place, name] of list.entries()) memo.at(place, name);
  expect(asked).toEqual(["a", "b", "c", "b"]);
  // Neither long names nor late places are remembered.
  for (let time = 0; time < 2; time++) {
    memo.at(0, "x".repeat(65));
    memo.at(40, "late");
  }
  expect(asked.length).toBe(8);
});
