import type { InboundChain, Snapshot } from "@tulle/engine";
import { expect, test } from "vitest";

import { selectChain } from "./inbound-source.js";

function snapshotOf(chains: Readonly<Record<string, readonly string[]>>): Snapshot {
  const listed = Object.entries(chains).map(([name, serverNames]) => ({
    name,
    serverNames,
    applicationProtocols: name.endsWith("-http") ? ["h2", "http/1.1"] : [],
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
  expect(selectChain(snapshotOf(chains), "mtls", serverName, "")?.name).toBe(expected);
});

test.each([
  // Made to the listener, wherever it really is bound.
  [undefined, "x", "own"],
  [undefined, "y", "default"],
  [9080, "x", "9080"],
  [9080, "y", "9080"],
  // Named by a chain, so those without a port are none of its business.
  [9081, "y", "default"],
  [7000, "x", "any port"],
])("selectChain leaves the choice to the chains of port %s", (port, serverName, expected) => {
  const chain = (name: string, destinationPort: number | undefined, serverNames: string[] = []) => ({
    name,
    destinationPort,
    serverNames,
    applicationProtocols: [],
    transport: "mtls",
    isDefault: name === "default",
  });
  const snapshot = {
    inbound: () => ({
      port: 15_006,
      chains: [
        chain("own", 15_006, ["x"]),
        chain("9080", 9080),
        chain("9081", 9081, ["x"]),
        chain("any port", undefined),
        chain("default", undefined),
      ],
    }),
  } as unknown as Snapshot;
  expect(selectChain(snapshot, "mtls", serverName, "", port)?.name).toBe(expected);
});

test("selectChain finds none when no name fits or the transport is another", () => {
  expect(selectChain(snapshotOf({ port: chains.port }), "mtls", "x", "")).toBeUndefined();
  expect(selectChain(snapshotOf(chains), "plaintext", "x", "")).toBeUndefined();
});

test("selectChain takes the chain that asks for the protocol, and without one the other", () => {
  const both = snapshotOf({ "port-http": chains.port, port: chains.port, any: [] });
  const [name = ""] = chains.port;
  expect(selectChain(both, "mtls", name, "h2")?.name).toBe("port-http");
  expect(selectChain(both, "mtls", name, "http/1.1")?.name).toBe("port-http");
  expect(selectChain(both, "mtls", name, "")?.name).toBe("port");
  expect(selectChain(both, "mtls", name, "smtp")?.name).toBe("port");
  const turned = snapshotOf({ port: chains.port, "port-http": chains.port });
  expect(selectChain(turned, "mtls", name, "h2")?.name).toBe("port-http");
});
