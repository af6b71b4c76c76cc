import fc from "fast-check";
import { expect, test } from "vitest";

import { normalizePath, type PathNormalization } from "./path-normalization.js";

// What each mode makes of a path; `=` stands for the path as it was.
test.each([
  ["/", "=", "=", "="],
  ["/a/b?c=/../d", "=", "=", "="],
  ["/x/../admin", "/admin", "/admin", "/admin"],
  ["/x/%2e%2e/admin", "/admin", "/admin", "/admin"],
  ["/x/.%2E/admin", "/admin", "/admin", "/admin"],
  ["/./admin", "/admin", "/admin", "/admin"],
  ["/%2e/admin", "/admin", "/admin", "/admin"],
  ["/../../admin", "/admin", "/admin", "/admin"],
  ["/a/..", "/", "/", "/"],
  ["/a/.", "/a/", "/a/", "/a/"],
  ["/a/b/../", "/a/", "/a/", "/a/"],
  ["//admin", "=", "/admin", "/admin"],
  ["/x//../admin", "/x/admin", "/x/admin", "/x/admin"],
  ["\\admin", "=", "=", "="],
  ["/\\admin", "//admin", "/admin", "/admin"],
  ["/x\\..\\admin", "/admin", "/admin", "/admin"],
  ["/a//b///c?d=//e", "/a//b///c?d=//e", "/a/b/c?d=//e", "/a/b/c?d=//e"],
  ["/x%2f..%2fadmin", "=", "=", "/admin"],
  ["/%2Fadmin", "=", "=", "/admin"],
  ["/admin%2f", "=", "=", "/admin/"],
  ["/%5cadmin", "=", "=", "/admin"],
  // Decoded once: an escaped percent sign stays what it is.
  ["/x%252f..%252fadmin", "=", "=", "="],
])("normalizePath of %s", (path, base, merge, decode) => {
  const expected = (value: string): string => (value === "=" ? path : value);
  expect(normalizePath(path, "NONE")).toBe(path);
  expect(normalizePath(path, "BASE")).toBe(expected(base));
  expect(normalizePath(path, "MERGE_SLASHES")).toBe(expected(merge));
  expect(normalizePath(path, "DECODE_AND_MERGE_SLASHES")).toBe(expected(decode));
});

test.each([
  "/%61dmin",
  "/ADMIN",
  "/admin%00",
  "/%2561dmin",
  "/%c0%afadmin",
  "/..%c0%af",
  "/x/..;/admin",
  "/admin;a=b",
  "/admin,x",
  "/admin/",
  "/admin%20",
  "/admin.",
  "/...",
  "/.x",
  "*",
])("normalizePath leaves %s as it is", (path) => {
  for (const mode of ["BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"] as const) {
    expect(normalizePath(path, mode)).toBe(path);
  }
});

const modes = fc.constantFrom<PathNormalization>("BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES");
const pieces = fc.constantFrom("/", "//", ".", "..", "%2e", "%2F", "%5c", "\\", "a", "b%20", "?", "%25", ";");

test("normalizePath of what it made changes nothing more, and holds no dot segment", () => {
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 20 }), modes, (parts, mode) => {
      const once = normalizePath(`/${parts.join("")}`, mode);
      expect(normalizePath(once, mode)).toBe(once);
      const path = once.split("?")[0]!;
      expect(path.split("/").some((segment) => /^(\.|%2e){1,2}$/i.test(segment))).toBe(false);
      if (mode !== "BASE") expect(path).not.toContain("//");
      if (mode === "DECODE_AND_MERGE_SLASHES") expect(path).not.toMatch(/%2f|%5c|\\/i);
    }),
  );
});
