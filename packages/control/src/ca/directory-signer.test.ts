import "reflect-metadata";
import { randomBytes, webcrypto, X509Certificate } from "node:crypto";
import { mkdtemp, rm, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import * as x509 from "@peculiar/x509";
import { createSigningRequest } from "@tulle/agent";
import { MeshError, silentLogger, systemClock } from "@tulle/base";
import { TrustBundles, verifySvid } from "@tulle/base/spiffe";
import {
  eventually,
  makeCertificate,
  makeRevocationList,
  type ChainCertificate,
  type ChainKey,
} from "@tulle/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";

import { createMemoryStores } from "../stores/open.js";
import { createCertificateAuthority, type CertificateAuthority } from "./certificate-authority.js";
import { DirectorySigner } from "./directory-signer.js";

const ID = "spiffe://cluster.local/ns/default/sa/reviews";
const AUTHORITY = { ca: true, keyUsage: x509.KeyUsageFlags.keyCertSign };

let directory: string;
let root: ChainCertificate;
let upper: ChainCertificate;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tulle-cacerts-"));
  root = await makeCertificate({ ...AUTHORITY, name: "corporate root" });
  upper = await makeCertificate({ ...AUTHORITY, name: "upper", issuer: root });
});

afterEach(() => rm(directory, { recursive: true, force: true }));

async function pemKey({ keys }: ChainCertificate): Promise<string> {
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey), "PRIVATE KEY");
}

const write = (file: string, content: string): Promise<void> => writeFile(join(directory, file), content);

/** Puts a new authority there, as the mesh's user does. */
async function provide(key: ChainKey = "P-256", lifeMs = 3_600_000): Promise<ChainCertificate> {
  const issuer = await makeCertificate({
    ...AUTHORITY,
    name: "mesh",
    issuer: upper,
    key,
    notAfter: Date.now() + lifeMs,
  });
  await write("ca-cert.pem", issuer.pem);
  await write("ca-key.pem", await pemKey(issuer));
  await write("root-cert.pem", root.pem);
  await write("cert-chain.pem", issuer.pem + upper.pem);
  return issuer;
}

function open(): Promise<DirectorySigner> {
  return DirectorySigner.open({ directory, clock: systemClock, randomBytes, logger: silentLogger });
}

async function authorityOf(signer: DirectorySigner): Promise<CertificateAuthority> {
  const clock = systemClock;
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
  const { certificateChainPem } = await authority.issue({ csrPem, spiffeId: ID });
  return certificateChainPem.map((pem) => new X509Certificate(pem).raw);
}

test.each(["P-256", "P-384", "RSA-2048"] as const)(
  "an authority with a key %s signs under the user's root",
  async (key) => {
    const issuer = await provide(key);
    const authority = await authorityOf(await open());
    const chain = await issue(authority);
    expect(chain).toHaveLength(3);
    const bundles = new TrustBundles({ "cluster.local": root.pem });
    expect(verifySvid(chain, { nowMs: Date.now(), bundles })).toMatchObject({ ok: true, spiffeId: ID });
    expect(authority.signer.trustBundlePem).toContain(root.pem.trim());
    expect(authority.signer.certificates().map(({ phase }) => phase)).toEqual(["issuer", "active"]);
    // No leaf outlives who signed it.
    const { validTo } = new X509Certificate(chain[0]!);
    expect(Date.parse(validTo)).toBeLessThanOrEqual(issuer.certificate.notAfter.getTime());
    authority[Symbol.dispose]();
  },
);

test("a root that signs itself needs no chain", async () => {
  await write("ca-cert.pem", root.pem);
  await write("ca-key.pem", await pemKey(root));
  await write("root-cert.pem", root.pem);
  const authority = await authorityOf(await open());
  const chain = await issue(authority);
  expect(chain).toHaveLength(1);
  expect(
    verifySvid(chain, { nowMs: Date.now(), bundles: new TrustBundles({ "cluster.local": root.pem }) }).ok,
  ).toBe(true);
  authority[Symbol.dispose]();
});

