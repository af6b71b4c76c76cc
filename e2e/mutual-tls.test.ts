import { connectControlPlane, createSigningRequest, type ControlPlaneAddress, type Svid } from "@tulle/agent";
import { formatSpiffeId, MeshError, systemClock } from "@tulle/base";
import { createTestAuthority, eventually, type TestCertificate } from "@tulle/testkit";
import { grpcServiceDefinition } from "@tulle/xds";
import { IstioCertificateService } from "@tulle/xds/gen/istio/v1/auth/ca_pb.js";
import type { ConnectionOptions } from "node:tls";
import { afterAll, beforeAll, expect, test } from "vitest";

import { askWeb, call } from "./support/http.js";
import { tryPlaintext, tryTls } from "./support/inbound-tls.js";
import { Mesh } from "./support/mesh.js";
import { controlPlaneOf, joinToken, svidOf, TRUST_DOMAIN } from "./support/svid.js";
import { clusterOf, type Address, type Workload } from "./support/workload.js";

// Who may talk to whom, tried from outside with certificates that are right, wrong, foreign or missing.

const SNI = "outbound_.8080_._.web.default.svc.cluster.local";
const OK = "HTTP/1.1 200 OK";

let mesh: Mesh;
let web: Workload;
let controlPlane: ControlPlaneAddress;
/** A certificate of the mesh for the account `alice`, as a workload gets it. */
let alice: Svid;

beforeAll(async () => {
  mesh = await Mesh.start();
  await setMode("STRICT");
  web = await mesh.run({ service: "web" });
  controlPlane = await controlPlaneOf(mesh);
  alice = await svidOf(controlPlane, "alice", { joinToken: await joinToken(mesh, "alice") });
}, 60_000);

afterAll(() => mesh.end());

function setMode(mode: "STRICT" | "PERMISSIVE"): Promise<void> {
  return mesh.apply(`
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: ${mode}}}
`);
}

function setMinimum(version: "TLSV1_2" | "TLSV1_3"): Promise<void> {
  return mesh.apply(`
apiVersion: tulle.dev/v1
kind: MeshConfig
metadata: {name: mesh, namespace: istio-system}
spec: {meshMTLS: {minProtocolVersion: ${version}, cipherSuites: [ECDHE-ECDSA-AES128-GCM-SHA256]}}
`);
}

function inbound(): Address {
  return web.ready.addresses.inbound;
}

function withCertificate(svid: Svid | TestCertificate, servername = SNI): ConnectionOptions {
  return { cert: svid.certificateChainPem, key: svid.privateKeyPem, servername };
}

async function requestsServed(): Promise<number> {
  const url = `http://127.0.0.1:${web.ready.appPort}/served`;
  return (await askWeb(url)).served;
}

test("a strict inbound port serves a certificate of the mesh over TLS 1.3", async () => {
  const { answer, protocol } = await tryTls(inbound(), withCertificate(alice));
  expect(answer).toBe(OK);
  expect(protocol).toBe("TLSv1.3");
});

test("a strict inbound port refuses plaintext", async () => {
  expect(await tryPlaintext(inbound())).toBe("");
});

test("a strict inbound port refuses a certificate of a foreign authority, even for an account of the mesh", async () => {
  const foreign = await createTestAuthority({ trustDomain: TRUST_DOMAIN });
  const { answer } = await tryTls(
    inbound(),
    withCertificate(await foreign.issue({ serviceAccount: "alice" })),
  );
  expect(answer).toBe("");
});

test("a strict inbound port refuses a client without a certificate", async () => {
  expect((await tryTls(inbound(), { servername: SNI })).answer).toBe("");
});

test.each([
  "",
  "outbound_.8080_._.other.default.svc.cluster.local",
  "outbound_.8081_._.web.default.svc.cluster.local",
  "outbound_.8080_._.web.other.svc.cluster.local",
  "web.default.svc.cluster.local",
])("a strict inbound port refuses a certificate of the mesh with the server name %j", async (servername) => {
  expect((await tryTls(inbound(), withCertificate(alice, servername))).answer).toBe("");
});

