import fc from "fast-check";
import { isIP } from "node:net";
import { expect, test } from "vitest";
import { isCidr, isIpAddress, isIpv6 } from "./addresses.js";
import { covers, isHostname, isWildcard } from "./hosts.js";

test("isIpAddress agrees with the host's own parser on addresses and near misses", () => {
  const piece = fc.constantFrom(
    "0",
    "1",
    "255",
    "256",
    "01",
    "ffff",
    "g",
    "",
    "::",
    ":",
    ".",
    "1.2.3.4",
    "fe80",
    "%1",
  );
  const near = fc
    .array(piece, { maxLength: 9 })
    .chain((parts) => fc.constantFrom(parts.join(""), parts.join(":"), parts.join(".")));
  fc.assert(
    fc.property(fc.oneof(near, fc.ipV4(), fc.ipV6()), (text) => {
      // A zone names an interface of one host: no address of a service.
      expect(isIpAddress(text)).toBe(isIP(text) !== 0 && !text.includes("%"));
    }),
    { numRuns: 3000 },
  );
});

test("isIpv6 counts groups with an embedded IPv4 address", () => {
  expect(isIpv6("::ffff:1.2.3.4")).toBe(true);
  expect(isIpv6("1:2:3:4:5:6:1.2.3.4")).toBe(true);
  expect(isIpv6("1:2:3:4:5:6:7:1.2.3.4")).toBe(false);
  expect(isIpv6("1.2.3.4::")).toBe(false);
});

test("isCidr takes prefix lengths that the address has", () => {
  expect(["10.0.0.0/8", "10.0.0.0/32", "::/0", "fd00::/128"].every(isCidr)).toBe(true);
  expect(["10.0.0.0/33", "::/129", "10.0.0.0", "10.0.0.0/8/8", "a/8", "10.0.0.0/-1"].some(isCidr)).toBe(
    false,
  );
});

test("isHostname and isWildcard take labels of at most 63 and names of at most 253 characters", () => {
  expect(["a", "a-b.c_d.E1", "a".repeat(63)].every(isHostname)).toBe(true);
  expect(
    ["", ".", "a.", "-a", "a-", "a..b", "a b", "*", "a".repeat(64), "a.".repeat(127)].some(isHostname),
  ).toBe(false);
  expect(["*", "*.a", "*.a.b"].every(isWildcard)).toBe(true);
  expect(["*.", "**", "*a", "a.*", "*.*"].some(isWildcard)).toBe(false);
});

test("covers holds for the name itself and everything below a wildcard, in any case", () => {
  expect(covers("*.a.com", "X.A.com")).toBe(true);
  expect(covers("*.a.com", "*.b.a.com")).toBe(true);
  expect(covers("*", "a")).toBe(true);
  expect(covers("a", "A")).toBe(true);
  expect(covers("*.a.com", "a.com")).toBe(false);
  expect(covers("*.a.com", ".a.com")).toBe(false);
  expect(covers("a.com", "x.a.com")).toBe(false);
});
