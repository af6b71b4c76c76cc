import fc from "fast-check";
import { expect, test } from "vitest";
import type { InboundChain, InboundListener, Snapshot } from "../snapshot/contract.js";
import { selectServerChain } from "./inbound-chains.js";
import { SourceRanges } from "./source-ranges.js";

const ranges = (...blocks: string[]): SourceRanges =>
  new SourceRanges(
    "ranges",
    blocks.map((block) => {
      const [addressPrefix = "", length] = block.split("/");
      return { addressPrefix, prefixLen: Number(length) };
    }),
  );

test.each([
  ["10.1.2.3", 16],
  ["10.2.0.1", 8],
  ["::ffff:10.1.0.1", 16],
  ["11.0.0.1", -1],
  ["fd00::7", 8],
  ["fe80::1%eth0", -1],
  ["", -1],
])("the narrowest block that has %s is of %s bits", (address, bits) => {
  expect(ranges("10.0.0.0/8", "10.1.0.0/16", "fd00::/8").match(address)).toBe(bits);
});

test("a block without a length is everything, as in Envoy, and what is none is refused", () => {
  expect(new SourceRanges("r", [{ addressPrefix: "10.0.0.0" }]).match("192.0.2.1")).toBe(0);
  expect(() => new SourceRanges("r", [{ addressPrefix: "there", prefixLen: 8 }])).toThrow(
    "r[0]: must be a block of addresses",
  );
  expect(() => ranges("10.0.0.0/33")).toThrow("ranges[0]: must be a block");
});

test("a block of so many bits has exactly the addresses that agree in them", () => {
  const address = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255));
  const bitsOf = (parts: readonly number[]): string =>
    parts.map((part) => part.toString(2).padStart(8, "0")).join("");
  fc.assert(
    fc.property(address, address, fc.nat(32), (block, client, length) => {
      const agree = bitsOf(block).slice(0, length) === bitsOf(client).slice(0, length);
      expect(ranges(`${block.join(".")}/${length}`).match(client.join("."))).toBe(agree ? length : -1);
    }),
  );
});

function chain(name: string, serverNames: readonly string[], sources?: SourceRanges): InboundChain {
  return {
    name,
    destinationPort: 443,
    isDefault: false,
    serverNames,
    sources,
    applicationProtocols: [],
    transport: "passthrough",
    trustDomains: [],
    tls: undefined,
    http: undefined,
    tcp: undefined,
  };
}

test.each([
  ["a.example.com", "10.1.0.1", "narrow"],
  ["a.example.com", "10.2.0.1", "wide"],
  ["a.example.com", "192.0.2.1", "rest"],
  ["b.example.com", "10.1.0.1", "only"],
  // As in Envoy: the better name decides first.
  ["b.example.com", "192.0.2.1", undefined],
  ["c.example.com", "192.0.2.1", "any"],
])("selectServerChain for %s from %s takes %s", (serverName, source, expected) => {
  const chains = [
    chain("any", ["*.example.com"]),
    chain("rest", ["a.example.com"]),
    chain("wide", ["a.example.com"], ranges("10.0.0.0/8")),
    chain("narrow", ["a.example.com"], ranges("10.1.0.0/16")),
    chain("only", ["b.example.com"], ranges("10.0.0.0/8")),
  ];
  for (const order of [chains, [...chains].reverse()]) {
    const snapshot = { inbound: () => ({ chains: order, port: 443 }) as unknown as InboundListener };
    const found = selectServerChain(snapshot as unknown as Snapshot, 443, serverName, true, source);
    expect(found?.name).toBe(expected);
  }
});
