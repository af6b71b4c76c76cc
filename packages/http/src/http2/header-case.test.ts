import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { HeaderList } from "../contract.js";
import { encodeHeaderCase, restoreHeaderCase } from "./header-case.js";

const list = (...names: string[]): HeaderList => names.flatMap((name) => [name, "v"]);

test.each([
  [[], ""],
  [["accept", "x-a"], ""],
  [["Host", "User-Agent", "X-Request-Id"], "t"],
  [["Host", "ETag", "X-B3-TraceId"], "t,ETag,X-B3-TraceId"],
  [["host", "user-agent", "accept", "Cookie"], "l,Cookie"],
  [["Host", "Accept", "x-request-id"], "t,x-request-id"],
  [["Host", "ETag", "ETag"], "t,ETag"],
  [["Host", "X-A", "ETag", "x-a", "X-A"], "t,X-A,ETag,x-a,X-A"],
  [["x-a", "X-A", "accept"], "l,x-a,X-A"],
])("encodeHeaderCase writes %j as %j", (names, value) => {
  expect(encodeHeaderCase(list(...names))).toBe(value);
  // From its cache as well.
  expect(encodeHeaderCase(list(...names))).toBe(value);
});

const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,24}$/);

test("restoreHeaderCase gives back every spelling that encodeHeaderCase wrote, whatever the order of the fields is then", () => {
  fc.assert(
    fc.property(fc.uniqueArray(token, { maxLength: 12, selector: (name) => name.toLowerCase() }), (names) => {
      const value = encodeHeaderCase(list(...names));
      const restored = list(...names.map((name) => name.toLowerCase()).reverse());
      restoreHeaderCase(restored, value);
      expect(restored).toEqual(list(...[...names].reverse()));
    }),
    { numRuns: 500 },
  );
});

test("restoreHeaderCase gives back names that one head spells in several ways", () => {
  const name = fc.constantFrom("x-a", "X-A", "x-A", "etag", "ETag", "Etag", "host", "Host", "accept");
  fc.assert(
    fc.property(fc.array(name, { maxLength: 12 }), (names) => {
      const restored = list(...names.map((each) => each.toLowerCase()));
      restoreHeaderCase(restored, encodeHeaderCase(list(...names)));
      expect(restored).toEqual(list(...names));
    }),
    { numRuns: 500 },
  );
});

test("restoreHeaderCase changes nothing but the case of letters, whatever the value is", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          fc.constantFrom("t", "l", "Content-Length", "content-LENGTH", "x:y", "a\r\nb", "", "__proto__"),
          fc.string({ maxLength: 8 }),
        ),
        { maxLength: 6 },
      ),
      (parts) => {
        const names = ["content-length", "x-a", "__proto__", "a"];
        const headers = list(...names);
        restoreHeaderCase(headers, parts.join(","));
        expect(headers.map((text) => text.toLowerCase())).toEqual(list(...names));
      },
    ),
    { numRuns: 500 },
  );
  const headers = list("x-a");
  restoreHeaderCase(headers, `t,${"X-A".repeat(1000)}`);
  expect(headers).toEqual(list("x-a"));
});