test("files that change are read again; files that do not fit together leave the former ones", async () => {
  await provide();
  const signer = await open();
  let changes = 0;
  signer.onChanged(() => changes++);
  const first = signer.certificates()[0]?.id;
  await write("ca-key.pem", await pemKey(root));
  await signer.reload();
  expect(signer.certificates()[0]?.id).toBe(first);
  expect(changes).toBe(0);
  const second = await provide();
  await eventually(() => signer.certificates()[0]?.id === second.certificate.serialNumber.toUpperCase());
  expect(changes).toBeGreaterThan(0);
  signer[Symbol.dispose]();
});

test("an authority that has ended signs nothing", async () => {
  await provide("P-256", -1000);
  const authority = await authorityOf(await open());
  await expect(issue(authority)).rejects.toMatchObject({ code: "CA_SIGNER" });
  authority[Symbol.dispose]();
});

test.each<[string, RegExp, () => Promise<unknown>]>([
  ["no key", /ca-key\.pem/, () => unlink(join(directory, "ca-key.pem"))],
  ["another key", /is not the key/, async () => write("ca-key.pem", await pemKey(root))],
  ["no PEM", /holds no certificate/, () => write("ca-cert.pem", "hello")],
  [
    "a damaged certificate",
    /cannot be read/,
    () => write("ca-cert.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
  ],
  [
    "another root",
    /does not lead/,
    async () => write("root-cert.pem", (await makeCertificate({ ...AUTHORITY, name: "corporate root" })).pem),
  ],
  ["a missing link", /does not lead/, () => write("cert-chain.pem", "")],
  [
    "a leaf",
    /is no authority/,
    async () => {
      const leaf = await makeCertificate({ name: "leaf", issuer: upper, ca: false });
      await write("ca-cert.pem", leaf.pem);
    },
  ],
  ["a huge file", /is larger than/, () => write("root-cert.pem", "x".repeat(5_000_000))],
])("a directory with %s is refused", async (_what, why, spoil) => {
  await provide();
  await spoil();
  const thrown = await open().then(
    (signer) => signer[Symbol.dispose](),
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(MeshError);
  expect(thrown).toMatchObject({ code: "CA_DIRECTORY", message: expect.stringMatching(why) });
});

test("revocation lists beside the authority are told, verified, and read again", async () => {
  const flags = { keyUsage: x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign };
  root = await makeCertificate({ ...AUTHORITY, ...flags, name: "corporate root" });
  upper = await makeCertificate({ ...AUTHORITY, ...flags, name: "upper", issuer: root });
  await provide();
  const signer = await open();
  expect(signer.revocationListsPem).toBe("");
  const list = await makeRevocationList({ issuer: root, revoked: [upper] });
  await write("ca-crl.pem", list);
  await signer.reload();
  expect(signer.revocationListsPem).toBe(list);
  // An outdated one counts on: what is revoked stays so.
  const outdated = await makeRevocationList({ issuer: upper, nextUpdate: Date.now() - 1000 });
  await write("ca-crl.pem", list + outdated);
  await signer.reload();
  expect(signer.revocationListsPem).toBe(list + outdated);
  const stranger = await makeCertificate({ ...AUTHORITY, ...flags, name: "corporate root" });
  for (const [wrong, why] of [
    [await makeRevocationList({ issuer: stranger }), "no authority of this directory has signed"],
    [await makeRevocationList({ issuer: root, thisUpdate: Date.now() + 3_600_000 }), "of the future"],
    [await makeRevocationList({ issuer: root, hash: "SHA-1" }), "cannot be used"],
    ["nonsense", "holds no revocation list in PEM"],
    [list + outdated.slice(0, -30), "cannot be used"],
    [list.padEnd(1_100_000), "is larger than"],
  ] as const) {
    await write("ca-crl.pem", wrong);
    await signer.reload();
    expect(signer.revocationListsPem).toBe(list + outdated);
    await expect(open()).rejects.toThrow(why);
  }
  await unlink(join(directory, "ca-crl.pem"));
  await signer.reload();
  expect(signer.revocationListsPem).toBe("");
  signer[Symbol.dispose]();
});
