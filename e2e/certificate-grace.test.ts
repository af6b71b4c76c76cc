import type { Svid } from "@tulle/agent";
import { createTestAuthority } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { call } from "./support/http.js";
import { tryTls } from "./support/inbound-tls.js";
import { pause } from "./support/load.js";
import { Mesh } from "./support/mesh.js";
import { controlPlaneOf, joinToken, svidOf, TRUST_DOMAIN } from "./support/svid.js";
import { clusterOf, type Workload } from "./support/workload.js";

// With a grace, expired certificates keep the traffic up while the authority is away; without one they do not
// (e2e/root-rotation.test.ts).

const SNI = "outbound_.8080_._.web.default.svc.cluster.local";

let mesh: Mesh;
let caller: Workload;
let web: Workload;

beforeAll(async () => {
  mesh = await Mesh.start(["--certificate-ttl", "6s", "--expired-certificate-grace", "1h"]);
  // Every request goes over a connection of its own, with a handshake of its own.
  await mesh.apply(`
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec: {host: web, trafficPolicy: {connectionPool: {http: {maxRequestsPerConnection: 1}}}}
`);
  [caller, web] = await Promise.all([
    mesh.sidecar({ service: "caller", args: ["--upstream", "web:8080"] }),
    mesh.run({ service: "web" }),
  ]);
  await caller.knows(clusterOf("web"), 1);
}, 60_000);

afterAll(() => mesh.end());

test("traffic goes on with certificates that nobody could renew, and nobody else gets in by that", async () => {
  const controlPlane = await controlPlaneOf(mesh);
  const late = await svidOf(controlPlane, "late", { joinToken: await joinToken(mesh, "late") });
  const foreign = await createTestAuthority({ trustDomain: TRUST_DOMAIN });
  mesh.control.kill9();
  await pause(8000);
  expect(late.notAfter).toBeLessThan(Date.now());
  expect((await call(caller.upstream("web:8080"))).status).toBe(200);
  const at = web.ready.addresses.inbound;
  const certificate = (svid: Pick<Svid, "certificateChainPem" | "privateKeyPem">) => ({
    cert: svid.certificateChainPem,
    key: svid.privateKeyPem,
    servername: SNI,
  });
  expect((await tryTls(at, certificate(late))).answer).toBe("HTTP/1.1 200 OK");
  expect((await tryTls(at, certificate(await foreign.issueExpired()))).answer).toBe("");
  expect((await tryTls(at, certificate(await foreign.issue()))).answer).toBe("");
  expect((await tryTls(at, { servername: SNI })).answer).toBe("");
}, 60_000);
