import fc from "fast-check";
import { expect, test } from "vitest";

import { formatSpiffeId, isTrustDomain, parseSpiffeId } from "./spiffe-id.js";

test("parseSpiffeId reads trust domain and path", () => {
  expect(parseSpiffeId("spiffe://cluster.local/ns/default/sa/reviews")).toEqual({
    trustDomain: "cluster.local",
    path: "/ns/default/sa/reviews",
  });
  expect(parseSpiffeId("spiffe://a_b-c.1/A._-z")).toEqual({ trustDomain: "a_b-c.1", path: "/A._-z" });
  expect(parseSpiffeId("spiffe://td/.../..a")).toEqual({ trustDomain: "td", path: "/.../..a" });
});

test.each([
  "",
  "spiffe://",
  "spiffe:///a",
  "spiffe://td",
  "spiffe://td/",
  "spiffe://td/a/",
  "spiffe://td//a",
  "spiffe://td/a//b",
  "spiffe://td/.",
  "spiffe://td/..",
  "spiffe://td/./a",
  "spiffe://td/a/../b",
  "spiffe://td/a/..",
  "SPIFFE://td/a",
  "Spiffe://td/a",
  "http://td/a",
  "spiffe:/td/a",
  "spiffe://TD/a",
  "spiffe://td:80/a",
  "spiffe://user@td/a",
  "spiffe://td/a?b",
  "spiffe://td/a#b",
  "spiffe://td/a%41",
  "spiffe://t%64/a",
  "spiffe://td/ä",
  "spiffe://td/a b",
  "spiffe://td/a\0",
  "spiffe://td/a\n",
  "spiffe://td/a\\b",
  "spiffe://td/a;b",
  "spiffe://td/a:b",
  "spiffe://td/a@b",
  "spiffe://td/a%2fb",
  "spiffe://td/a%00",
  "spiffe://td/%2e%2e/b",
  "spiffe://td./../a",
  "spiffe://td\\a",
  "spiffe://td?a/b",
  "spiffe://td#a/b",
  "spiffe://:/a",
  "spiffe://@/a",
  "spiffe://[::1]/a",
  "spiffe://td:/a",
  "spiffe://user:secret@td/a",
  "spiffe://tdé/a",
  "spiffe:// td/a",
  "spiffe://td/a ",
  "spiffe:///td/a",
  "spiffe:td/a",
  "spiffes://td/a",
  "//td/a",
  "td/a",
  "URI:spiffe://td/a",
  "spiffe://td/a, URI:spiffe://td/admin",
  " spiffe://td/a",
  `spiffe://td/${"a".repeat(2048)}`,
  `spiffe://${"t".repeat(256)}/a`,
])("parseSpiffeId refuses %j", (text) => {
  expect(parseSpiffeId(text)).toBeUndefined();
});

test("parseSpiffeId takes exactly the bytes that SPIFFE allows, in trust domain and path", () => {
  for (let code = 0; code < 256; code++) {
    const char = String.fromCharCode(code);
    const inDomain = /[a-z0-9._-]/.test(char);
    const inPath = /[A-Za-z0-9._-]/.test(char);
    // A slash ends the trust domain, and parts a path.
    if (char === "/") continue;
    expect(parseSpiffeId(`spiffe://t${char}d/a`) !== undefined, `domain ${code}`).toBe(inDomain);
    expect(parseSpiffeId(`spiffe://td/a${char}b`) !== undefined, `path ${code}`).toBe(inPath);
  }
});

test("parseSpiffeId and isTrustDomain count to the byte: 2048 for an id, 255 for a trust domain", () => {
  const id = (length: number): string => "spiffe://td/".padEnd(length, "a");
  expect(parseSpiffeId(id(2048))).toBeDefined();
  expect(parseSpiffeId(id(2049))).toBeUndefined();
  expect(isTrustDomain("t".repeat(255))).toBe(true);
  expect(isTrustDomain("t".repeat(256))).toBe(false);
  expect(parseSpiffeId(`spiffe://${"t".repeat(255)}/a`)).toBeDefined();
  expect(isTrustDomain("")).toBe(false);
});

test("isTrustDomain takes exactly the bytes that SPIFFE allows", () => {
  for (let code = 0; code < 256; code++) {
    const char = String.fromCharCode(code);
    expect(isTrustDomain(`t${char}d`), `byte ${code}`).toBe(/[a-z0-9._-]/.test(char));
  }
  expect(isTrustDomain("td\n")).toBe(false);
});

test("parseSpiffeId loses nothing of what it accepts, and never throws", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (rest) => {
      const id = parseSpiffeId(`spiffe://${rest}`);
      if (id !== undefined) expect(id.trustDomain + id.path).toBe(rest);
    }),
  );
});

test("formatSpiffeId writes Istio's form", () => {
  expect(formatSpiffeId({ trustDomain: "cluster.local", namespace: "shop", serviceAccount: "reviews" })).toBe(
    "spiffe://cluster.local/ns/shop/sa/reviews",
  );
});
