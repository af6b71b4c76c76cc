import fc from "fast-check";
import { expect, test } from "vitest";

import { tokenOf } from "./credentials.js";

const OWN = new URL("https://mesh/tulle/v1/status");
const CONSUL = new URL("https://mesh/v1/catalog/services");

function shown(url: URL, ...fields: readonly [string, string][]): string | undefined {
  return tokenOf(url, new Headers(fields.map((field) => [...field])));
}

test.each([
  [OWN, [["authorization", "Bearer abc"]], "abc"],
  [OWN, [["authorization", "bearer   abc"]], "abc"],
  [CONSUL, [["x-consul-token", "abc"]], "abc"],
  [new URL("?token=abc", CONSUL), [["x-consul-token", "def"]], "abc"],
  [
    CONSUL,
    [
      ["authorization", "Bearer abc"],
      ["x-consul-token", "def"],
    ],
    "def",
  ],
  // Only Consul's clients show tokens so.
  [OWN, [["x-consul-token", "abc"]], undefined],
  [new URL("?token=abc", OWN), [], undefined],
  [new URL("https://mesh/v1x/y?token=abc"), [], undefined],
  [OWN, [], undefined],
] as const)("tokenOf %s %j is %s", (url, fields, token) => {
  expect(shown(url, ...fields.map(([name, value]) => [name, value] as [string, string]))).toBe(token);
});

test.each([
  "",
  "Basic YTpi",
  "Bearer",
  "Bearer ",
  "Bearer a b",
  "Bearer a, Bearer b",
  `Bearer ${"a".repeat(20_000)}`,
])("tokenOf takes %.20j for a token that nobody has, never for none", (authorization) =>
  expect(shown(OWN, ["authorization", authorization])).toBe(""),
);

test("tokenOf takes two Authorization fields for a token that nobody has", () => {
  expect(shown(OWN, ["authorization", "Bearer a"], ["authorization", "Bearer b"])).toBe("");
});

test("tokenOf gives a text without white space, whatever is shown", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme-ascii" }), (value) => {
      expect(shown(OWN, ["authorization", value]) ?? "").toMatch(/^\S*$/);
    }),
  );
});