test("an inbound port takes no TLS before 1.3", async () => {
  const { answer, protocol } = await tryTls(inbound(), { ...withCertificate(alice), maxVersion: "TLSv1.2" });
  expect(answer).toBe("");
  expect(protocol).toBe("");
});

test("a MeshConfig lets TLS 1.2 in, whose sessions give nothing either, and shuts it out again", async () => {
  const older = { ...withCertificate(alice), maxVersion: "TLSv1.2" } as const;
  await setMinimum("TLSV1_2");
  try {
    const first = await eventually(async () => {
      const tried = await tryTls(inbound(), older);
      return tried.answer === OK && tried;
    });
    expect(first.protocol).toBe("TLSv1.2");
    expect((await tryTls(inbound(), withCertificate(alice))).protocol).toBe("TLSv1.3");
    expect(first.sessions.length).toBeGreaterThan(0);
    for (const session of first.sessions) {
      const without = await tryTls(inbound(), { servername: SNI, maxVersion: "TLSv1.2", session });
      expect([without.answer, without.resumed]).toEqual(["", false]);
      expect(await tryTls(inbound(), { ...older, session })).toMatchObject({ answer: OK, resumed: false });
    }
    const weak = await tryTls(inbound(), { ...older, ciphers: "ECDHE-ECDSA-AES256-GCM-SHA384" });
    expect(weak.answer).toBe("");
  } finally {
    await setMinimum("TLSV1_3");
  }
  await eventually(async () => (await tryTls(inbound(), older)).answer === "");
});

test("a session of an inbound port gives nothing to who comes back with it", async () => {
  const { answer, sessions } = await tryTls(inbound(), withCertificate(alice));
  expect(answer).toBe(OK);
  expect(sessions.length).toBeGreaterThan(0);
  for (const session of sessions) {
    // Resumed, it would stand for the certificate that it began with.
    const without = await tryTls(inbound(), { servername: SNI, session });
    expect(without.answer).toBe("");
    expect(without.resumed).toBe(false);
    const withOne = await tryTls(inbound(), { ...withCertificate(alice), session });
    expect(withOne.answer).toBe(OK);
    expect(withOne.resumed).toBe(false);
  }
});

test.each(["TLSv1.2", "TLSv1.3"] as const)(
  "the control plane's port resumes no session of %s",
  async (version) => {
    const [host = "", port = ""] = controlPlane.address.split(":");
    const at = { host, port: Number(port) };
    const servername = "istiod.istio-system.svc";
    const only = { minVersion: version, maxVersion: version, ALPNProtocols: ["h2"] };
    const first = await tryTls(at, { ...withCertificate(alice, servername), ...only });
    expect(first.protocol).toBe(version);
    expect(first.sessions.length).toBeGreaterThan(0);
    for (const session of first.sessions) {
      const again = await tryTls(at, { ...only, servername, session });
      expect(again.protocol).toBe(version);
      expect(again.resumed).toBe(false);
    }
  },
);

test("a permissive inbound port takes plaintext beside mutual TLS, and still refuses a foreign certificate", async () => {
  await setMode("PERMISSIVE");
  try {
    await eventually(async () => (await tryPlaintext(inbound())) === OK);
    expect((await tryTls(inbound(), withCertificate(alice))).answer).toBe(OK);
    const foreign = await createTestAuthority({ trustDomain: TRUST_DOMAIN });
    const { answer } = await tryTls(
      inbound(),
      withCertificate(await foreign.issue({ serviceAccount: "alice" })),
    );
    expect(answer).toBe("");
  } finally {
    await setMode("STRICT");
  }
  await eventually(async () => (await tryPlaintext(inbound())) === "");
});

