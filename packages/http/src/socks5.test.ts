import fc from "fast-check";
import { expect, test } from "vitest";

import { readSocks5Greeting, readSocks5Request, socks5Reply, type Socks5Read } from "./socks5.js";

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");
const named = (name: string, port: number, command = 1): Buffer =>
  Buffer.concat([
    Buffer.from([5, command, 0, 3, name.length]),
    Buffer.from(name, "latin1"),
    Buffer.from([port >> 8, port & 0xff]),
  ]);

/** What is refused, and with which reply, "-" for none. */
function refused(read: Socks5Read<object>): string {
  if (read === undefined || !("refused" in read)) return "not refused";
  return `${read.refused} ${read.bytes.length === 0 ? "-" : read.bytes[1]}`;
}

test.each([
  ["05 01 00", 3],
  ["05 03 02 01 00", 5],
  ["05 01 00 05 01 00", 3],
])("readSocks5Greeting takes %s", (bytes, length) => {
  expect(readSocks5Greeting(hex(bytes))).toEqual({ length });
});

test.each([
  ["04 01 00 50", "malformed -"],
  ["47 45 54", "malformed -"],
  ["05 00", "malformed -"],
  ["05 01 02", "methods 255"],
  ["05 02 01 ff", "methods 255"],
])("readSocks5Greeting refuses %s", (bytes, why) => {
  expect(refused(readSocks5Greeting(hex(bytes)))).toBe(why);
});

test.each([
  [named("Reviews", 9080), { host: "reviews", port: 9080 }],
  [named("api.example.", 443), { host: "api.example", port: 443 }],
  [named("192.0.2.7", 80), { host: "192.0.2.7", port: 80 }],
  [named("::1", 80), { host: "::1", port: 80 }],
  [hex("05 01 00 01 c0 00 02 07 00 50"), { host: "192.0.2.7", port: 80 }],
  [
    hex("05 01 00 04 20010db8 00000000 00000000 00000001 ffff"),
    { host: "2001:db8:0:0:0:0:0:1", port: 65_535 },
  ],
])("readSocks5Request reads %o", (bytes, destination) => {
  expect(readSocks5Request(bytes)).toEqual({ ...destination, length: bytes.length });
  expect(readSocks5Request(Buffer.concat([bytes, hex("05 01")]))).toEqual({
    ...destination,
    length: bytes.length,
  });
});

test.each([
  ["BIND", named("a", 80, 2), "command 7"],
  ["UDP ASSOCIATE", named("a", 80, 3), "command 7"],
  ["another command", named("a", 80, 9), "malformed 1"],
  ["a reserved byte that is set", hex("05 01 01 01 c0 00 02 07 00 50"), "malformed 1"],
  ["an unknown type of address", hex("05 01 00 02 c0"), "address type 8"],
  ["another version", hex("04 01 00 50"), "malformed -"],
  ["port 0", named("a", 0), "malformed 1"],
  ["no name", named("", 80), "malformed 1"],
  ["a NUL in the name", named("a\0b", 80), "malformed 1"],
  ["a port in the name", named("a:80", 80), "malformed 1"],
  ["a name with user information", named("u@a", 80), "malformed 1"],
  ["a name with a line end", named("a\r\nb", 80), "malformed 1"],
  ["brackets", named("[::1]", 80), "malformed 1"],
  ["letters beyond ASCII", named("\xe4", 80), "malformed 1"],
])("readSocks5Request refuses %s", (_what, bytes, why) => {
  expect(refused(readSocks5Request(bytes))).toBe(why);
});

test("an answer has no address", () => {
  expect(socks5Reply(4)).toEqual(hex("05 04 00 01 00 00 00 00 00 00"));
});

const anyBytes = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
const likely = fc
  .tuple(fc.constantFrom(0, 1, 2, 3, 4, 5), fc.constantFrom(0, 1), fc.constantFrom(1, 2, 3, 4), anyBytes)
  .map(([command, reserved, type, rest]) => Buffer.concat([Buffer.from([5, command, reserved, type]), rest]));

test.each([
  ["readSocks5Greeting", readSocks5Greeting],
  ["readSocks5Request", readSocks5Request],
] as const)("%s says the same of any bytes however they come, and looks at 262 at most", (_name, read) => {
  fc.assert(
    fc.property(fc.oneof(anyBytes, likely), (bytes) => {
      let early: Socks5Read<object>;
      for (let end = 0; early === undefined && end <= bytes.length; end++)
        early = read(bytes.subarray(0, end));
      expect(early).toEqual(read(bytes));
      if (bytes.length >= 262) expect(early).toBeDefined();
      if (early !== undefined && "length" in early) expect(early.length).toBeLessThanOrEqual(262);
    }),
  );
});
