import * as fc from "fast-check";
import { expect, test } from "vitest";
import { parseAuthority } from "./authority.js";

test.each([
  ["reviews", "reviews", undefined],
  ["Reviews.Default:9080", "reviews.default", 9080],
  ["example.com.", "example.com", undefined],
  ["example.com.:80", "example.com", 80],
  ["under_score~x-y.z:65535", "under_score~x-y.z", 65_535],
  ["10.0.0.1:", "10.0.0.1", undefined],
  ["[::1]:80", "[::1]", 80],
  ["[::]", "[::]", undefined],
  ["[2001:DB8:0:0:0:0:0:1]", "[2001:db8:0:0:0:0:0:1]", undefined],
  ["[::ffff:10.0.0.1]:8080", "[::ffff:10.0.0.1]", 8080],
  ["[1:2:3:4:5:6:7::]", "[1:2:3:4:5:6:7::]", undefined],
])("parseAuthority takes %j apart", (text, host, port) => {
  expect(parseAuthority(text)).toEqual({ host, port });
});

test.each([
  "",
  ":80",
  ".",
  "a..b",
  ".a",
  "a..",
  "a b",
  "a,b",
  "a/b",
  "u@a",
  "a%2eb",
  "a:0",
  "a:080",
  "a:65536",
  "a:99999",
  "a:+1",
  "a:1:2",
  "a:x",
  "[::1",
  "::1",
  "[]",
  "[:]",
  "[:::]",
  "[1::2::3]",
  "[1:2:3:4:5:6:7]",
  "[1:2:3:4:5:6:7:8:9]",
  "[1:2:3:4:5:6:7:8::]",
  "[12345::]",
  "[::g]",
  "[::1]x",
  "[::1.2.3]",
  "[::1.2.3.256]",
  "[::01.2.3.4]",
  "[1.2.3.4::]",
  "[fe80::1%eth0]",
  "é",
  "a\0",
  "a".repeat(300),
])("parseAuthority refuses %j", (text) => {
  expect(parseAuthority(text)).toBeUndefined();
});

test("parseAuthority gives what it takes for the same", () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[a-zA-Z0-9.\-_:[\]]{1,24}$/), (text) => {
      const once = parseAuthority(text);
      if (once === undefined) return;
      const { host, port } = once;
      expect(parseAuthority(port === undefined ? host : `${host}:${port}`)).toEqual(once);
    }),
  );
});
