import "reflect-metadata";
import { webcrypto, X509Certificate } from "node:crypto";

import * as x509 from "@peculiar/x509";
import { silentLogger } from "@tulle/base";
import { FakeClock } from "@tulle/testkit";
import { beforeEach, expect, test } from "vitest";

import { createMemoryStores, type Stores } from "../stores/open.js";
import {
  createCertificateAuthority,
  type CertificateAuthority,
  type CertificateAuthorityOptions,
} from "./certificate-authority.js";

const ID = "spiffe://cluster.local/ns/default/sa/reviews";
const P256 = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const RSA = {
  name: "RSASSA-PKCS1-v1_5",
  hash: "SHA-256",
  publicExponent: new Uint8Array([1, 0, 1]),
  modulusLength: 2048,
};

let clock: FakeClock;
let stores: Stores;
let authority: CertificateAuthority;

beforeEach(async () => {
  clock = new FakeClock(Date.now());
  stores = createMemoryStores({ clock });
  authority = await open();
});

test("createCertificateAuthority keeps its root over restarts, and replicas agree on it", async () => {
  const pem = authority.signer.trustBundlePem;
  expect((await open()).signer.trustBundlePem).toBe(pem);
  const fresh = createMemoryStores({ clock });
  const replicas = await Promise.all([1, 2, 3].map(() => open({}, fresh)));
  expect(new Set(replicas.map((replica) => replica.signer.trustBundlePem)).size).toBe(1);
  expect(replicas[0]?.signer.trustBundlePem).not.toBe(pem);
});

test("createCertificateAuthority refuses a store of another trust domain, and roots that live too short", async () => {
  await expect(open({ trustDomain: "other.example" })).rejects.toMatchObject({ code: "CA_TRUST_DOMAIN" });
  await expect(open({ trustDomain: "Bad Domain" })).rejects.toMatchObject({ code: "CA_OPTIONS" });
  await expect(open({ certificateTtlMs: 4999 })).rejects.toMatchObject({ code: "CA_OPTIONS" });
  await expect(open({ certificateTtlMs: 10_000, rootTtlMs: 39_999 })).rejects.toMatchObject({
    code: "CA_OPTIONS",
  });
  const moved = await open({ trustDomain: "other.example", trustDomainAliases: ["cluster.local"] });
  expect(moved.signer.trustBundlePem).toBe(authority.signer.trustBundlePem);
});

test("an authority whose root has expired signs nothing", async () => {
  await clock.advance(3651 * 86_400_000);
  await expect(authority.issue({ csrPem: await csr(), spiffeId: ID })).rejects.toMatchObject({
    code: "CA_ROOT_EXPIRED",
  });
});

