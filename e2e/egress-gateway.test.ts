import { createServer } from "node:https";
import { writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

import { createTestAuthority, eventually } from "@tulle/testkit";
import { afterAll, expect, test } from "vitest";

import { call } from "./support/http.js";
import { Mesh } from "./support/mesh.js";

// An egress gateway as its users run it: plaintext from the application, mutual TLS to the gateway, TLS to the outside.

const closing: (() => unknown)[] = [];
afterAll(async () => {
  for (const close of closing.reverse()) await close();
}, 60_000);

test("what applications say in plaintext leaves the mesh as TLS, by the egress gateway", async () => {
  const authority = await createTestAuthority();
  const { certificateChainPem: cert, privateKeyPem: key } = await authority.issue({
    uris: [],
    dnsNames: ["api.example.com"],
  });
  const outside = createServer({ cert, key }, (request, response) => {
    response.end(JSON.stringify({ host: request.headers.host, url: request.url }));
  });
  await new Promise<void>((resolve) => outside.listen(0, "127.0.0.1", resolve));
  closing.push(() => outside.close());
  const { port } = outside.address() as AddressInfo;
  const mesh = await Mesh.start();
  closing.push(() => mesh.end());
  const roots = join(mesh.directory, "roots.pem");
  writeFileSync(roots, authority.rootCertificatePem);
  await mesh.apply(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api}
spec:
  hosts: [api.example.com]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: ${port}}]
  endpoints: [{address: 127.0.0.1}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: egress}
spec:
  selector: {istio: egressgateway}
  servers: [{port: {number: 8443, protocol: HTTPS, name: https}, hosts: [api.example.com], tls: {mode: ISTIO_MUTUAL}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: api}
spec:
  hosts: [api.example.com]
  gateways: [mesh, egress]
  http:
  - match: [{gateways: [mesh]}]
    route: [{destination: {host: egressgateway, port: {number: 8443}}}]
  - match: [{gateways: [egress]}]
    route: [{destination: {host: api.example.com, port: {number: 80}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: to-egress}
spec:
  host: egressgateway
  trafficPolicy: {tls: {mode: ISTIO_MUTUAL, sni: api.example.com}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: api}
spec:
  host: api.example.com
  # For the gateway only: sidecars speak mutual TLS with it.
  workloadSelector: {matchLabels: {istio: egressgateway}}
  trafficPolicy: {tls: {mode: SIMPLE, caCertificates: ${roots}}}
`);
  const free = await freePort();
  const gateway = await mesh.gateway({
    name: "egressgateway",
    ports: [],
    args: ["--map", `8443=${free}`, "--register", "8443"],
  });
  expect(await gateway.port(8443)).toBe(free);
  const client = await mesh.sidecar({ service: "client", args: ["--upstream", "api.example.com"] });
  const url = `${client.upstream("api.example.com")}/v1`;
  const answer = await eventually(async () => {
    const given = await call(url, { headers: { host: "api.example.com" } });
    return given.status === 200 ? given : undefined;
  });
  expect(JSON.parse(answer.body)).toEqual({ host: "api.example.com", url: "/v1" });
  const metrics = await gateway.metrics();
  expect(metrics).toMatch(/istio_requests_total\{[^}]*destination_service="api\.example\.com"[^}]*\} [1-9]/);
}, 60_000);

/** A port that is free now, for one that must be said before it is opened. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
