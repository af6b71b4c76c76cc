import fc from "fast-check";
import { expect, test } from "vitest";

import { kindsNamed, parseSelections } from "./selection.js";

test("parseSelections reads kinds with names, and kinds by name", () => {
  expect(parseSelections(["vs,dr", "a", "b"])).toEqual([
    { word: "vs", names: ["a", "b"] },
    { word: "dr", names: ["a", "b"] },
  ]);
  expect(parseSelections(["vs/a", "dr/b", "vs/c"])).toEqual([
    { word: "vs", names: ["a", "c"] },
    { word: "dr", names: ["b"] },
  ]);
});

test.each([[[",", "a"]], [["vs/a", "b"]], [["vs/"]], [["/a"]], [["vs/a/b"]]])(
  "parseSelections says what is wrong with %j",
  (words) => expect(parseSelections(words)).toEqual(expect.any(String)),
);

test("parseSelections loses no name and makes up none", () => {
  const name = fc.stringMatching(/^[a-z_.-]{1,12}$/);
  fc.assert(
    fc.property(fc.array(fc.tuple(name, name), { minLength: 1 }), (pairs) => {
      const parsed = parseSelections(pairs.map(([kind, own]) => `${kind}/${own}`));
      if (typeof parsed === "string") throw new Error(parsed);
      const flat = parsed.flatMap(({ word, names }) => names.map((own) => `${word}/${own}`));
      expect(flat.sort()).toEqual(pairs.map(([kind, own]) => `${kind}/${own}`).sort());
    }),
  );
});

test("kindsNamed knows kinds by each of their names, and categories", () => {
  for (const word of ["vs", "VirtualService", "virtualservices", "virtualservices.networking.istio.io"]) {
    expect(kindsNamed(word).map(({ kind }) => kind)).toEqual(["VirtualService"]);
  }
  expect(kindsNamed("istio-io").length).toBeGreaterThan(3);
  expect(kindsNamed("__proto__")).toEqual([]);
});
