import "reflect-metadata";
import { X509Certificate } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import * as x509 from "@peculiar/x509";
import { createSigningRequest } from "@tulle/agent";
import { silentLogger, systemClock } from "@tulle/base";
import { TrustBundles, verifySvid } from "@tulle/base/spiffe";
import { makeCertificate, type ChainCertificate, type ChainCertificateOptions } from "@tulle/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";

import { createMemoryStores } from "../stores/open.js";
import { createCertificateAuthority, type CertificateAuthority } from "./certificate-authority.js";
import { VaultSigner } from "./vault-signer.js";

// A server that answers as Vault's PKI secrets engine does (its HTTP API's "Sign certificate" and "Read CA chain").

const ID = "spiffe://cluster.local/ns/default/sa/reviews";
const AUTHORITY = { ca: true, keyUsage: x509.KeyUsageFlags.keyCertSign };
const TOKEN = "hvs.secret";

let directory: string;
let root: ChainCertificate;
let issuer: ChainCertificate;
let server: Server;
let address: string;
/** What the role makes of a request. */
let twist: ChainCertificateOptions;
let requests: { readonly path: string; readonly body: Record<string, unknown> }[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tulle-vault-"));
  await writeFile(join(directory, "token"), `${TOKEN}\n`);
  root = await makeCertificate({ ...AUTHORITY, name: "vault root" });
  issuer = await makeCertificate({ ...AUTHORITY, name: "vault issuer", issuer: root });
  twist = {};
  requests = [];
  server = createServer((request, response) => {
    let text = "";
    request.on("data", (chunk: Buffer) => (text += chunk.toString()));
    request.on("end", () => {
      const json = (code: number, body: object): void => {
        response.writeHead(code, { "content-type": "application/json" });
        response.end(JSON.stringify(body));
      };
      if (request.headers["x-vault-token"] !== TOKEN) return json(403, { errors: ["permission denied"] });
      const path = request.url ?? "";
      if (path === "/v1/pki/ca_chain") {
        response.writeHead(200, { "content-type": "application/pem-certificate-chain" });
        return void response.end(`${issuer.pem}${root.pem}`);
      }
      if (path !== "/v1/pki/sign/mesh") return json(404, { errors: ["no handler for route"] });
      const body = JSON.parse(text) as Record<string, string>;
      requests.push({ path, body });
      return void sign(body).then((data) => json(200, { data }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  await new Promise((resolve) => server.close(resolve));
  await rm(directory, { recursive: true, force: true });
});

async function sign(body: Record<string, string>): Promise<object> {
  const csr = new x509.Pkcs10CertificateRequest(body["csr"]!);
  const publicKey = await csr.publicKey.export();
  const { clientAuth, serverAuth } = x509.ExtendedKeyUsage;
  const leaf = await makeCertificate({
    issuer,
    ca: false,
    keyUsage: x509.KeyUsageFlags.digitalSignature,
    extendedKeyUsages: [clientAuth, serverAuth],
    names: [
      { type: "url", value: body["uri_sans"]! },
      ...(body["alt_names"] ?? "")
        .split(",")
        .filter(Boolean)
        .map((value) => ({ type: "dns" as const, value })),
    ],
    notAfter: Date.now() + Number.parseInt(body["ttl"]!) * 1000,
    keys: { publicKey, privateKey: issuer.keys.privateKey },
    ...twist,
  });
  return {
    certificate: leaf.pem.trim(),
    issuing_ca: issuer.pem.trim(),
    ca_chain: [issuer.pem.trim(), root.pem.trim()],
    serial_number: leaf.certificate.serialNumber.match(/../g)?.join(":"),
  };
}

async function open(options: { readonly role?: string } = {}): Promise<CertificateAuthority> {
  const clock = systemClock;
  const tokenFile = join(directory, "token");
  const signer = await VaultSigner.open({
    address,
    mount: "pki",
    role: options.role ?? "mesh",
    tokenFile,
    clock,
    logger: silentLogger,
  });
  const { coordination } = createMemoryStores({ clock });
  return createCertificateAuthority({
    coordination,
    clock,
    trustDomain: "cluster.local",
    logger: silentLogger,
    signer,
  });
}

async function issue(authority: CertificateAuthority): Promise<Uint8Array[]> {
  const { csrPem } = createSigningRequest(ID);
  const issued = await authority.issue({ csrPem, spiffeId: ID, ttlMs: 60_000 });
  return issued.certificateChainPem.map((pem) => new X509Certificate(pem).raw);
}

test("Vault signs the CSR for exactly the identity and life that were asked for", async () => {
  const authority = await open();
  const chain = await issue(authority);
  expect(requests[0]?.body).toMatchObject({
    uri_sans: ID,
    alt_names: "",
    ip_sans: "",
    ttl: "60s",
    format: "pem",
  });
  expect(chain).toHaveLength(2);
  const bundles = new TrustBundles({ "cluster.local": authority.signer.trustBundlePem });
  expect(verifySvid(chain, { nowMs: Date.now(), bundles })).toMatchObject({ ok: true, spiffeId: ID });
  expect(authority.signer.certificates().map(({ phase }) => phase)).toEqual(["issuer", "active"]);
  const own = await authority.serverCertificate(["localhost"], ["127.0.0.1"]);
  expect(new X509Certificate(own.certificateChainPem).subjectAltName).toContain("DNS:localhost");
  authority[Symbol.dispose]();
});

test.each<[string, () => Promise<ChainCertificateOptions>]>([
  ["another identity", () => Promise.resolve({ names: [{ type: "url", value: `${ID}2` }] })],
  [
    "a second identity",
    () =>
      Promise.resolve({
        names: [
          { type: "url", value: ID },
          { type: "url", value: `${ID}2` },
        ],
      }),
  ],
  ["an authority", () => Promise.resolve({ ca: true })],
  ["server use only", () => Promise.resolve({ extendedKeyUsages: [x509.ExtendedKeyUsage.serverAuth] })],
  ["another key", async () => ({ keys: (await makeCertificate({})).keys })],
])("a certificate that Vault gives for %s is not given on", async (_what, options) => {
  const authority = await open();
  twist = await options();
  await expect(issue(authority)).rejects.toMatchObject({ kind: "unavailable", code: "CA_SIGNER" });
  authority[Symbol.dispose]();
});

test("Vault's roots are followed, and kept while it is away", async () => {
  const authority = await open();
  const signer = authority.signer as VaultSigner;
  let changes = 0;
  signer.onChanged(() => changes++);
  const before = signer.trustBundlePem;
  await signer.refresh();
  expect(changes).toBe(0);
  root = await makeCertificate({ ...AUTHORITY, name: "next root" });
  issuer = await makeCertificate({ ...AUTHORITY, name: "next issuer", issuer: root });
  await signer.refresh();
  expect(changes).toBe(1);
  expect(signer.trustBundlePem).not.toBe(before);
  await writeFile(join(directory, "token"), "wrong");
  await signer.refresh();
  expect(signer.trustBundlePem).toContain(root.pem.trim());
  await expect(issue(authority)).rejects.toMatchObject({
    message: expect.stringContaining("permission denied"),
  });
  authority[Symbol.dispose]();
});

test("Vault's refusal is told in its words, and a token goes to no plain HTTP server beyond loopback", async () => {
  const authority = await open({ role: "unknown" });
  await expect(issue(authority)).rejects.toMatchObject({
    message: expect.stringContaining("no handler for route"),
  });
  authority[Symbol.dispose]();
  address = "http://vault.example:8200";
  await expect(open()).rejects.toMatchObject({ code: "CA_VAULT_ADDRESS" });
});

test("a serial number that was given before is signed anew", async () => {
  const authority = await open();
  const [leaf] = await issue(authority);
  // Vault gives the same certificate again and again.
  const same = new X509Certificate(leaf!);
  const signer = authority.signer as VaultSigner;
  const stuck = Object.assign(Object.create(signer) as VaultSigner, {
    sign: () =>
      Promise.resolve({
        chainPem: [same.toString()],
        serialNumber: same.serialNumber,
        notBefore: 0,
        notAfter: 9e15,
      }),
  });
  const clock = systemClock;
  const { coordination } = createMemoryStores({ clock });
  const again = await createCertificateAuthority({
    coordination,
    clock,
    trustDomain: "cluster.local",
    logger: silentLogger,
    signer: stuck,
  });
  await issue(again);
  await expect(issue(again)).rejects.toMatchObject({ code: "CA_SERIAL" });
  signer[Symbol.dispose]();
});