test("a caller does not call an instance whose certificate is of another account than it is registered under", async () => {
  // The service's name is the victim's; who runs it is mallory, with a certificate that says so.
  const impostor = await mesh.run({
    service: "vault",
    name: "impostor",
    args: ["--service-account", "mallory"],
  });
  const caller = await mesh.sidecar({ service: "caller", args: ["--upstream", "vault:8080"] });
  const url = caller.upstream("vault:8080");
  await caller.knows(clusterOf("vault"), 1);
  // Registered as mallory's it is called: the refusal below is for the account and nothing else.
  expect((await call(url)).status).toBe(200);
  await impostor.process.stop();
  await caller.knows(clusterOf("vault"), 0);

  const second = await mesh.run({
    service: "vault",
    name: "impostor-2",
    args: ["--service-account", "mallory"],
  });
  const { inbound: mesh2 } = second.ready.addresses;
  await mesh.client.registry.register({
    ID: "impostor-2",
    Name: "vault",
    Address: "127.0.0.1",
    Port: second.ready.appPort!,
    Meta: { "tulle-service-account": "vault", "tulle-service-port": "8080", "tulle-protocol": "http" },
    TaggedAddresses: { mesh: { Address: mesh2.host, Port: mesh2.port } },
  });
  const fresh = await mesh.sidecar({
    service: "caller",
    name: "caller-2",
    args: ["--upstream", "vault:8080"],
  });
  await fresh.knows(clusterOf("vault"), 1);
  const refused = await call(fresh.upstream("vault:8080"));
  expect(refused.status).toBe(503);
  // A caller that knew it before refuses it as well, from now on.
  await caller.knows(clusterOf("vault"), 1);
  await eventually(async () => (await call(url)).status === 503);
  const served = async (): Promise<number> =>
    (await askWeb(`http://127.0.0.1:${second.ready.appPort}/served`)).served;
  const before = await served();
  for (let i = 0; i < 10; i++) expect((await call(url)).status).toBe(503);
  expect(await served()).toBe(before);
}, 60_000);

test("the control plane gives a workload no identity but its own", async () => {
  const bobs = await joinToken(mesh, "bob");
  await expect(svidOf(controlPlane, "alice", { joinToken: bobs })).rejects.toMatchObject({
    code: "AGENT_CONTROL_PLANE",
  });
  await expect(svidOf(controlPlane, "bob", { svid: alice })).rejects.toMatchObject({
    code: "AGENT_CONTROL_PLANE",
  });
  await expect(svidOf(controlPlane, "bob", { joinToken: "made-up" })).rejects.toMatchObject({
    kind: "unauthenticated",
  });
  // The request names another account in its CSR only.
  await expect(signed("bob", alice)).rejects.toMatchObject({ kind: "denied" });
  // Refusals cost nobody their token, and each gets what is theirs.
  expect((await svidOf(controlPlane, "bob", { joinToken: bobs })).spiffeId).toBe(
    "spiffe://cluster.local/ns/default/sa/bob",
  );
  expect((await svidOf(controlPlane, "alice", { svid: alice })).spiffeId).toBe(alice.spiffeId);
  // A token is good once.
  await expect(svidOf(controlPlane, "bob", { joinToken: bobs })).rejects.toBeInstanceOf(MeshError);
});

/** Asks for a certificate of `serviceAccount` with the certificate of `proof`, without naming an account beside the CSR. */
async function signed(serviceAccount: string, proof: Svid): Promise<readonly string[]> {
  const method = grpcServiceDefinition(IstioCertificateService).createCertificate;
  const client = connectControlPlane(controlPlane, proof, systemClock);
  const { csrPem } = createSigningRequest(
    formatSpiffeId({ trustDomain: TRUST_DOMAIN, namespace: "default", serviceAccount }),
  );
  try {
    return (await client.unary(method, requestOf(csrPem))).certChain;
  } finally {
    client[Symbol.dispose]();
  }
}

/** An IstioCertificateRequest with nothing but its field 1, `csr`. */
function requestOf(csr: string): Uint8Array {
  const text = Buffer.from(csr);
  return Buffer.concat([Buffer.from([0x0a, (text.length & 0x7f) | 0x80, text.length >> 7]), text]);
}

test("the inbound port served whom it was to serve, and nobody else", async () => {
  const before = await requestsServed();
  await tryPlaintext(inbound());
  await tryTls(inbound(), { servername: SNI });
  expect(await requestsServed()).toBe(before);
});
