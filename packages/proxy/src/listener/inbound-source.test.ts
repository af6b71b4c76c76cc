import type { InboundChain, Snapshot } from "@tulle/engine";
import { expect, test } from "vitest";

import { selectChain } from "./inbound-source.js";

function snapshotOf(chains: Readonly<Record<string, readonly string[]>>): Snapshot {
  const listed = Object.entries(chains).map(([name, serverNames]) => ({
    name,
    serverNames,
    transport: "mtls",
  }));
  return {
    inbound: () => ({ name: "virtualInbound", chains: listed as unknown as InboundChain[] }),
  } as unknown as Snapshot;
}

const chains = {
  any: [],
  wide: ["*.default.svc.cluster.local"],
  reviews: ["*.reviews.default.svc.cluster.local"],
  port: ["outbound_.9080_._.reviews.default.svc.cluster.local"],
};

test.each([
  ["outbound_.9080_._.reviews.default.svc.cluster.local", "port"],
  ["outbound_.1_._.reviews.default.svc.cluster.local", "reviews"],
  ["outbound_.1_._.ratings.default.svc.cluster.local", "wide"],
  ["reviews.default.svc.cluster.local", "wide"],
  ["evil-reviews.default.svc.cluster.local", "wide"],
  ["outbound_.1_._.reviews.other.svc.cluster.local", "any"],
  ["", "any"],
])("selectChain finds the most specific chain for %j", (serverName, expected) => {
  expect(selectChain(snapshotOf(chains), "mtls", serverName)?.name).toBe(expected);
});

test("selectChain finds none when no name fits or the transport is another", () => {
  expect(selectChain(snapshotOf({ port: chains.port }), "mtls", "x")).toBeUndefined();
  expect(selectChain(snapshotOf(chains), "plaintext", "x")).toBeUndefined();
});
