import { expect, test } from "vitest";
import type { EngineRequest } from "../contract.js";
import type { InboundChain, InboundListener, Snapshot } from "../snapshot/contract.js";
import { MESH_PARAMETERS } from "../snapshot/tls-parameters.js";
import { gatewayChain } from "./gateway-chain.js";

const chain = (
  port: number,
  transport: InboundChain["transport"],
  ...serverNames: string[]
): InboundChain => ({
  name: `${port} ${serverNames.join()}`,
  destinationPort: port,
  isDefault: false,
  serverNames,
  applicationProtocols: [],
  transport,
  trustDomains: [],
  tls: undefined,
  http: undefined,
  tcp: undefined,
});

const listener: InboundListener = {
  name: "virtualInbound",
  warm: true,
  direction: "outbound",
  port: 80,
  addresses: [80, 443, 8080, 8443].map((port) => ({ host: "0.0.0.0", port })),
  proxyProtocol: undefined,
  silenceMs: 0,
  meshTls: MESH_PARAMETERS,
  chains: [
    chain(80, "plaintext"),
    chain(8080, "plaintext"),
    chain(443, "tls", "a.example.com"),
    chain(443, "mtls", "*.example.com"),
    chain(443, "passthrough", "*.b.example.com"),
    chain(8443, "tls"),
  ],
};
const snapshot = { inbound: () => listener } as unknown as Snapshot;
const request = (scheme: "http" | "https", authority: string): EngineRequest => ({
  method: "GET",
  path: "/",
  authority,
  scheme,
  headers: [],
});

test.each([
  ["http", "any.example.org", "80 "],
  ["http", "any.example.org:8080", "8080 "],
  ["http", "any.example.org:28080", "80 "],
  ["https", "a.example.com", "443 a.example.com"],
  ["https", "b.example.com", "443 *.example.com"],
  ["https", "a.b.example.com:443", "443 *.b.example.com"],
  ["https", "any.example.org:8443", "8443 "],
  ["https", "any.example.org", undefined],
  ["https", "a.example.com:80", undefined],
] as const)("%s://%s comes to the chain %s", (scheme, authority, name) => {
  expect(gatewayChain(snapshot, request(scheme, authority))?.name).toBe(name);
});
