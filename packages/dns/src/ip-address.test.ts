import { isIPv4, isIPv6 } from "node:net";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { parseHexAddress, parseIpAddress } from "./ip-address.js";

test("parseIpAddress gives 4 bytes for IPv4 and 16 for IPv6", () => {
  expect(parseIpAddress("127.0.0.1")?.toString("hex")).toBe("7f000001");
  expect(parseIpAddress("::1")?.toString("hex")).toBe("00000000000000000000000000000001");
  expect(parseIpAddress("2001:db8::a:1.2.3.4")?.toString("hex")).toBe(
    "20010db800000000000000" + "0a01020304".slice(0, 10),
  );
});

test.each([
  "",
  "1.2.3",
  "1.2.3.256",
  "01.2.3.4",
  "1::2::3",
  "::1.2.3",
  "1:2:3:4:5:6:7",
  "g::",
  "host",
  "1:2:3:4:5:6:7::8:9",
  "0.0.0.0::",
  "1:1.2.3.4::5",
])("parseIpAddress refuses %j", (text) => {
  expect(parseIpAddress(text)).toBeUndefined();
});

test("parseIpAddress agrees with Node.js on generated literals and their mutations", () => {
  const literal = fc.oneof(fc.ipV4(), fc.ipV6(), fc.stringMatching(/^[0-9a-f:.]{0,20}$/));
  fc.assert(
    fc.property(literal, (text) => {
      const expected = isIPv4(text) ? 4 : isIPv6(text) ? 16 : undefined;
      expect(parseIpAddress(text)?.length).toBe(expected);
    }),
    { numRuns: 2000 },
  );
});

test("parseHexAddress takes 8 or 32 hex digits and nothing else", () => {
  expect([...(parseHexAddress("7F000001") ?? [])]).toEqual([127, 0, 0, 1]);
  expect(parseHexAddress("0".repeat(32))?.length).toBe(16);
  expect(parseHexAddress("7f00001")).toBeUndefined();
  expect(parseHexAddress("7f00000g")).toBeUndefined();
});