test("issue makes an X.509-SVID under the root", async () => {
  const issued = await authority.issue({ csrPem: await csr(), spiffeId: ID });
  const [pem] = issued.certificateChainPem;
  const leaf = new X509Certificate(pem ?? "");
  const root = new X509Certificate(authority.signer.trustBundlePem);
  expect(leaf.checkIssued(root)).toBe(true);
  expect(leaf.verify(root.publicKey)).toBe(true);
  expect(root.ca).toBe(true);
  expect(leaf.ca).toBe(false);
  expect(leaf.subject).toBeUndefined();
  expect(leaf.subjectAltName).toBe(`URI:${ID}`);
  expect(leaf.serialNumber).toBe(issued.serialNumber);
  expect(leaf.serialNumber).toMatch(/^[4-7][0-9A-F]{31}$/);
  expect(leaf.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
  const parsed = new x509.X509Certificate(pem ?? "");
  expect(parsed.getExtension("2.5.29.17")?.critical).toBe(true);
  expect(parsed.getExtension(x509.KeyUsagesExtension)?.usages).toBe(x509.KeyUsageFlags.digitalSignature);
});

test("issue dates certificates back, and limits their life to the authority's", async () => {
  const now = Math.floor(clock.now() / 1000) * 1000;
  const life = async (ttlMs?: number): Promise<number> => {
    const issued = await authority.issue({
      csrPem: await csr(),
      spiffeId: ID,
      ...(ttlMs !== undefined && { ttlMs }),
    });
    expect(issued.notBefore).toBe(now - 300_000);
    return Math.round((issued.notAfter - now) / 1000);
  };
  expect(await life()).toBeCloseTo(86_400, -1);
  expect(await life(10_000)).toBeGreaterThanOrEqual(10);
  expect(await life(10_000)).toBeLessThanOrEqual(11);
  expect(await life(1)).toBeGreaterThanOrEqual(5);
  expect(await life(Number.MAX_VALUE)).toBeLessThanOrEqual(86_401);
  expect(await life(Number.NaN)).toBeLessThanOrEqual(86_401);
});

test("issue takes nothing but the key from a CSR", async () => {
  const csrPem = await csr({
    name: "CN=admin/evil, O=system:masters",
    extensions: [
      new x509.BasicConstraintsExtension(true, 9, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      new x509.SubjectAlternativeNameExtension([{ type: "url", value: ID }]),
    ],
  });
  const [pem] = (await authority.issue({ csrPem, spiffeId: ID })).certificateChainPem;
  const leaf = new X509Certificate(pem ?? "");
  expect([leaf.ca, leaf.subject, leaf.subjectAltName]).toEqual([false, undefined, `URI:${ID}`]);
});

test("issue allows RSA keys key encipherment", async () => {
  const issued = await authority.issue({ csrPem: await csr({ algorithm: RSA }), spiffeId: ID });
  const parsed = new x509.X509Certificate(issued.certificateChainPem[0] ?? "");
  expect(parsed.getExtension(x509.KeyUsagesExtension)?.usages).toBe(
    x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment,
  );
});

test.each<[string, x509.JsonGeneralNames]>([
  ["another workload", [{ type: "url", value: "spiffe://cluster.local/ns/default/sa/ratings" }]],
  [
    "a second identity",
    [
      { type: "url", value: ID },
      { type: "url", value: `${ID}2` },
    ],
  ],
  [
    "its identity twice",
    [
      { type: "url", value: ID },
      { type: "url", value: ID },
    ],
  ],
  [
    "a DNS name beside it",
    [
      { type: "url", value: ID },
      { type: "dns", value: "istiod.istio-system.svc" },
    ],
  ],
  ["its identity as a DNS name", [{ type: "dns", value: ID }]],
  ["an IP address", [{ type: "ip", value: "127.0.0.1" }]],
])("issue refuses a CSR that names %s", async (_what, names) => {
  const csrPem = await csr({ extensions: [new x509.SubjectAlternativeNameExtension(names)] });
  await expect(authority.issue({ csrPem, spiffeId: ID })).rejects.toMatchObject({
    code: "CA_CSR_OTHER_IDENTITY",
  });
});

test.each<[string, Record<string, unknown>]>([
  ["RSA 1024", { ...RSA, modulusLength: 1024 }],
  ["P-521", { ...P256, namedCurve: "P-521", hash: "SHA-512" }],
  ["RSA with exponent 3", { ...RSA, publicExponent: new Uint8Array([3]) }],
])("issue refuses a key of %s", async (_what, algorithm) => {
  const csrPem = await csr({ algorithm });
  await expect(authority.issue({ csrPem, spiffeId: ID })).rejects.toMatchObject({ code: "CA_CSR_KEY" });
});

test("issue refuses a CSR that is not signed with its own key, or with SHA-1", async () => {
  const der = Buffer.from(await csrDer());
  der[der.length - 1] = (der.at(-1) ?? 0) ^ 1;
  await expect(authority.issue({ csrPem: pemOf(der), spiffeId: ID })).rejects.toMatchObject({
    code: "CA_CSR_SIGNATURE",
  });
  const sha1 = await csr({ algorithm: { ...RSA, hash: "SHA-1" } });
  await expect(authority.issue({ csrPem: sha1, spiffeId: ID })).rejects.toMatchObject({
    code: "CA_CSR_SIGNATURE",
  });
});

test("issue refuses what is not exactly one PEM block with one DER value", async () => {
  const der = Buffer.from(await csrDer());
  const pem = pemOf(der);
  const bad = [
    "",
    "x",
    `${pem}${pem}`,
    `${pem}trailing`,
    `leading\n${pem}`,
    pem.replaceAll("CERTIFICATE REQUEST", "CERTIFICATE"),
    pemOf(Buffer.concat([der, Buffer.from([0])])),
    pemOf(der.subarray(0, der.length - 1)),
    pemOf(Buffer.from([0x30, 0x80, 0, 0])),
    pemOf(Buffer.from([0x30, 0])),
    pemOf(Buffer.alloc(10_000, 0x30)),
    pem.replace("\n", "\nProc-Type: 4,ENCRYPTED\n"),
  ];
  for (const csrPem of bad) {
    await expect(authority.issue({ csrPem, spiffeId: ID })).rejects.toMatchObject({
      code: "CA_CSR_MALFORMED",
    });
  }
  await expect(authority.issue({ csrPem: pem.padEnd(17_000), spiffeId: ID })).rejects.toMatchObject({
    code: "CA_CSR_TOO_LARGE",
  });
});

test("issue refuses a CSR with any bit of its signed part changed", async () => {
  const original = Buffer.from(await csrDer());
  for (let i = 0; i < original.length; i++) {
    const der = Buffer.from(original);
    der[i] = (der[i] ?? 0) ^ (1 << (i % 8));
    const outcome = await authority.issue({ csrPem: pemOf(der), spiffeId: ID }).then(
      (issued) => issued.spiffeId,
      (thrown: { code?: string }) => thrown.code,
    );
    // Bytes 3 to 102 are what the signature covers; the rest is its algorithm and itself, read with some tolerance.
    if (i >= 3 && i < 103) expect(outcome).toMatch(/^CA_CSR_/);
    else expect(outcome === ID ? "CA_CSR_ACCEPTED" : outcome).toMatch(/^CA_CSR_/);
  }
});

test("issued lists what is valid, a renewal instead of what it replaced", async () => {
  const first = await authority.issue({ csrPem: await csr(), spiffeId: ID, ttlMs: 10_000 });
  const other = await authority.issue({ csrPem: await csr(), spiffeId: `${ID}2`, ttlMs: 60_000 });
  const renewed = await authority.issue({
    csrPem: await csr(),
    spiffeId: ID,
    ttlMs: 20_000,
    replaces: first.serialNumber,
  });
  const serials = (): string[] => authority.issued().map((issued) => issued.serialNumber);
  expect(serials()).toEqual([other.serialNumber, renewed.serialNumber]);
  await clock.advance(30_000);
  expect(serials()).toEqual([other.serialNumber]);
});

test("serverCertificate carries the control plane's SVID, names and addresses", async () => {
  const own = await authority.serverCertificate(["localhost"], ["127.0.0.1", "::1"]);
  const leaf = new X509Certificate(own.certificateChainPem);
  expect(leaf.checkHost("localhost")).toBe("localhost");
  expect(leaf.checkIP("127.0.0.1")).toBe("127.0.0.1");
  expect(leaf.checkIP("::1")).toBe("::1");
  expect(leaf.subjectAltName).toContain("URI:spiffe://cluster.local/ns/istio-system/sa/istiod");
  expect(leaf.verify(new X509Certificate(own.trustBundlePem).publicKey)).toBe(true);
  expect(own.notAfter).toBe(Date.parse(leaf.validTo));
});

function open(
  options: Partial<CertificateAuthorityOptions> = {},
  from: Stores = stores,
): Promise<CertificateAuthority> {
  return createCertificateAuthority({
    coordination: from.coordination,
    clock,
    trustDomain: "cluster.local",
    logger: silentLogger,
    ...options,
  });
}

interface Wanted {
  readonly name?: string;
  readonly algorithm?: Record<string, unknown>;
  readonly extensions?: x509.Extension[];
}

async function csr(wanted: Wanted = {}): Promise<string> {
  return pemOf(Buffer.from(await csrDer(wanted)));
}

async function csrDer(wanted: Wanted = {}): Promise<ArrayBuffer> {
  const algorithm = (wanted.algorithm ?? P256) as webcrypto.EcKeyGenParams & { name: "ECDSA" };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: wanted.name ?? "",
    keys,
    signingAlgorithm: algorithm,
    extensions: wanted.extensions ?? [],
  });
  return request.rawData;
}

function pemOf(der: Buffer): string {
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE REQUEST-----\n${lines.join("\n")}\n-----END CERTIFICATE REQUEST-----\n`;
}
