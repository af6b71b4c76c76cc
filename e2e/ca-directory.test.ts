import { webcrypto, X509Certificate } from "node:crypto";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";

import type { Svid } from "@tulle/agent";
import { parseCertificates } from "@tulle/base/spiffe";
import { eventually, makeCertificate, type ChainCertificate } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { tryTls } from "./support/inbound-tls.js";
import { report, underLoad } from "./support/load.js";
import { Mesh } from "./support/mesh.js";
import { startStrictPair, WEB_SNI } from "./support/strict-pair.js";
import { controlPlaneOf, joinToken, svidOf } from "./support/svid.js";
import { type Address, type Workload } from "./support/workload.js";

// A mesh under its user's own root, with the files of Istio's secret `cacerts`, and a move to another root under load, in the
// order that docs/identity.md says.

const SIGNS_CERTIFICATES = 32;
const AUTHORITY = { ca: true, keyUsage: SIGNS_CERTIFICATES };

const directory = mkdtempSync(join(tmpdir(), "tulle-cacerts-"));
let first: ChainCertificate;
let second: ChainCertificate;
let mesh: Mesh;
let caller: Workload;
let web: Workload;

/** Replaces a file as a whole, as a secret's volume does. */
function write(file: string, content: string): void {
  const path = join(directory, file);
  writeFileSync(`${path}.new`, content);
  renameSync(`${path}.new`, path);
}

/** An authority of the mesh under a root, in its files but for the roots. */
async function provide(root: ChainCertificate): Promise<void> {
  const issuer = await makeCertificate({ ...AUTHORITY, name: "mesh", issuer: root });
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", issuer.keys.privateKey));
  const lines = der.toString("base64").replace(/.{64}/g, "$&\n");
  write("ca-key.pem", `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n`);
  write("ca-cert.pem", issuer.pem);
  write("cert-chain.pem", issuer.pem + root.pem);
}

/** The certificate that an inbound port shows, and the one above it. */
function shown(at: Address): Promise<readonly [X509Certificate, X509Certificate]> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...at, servername: WEB_SNI, rejectUnauthorized: false }, () => {
      const leaf = socket.getPeerCertificate(true);
      socket.destroy();
      resolve([new X509Certificate(leaf.raw), new X509Certificate(leaf.issuerCertificate.raw)]);
    });
    socket.on("error", reject);
  });
}

/** Whether a workload's certificate leads to a root by way of one authority. */
async function leadsTo(root: ChainCertificate, workload: Workload): Promise<boolean> {
  const [leaf, issuer] = await shown(workload.ready.addresses.inbound);
  const { publicKey } = new X509Certificate(root.pem);
  return leaf.verify(issuer.publicKey) && issuer.verify(publicKey);
}

beforeAll(async () => {
  first = await makeCertificate({ ...AUTHORITY, name: "first root" });
  second = await makeCertificate({ ...AUTHORITY, name: "second root" });
  await provide(first);
  write("root-cert.pem", first.pem);
  mesh = await Mesh.start(["--ca-dir", directory, "--certificate-ttl", "8s"]);
  ({ caller, web } = await startStrictPair(mesh));
}, 60_000);

afterAll(async () => {
  await mesh?.end();
  rmSync(directory, { recursive: true, force: true });
});

test("workloads get certificates of the user's authority, under the user's root", async () => {
  expect(await leadsTo(first, web)).toBe(true);
  expect(await leadsTo(second, web)).toBe(false);
  const { output } = await mesh.tulle(["ca", "status"]);
  expect(output).toContain("directory");
  const { rootCertificatePem } = await mesh.client.info();
  expect(parseCertificates(rootCertificatePem).map(({ subject }) => subject)).toEqual(["CN=first root"]);
});

test("files that do not fit together change nothing, and the log says so", async () => {
  const stray = await makeCertificate({ ...AUTHORITY, name: "stray" });
  write("ca-cert.pem", stray.pem);
  await eventually(() => mesh.control.output.includes("ca-key.pem is not the key"));
  const serial = await web.certificateSerial();
  await eventually(async () => (await web.certificateSerial()) !== serial, 20_000);
  expect(await leadsTo(first, web)).toBe(true);
}, 30_000);

test("the root is replaced by the user under load, and no request fails", async () => {
  await provide(first);
  const url = caller.upstream("web:8080");
  const result = await underLoad({ name: "root of the user's", url, requestsPerSecond: 100 }, async () => {
    write("root-cert.pem", first.pem + second.pem);
    await eventually(async () => {
      const { rootCertificatePem } = await mesh.client.info();
      return parseCertificates(rootCertificatePem).length === 2;
    });
    await eventually(async () => (await mesh.client.status()).authority.unacknowledged?.length === 0);
    await provide(second);
    await eventually(() => leadsTo(second, web), 20_000);
    const serial = await caller.certificateSerial();
    await eventually(async () => (await caller.certificateSerial()) !== serial, 20_000);
    write("root-cert.pem", second.pem);
    await eventually(async () => {
      const { rootCertificatePem } = await mesh.client.info();
      return parseCertificates(rootCertificatePem).length === 1;
    });
    const later = await web.certificateSerial();
    await eventually(async () => (await web.certificateSerial()) !== later, 20_000);
  });
  expect(result.errors).toEqual([]);
  expect(result.failures).toBe(0);
  expect(await leadsTo(second, web)).toBe(true);
}, 90_000);

test("a root that is taken away lets nobody in from then on", async () => {
  const answerTo = async ({ certificateChainPem: cert, privateKeyPem: key }: Svid): Promise<string> =>
    (await tryTls(web.ready.addresses.inbound, { cert, key, servername: WEB_SNI })).answer;
  const newcomer = async (): Promise<Svid> =>
    svidOf(await controlPlaneOf(mesh), "late", { joinToken: await joinToken(mesh, "late") });
  const former = await newcomer();
  expect(await answerTo(former)).toBe("HTTP/1.1 200 OK");
  await provide(first);
  write("root-cert.pem", first.pem);
  const takenAwayMs = performance.now();
  await eventually(async () => (await answerTo(former)) === "");
  const tookMs = performance.now() - takenAwayMs;
  report("root of the user's", `refused ${tookMs.toFixed(0)} ms after its files were replaced`);
  expect(Date.now()).toBeLessThan(former.notAfter);
  expect(tookMs).toBeLessThan(2000);
  // The control plane itself has a certificate of the new one at once, and gives others out.
  const present = await eventually(() => newcomer());
  expect(await answerTo(present)).toBe("HTTP/1.1 200 OK");
}, 30_000);
