import { BlockList, isIP } from "node:net";
import fc from "fast-check";
import { expect, test } from "vitest";
import { overlap } from "./subnets.js";

test.each([
  ["10.1.2.3", "10.0.0.0/8", "inside"],
  ["10.1.2.3", "10.1.2.3", "inside"],
  ["10.1.2.3", "10.1.2.4", "outside"],
  ["10.1.0.0/16", "10.0.0.0/8", "inside"],
  ["10.0.0.0/8", "10.1.0.0/16", "partly"],
  ["10.1.0.0/16", "10.2.0.0/16", "outside"],
  ["240.240.0.7", "0.0.0.0/0", "inside"],
  ["fd00::1", "fd00::/8", "inside"],
  ["fd00::1", "10.0.0.0/8", "outside"],
  ["::ffff:10.0.0.1", "::ffff:0:0/96", "inside"],
  ["nonsense", "0.0.0.0/0", "outside"],
  ["1::2::3", "::/0", "outside"],
])("overlap of %s and %s is %s", (address, subnet, expected) => {
  expect(overlap(address, subnet)).toBe(expected);
});

test("overlap agrees with the runtime on addresses and subnets of both families", () => {
  const v4 = fc.ipV4();
  const v6 = fc.ipV6();
  const pair = fc.oneof(
    fc.tuple(v4, v4, fc.integer({ min: 0, max: 32 })),
    fc.tuple(v6, v6, fc.integer({ min: 0, max: 128 })),
  );
  fc.assert(
    fc.property(pair, fc.boolean(), ([address, other, length], same) => {
      const net = same ? address : other;
      const list = new BlockList();
      const family = isIP(net) === 4 ? "ipv4" : "ipv6";
      list.addSubnet(net, length, family);
      expect(overlap(address, `${net}/${length}`)).toBe(list.check(address, family) ? "inside" : "outside");
    }),
    { numRuns: 500 },
  );
});

test("overlap takes any text", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (a, b) => void overlap(a, b)),
    { numRuns: 500 },
  );
});
