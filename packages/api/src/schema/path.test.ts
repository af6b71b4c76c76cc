import fc from "fast-check";
import { expect, test } from "vitest";
import { formatPath, parsePath } from "./path.js";

test("formatPath writes kubectl's notation and quotes what is no plain word", () => {
  expect(formatPath(["spec", "http", 0, "match", 1, "headers", "x-user.id"])).toBe(
    'spec.http[0].match[1].headers["x-user.id"]',
  );
  expect(formatPath(["spec", ""])).toBe('spec[""]');
});

test("parsePath reads what formatPath wrote", () => {
  const key = fc.oneof(
    fc.string({ maxLength: 20 }),
    fc.nat(9999),
    fc.constantFrom("__proto__", "a.b", '"', "]", "0"),
  );
  fc.assert(
    fc.property(fc.array(key), (path) => {
      expect(parsePath(formatPath(path))).toEqual(path);
    }),
  );
});
