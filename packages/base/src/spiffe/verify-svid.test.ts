import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { makeCertificate, type ChainCertificate, type ChainCertificateOptions } from "@tulle/testkit";
import { beforeAll, expect, test } from "vitest";

import { TrustBundles } from "./trust-bundles.js";
import { verifySvid, type SvidRule } from "./verify-svid.js";

// Certification paths, good and bad, against one bundle: RFC 5280 section 6 as far as SVIDs have it, and what X.509-SVID
// adds. Each case changes one thing of a good path.

const ID = "spiffe://td.example/ns/default/sa/reviews";
const HOUR_MS = 3_600_000;
const { digitalSignature, keyCertSign, cRLSign } = x509.KeyUsageFlags;
const { clientAuth, serverAuth } = x509.ExtendedKeyUsage;
const BOTH = [clientAuth, serverAuth];
const NOW = Date.now();

const AUTHORITY: ChainCertificateOptions = { ca: true, keyUsage: keyCertSign | cRLSign };

let root: ChainCertificate;
let middle: ChainCertificate;
let stranger: ChainCertificate;

beforeAll(async () => {
  root = await makeCertificate({ ...AUTHORITY, name: "root" });
  middle = await makeCertificate({ ...AUTHORITY, name: "middle", issuer: root });
  // Another key under the same name: only its signature tells it apart.
  stranger = await makeCertificate({ ...AUTHORITY, name: "root" });
});

function leafOf(issuer: ChainCertificate, options: ChainCertificateOptions = {}): Promise<ChainCertificate> {
  return makeCertificate({
    issuer,
    ca: false,
    keyUsage: digitalSignature,
    extendedKeyUsages: BOTH,
    names: [{ type: "url", value: ID }],
    ...options,
  });
}

function authorityUnder(
  issuer: ChainCertificate,
  options: ChainCertificateOptions = {},
): Promise<ChainCertificate> {
  return makeCertificate({ ...AUTHORITY, name: "other", issuer, ...options });
}

function verify(
  chain: readonly ChainCertificate[],
  rule: Partial<SvidRule> & { readonly roots?: readonly ChainCertificate[] } = {},
): string {
  const pem = (rule.roots ?? [root]).map((one) => one.pem).join("");
  const bundles = rule.bundles ?? new TrustBundles({ "td.example": pem });
  const verdict = verifySvid(
    chain.map(({ der }) => der),
    { nowMs: NOW, ...rule, bundles },
  );
  return verdict.ok ? verdict.spiffeId : verdict.reason;
}

type Case = readonly [string, () => Promise<string>];

const critical = new x509.Extension("1.2.3.4", true, new Uint8Array([5, 0]));
const uncritical = new x509.Extension("1.2.3.4", false, new Uint8Array([5, 0]));
// permittedSubtrees: URI .example
const nameConstraints = new x509.Extension(
  "2.5.29.30",
  true,
  Buffer.from("300ea00c300a86082e6578616d706c65", "hex"),
);

const good: readonly Case[] = [
  ["a leaf of the root", async () => verify([await leafOf(root)])],
  ["a leaf behind an intermediate", async () => verify([await leafOf(middle), middle])],
  ["a chain that carries its root", async () => verify([await leafOf(middle), middle, root])],
  [
    "intermediates in any order",
    async () => {
      const lower = await authorityUnder(middle);
      return verify([await leafOf(lower), middle, lower]);
    },
  ],
  ["a stranger's certificate beside the chain", async () => verify([await leafOf(middle), stranger, middle])],
  ["a root among several", async () => verify([await leafOf(root)], { roots: [stranger, root] })],
  [
    "a new root, cross-signed by the one that is known",
    async () => {
      const fresh = await makeCertificate({ ...AUTHORITY, name: "fresh" });
      const cross = await makeCertificate({ ...AUTHORITY, name: "fresh", keys: fresh.keys, issuer: root });
      return verify([await leafOf(fresh), cross]);
    },
  ],
  [
    "a new root that is known, cross-signed by a removed one",
    async () => {
      const fresh = await makeCertificate({ ...AUTHORITY, name: "fresh" });
      const cross = await makeCertificate({ ...AUTHORITY, name: "fresh", keys: fresh.keys, issuer: root });
      return verify([await leafOf(fresh), cross], { roots: [fresh] });
    },
  ],
  [
    "a path length that is just enough",
    async () => {
      const one = await authorityUnder(root, { pathLength: 0 });
      return verify([await leafOf(one), one]);
    },
  ],
  ["no key usage at all", async () => verify([await leafOf(root, { keyUsage: undefined })])],
  ["no extended key usage", async () => verify([await leafOf(root, { extendedKeyUsages: undefined })])],
  ["no basic constraints in the leaf", async () => verify([await leafOf(root, { ca: undefined })])],
  [
    "DNS and address names beside the id",
    async () =>
      verify([
        await leafOf(root, {
          names: [
            { type: "url", value: ID },
            { type: "dns", value: "a" },
            { type: "ip", value: "127.0.0.1" },
          ],
        }),
      ]),
  ],
  [
    "an uncritical extension that is not known",
    async () => verify([await leafOf(root, { extensions: [uncritical] })]),
  ],
  ["an RSA key of 2048 bits", async () => verify([await leafOf(root, { key: "RSA-2048" })])],
  ["a key on P-384", async () => verify([await leafOf(root, { key: "P-384" })])],
  ["an Ed25519 key", async () => verify([await leafOf(root, { key: "Ed25519" })])],
];

test.each(good)("verifySvid takes %s", async (_what, run) => {
  expect(await run()).toBe(ID);
});

const NO_ROOT = /leads to no root/;
const NOBODY = /names no workload/;

const bad: readonly (readonly [string, RegExp, () => Promise<string>])[] = [
  // Paths.
  ["no certificate", NOBODY, async () => verify([])],
  ["a root of the same name with another key", NO_ROOT, async () => verify([await leafOf(stranger)])],
  ["a missing intermediate", NO_ROOT, async () => verify([await leafOf(middle)])],
  ["a stranger's root sent along", NO_ROOT, async () => verify([await leafOf(stranger), stranger])],
  [
    "an intermediate of a stranger's root",
    NO_ROOT,
    async () => {
      const theirs = await authorityUnder(stranger, { name: "middle" });
      return verify([await leafOf(theirs), theirs]);
    },
  ],
  [
    "a self-signed leaf",
    NO_ROOT,
    async () =>
      verify([
        await makeCertificate({ ca: false, keyUsage: digitalSignature, names: [{ type: "url", value: ID }] }),
      ]),
  ],
  [
    "a leaf that issued a leaf",
    NO_ROOT,
    async () => {
      const first = await leafOf(root, { name: "leaf" });
      return verify([await leafOf(first), first]);
    },
  ],
  [
    "a leaf that issued a leaf and may sign certificates",
    NO_ROOT,
    async () => {
      const first = await leafOf(root, { name: "leaf", keyUsage: digitalSignature | keyCertSign });
      return verify([await leafOf(first), first]);
    },
  ],
  [
    "an authority that may not sign certificates",
    NO_ROOT,
    async () => {
      const one = await authorityUnder(root, { keyUsage: cRLSign });
      return verify([await leafOf(one), one]);
    },
  ],
  [
    "an authority without basic constraints",
    NO_ROOT,
    async () => {
      const one = await authorityUnder(root, { ca: undefined });
      return verify([await leafOf(one), one]);
    },
  ],
  [
    "more authorities than a path length allows",
    NO_ROOT,
    async () => {
      const one = await authorityUnder(root, { pathLength: 0 });
      const two = await authorityUnder(one, { name: "two" });
      return verify([await leafOf(two), two, one]);
    },
  ],
  [
    "a root whose path length is used up",
    NO_ROOT,
    async () => {
      const tight = await makeCertificate({ ...AUTHORITY, name: "tight", pathLength: 0 });
      const one = await authorityUnder(tight);
      return verify([await leafOf(one), one], { roots: [tight] });
    },
  ],
  [
    "an expired intermediate",
    NO_ROOT,
    async () => {
      const old = await authorityUnder(root, { notBefore: NOW - 2 * HOUR_MS, notAfter: NOW - 60_000 });
      return verify([await leafOf(old), old]);
    },
  ],
  [
    "an intermediate of tomorrow",
    NO_ROOT,
    async () => {
      const early = await authorityUnder(root, { notBefore: NOW + 60_000 });
      return verify([await leafOf(early), early]);
    },
  ],
  [
    "an expired root",
    NO_ROOT,
    async () => {
      const old = await makeCertificate({
        ...AUTHORITY,
        name: "old",
        notBefore: NOW - 2 * HOUR_MS,
        notAfter: NOW - 60_000,
      });
      return verify([await leafOf(old)], { roots: [old] });
    },
  ],
  [
    "an intermediate that limits names",
    NO_ROOT,
    async () => {
      const one = await authorityUnder(root, { extensions: [nameConstraints] });
      return verify([await leafOf(one), one]);
    },
  ],
  [
    "an intermediate with a critical extension that is not known",
    NO_ROOT,
    async () => {
      const one = await authorityUnder(root, { extensions: [critical] });
      return verify([await leafOf(one), one]);
    },
  ],
  [
    "an intermediate signed with SHA-1",
    NO_ROOT,
    async () => {
      const one = await authorityUnder(root, { hash: "SHA-1" });
      return verify([await leafOf(one), one]);
    },
  ],
  [
    "an intermediate with an RSA key of 1024 bits",
    NO_ROOT,
    async () => {
      const one = await authorityUnder(root, { key: "RSA-1024" });
      return verify([await leafOf(one), one]);
    },
  ],
  [
    "two authorities that signed each other",
    NO_ROOT,
    async () => {
      const a = await makeCertificate({ ...AUTHORITY, name: "a" });
      const b = await makeCertificate({ ...AUTHORITY, name: "b" });
      const aByB = await makeCertificate({ ...AUTHORITY, name: "a", keys: a.keys, issuer: b });
      const bByA = await makeCertificate({ ...AUTHORITY, name: "b", keys: b.keys, issuer: a });
      return verify([await leafOf(a), aByB, bByA]);
    },
  ],
  [
    "a maze of eight authorities of one name",
    NO_ROOT,
    async () => {
      const maze = await Promise.all(
        Array.from({ length: 8 }, () => makeCertificate({ ...AUTHORITY, name: "maze" })),
      );
      return verify([await leafOf(maze[0]!), ...maze]);
    },
  ],
  [
    "more certificates than a chain may have",
    /too long/,
    async () => verify([await leafOf(middle), ...Array.from({ length: 9 }, () => middle)]),
  ],
  [
    "no bundle of its trust domain",
    /not let in/,
    async () => verify([await leafOf(root)], { bundles: new TrustBundles({ other: root.pem }) }),
  ],
  [
    "an empty bundle",
    NO_ROOT,
    async () => verify([await leafOf(root)], { bundles: new TrustBundles({ "td.example": "" }) }),
  ],
  [
    "the root of another trust domain",
    NO_ROOT,
    async () =>
      verify([await leafOf(root)], {
        bundles: new TrustBundles({ "td.example": stranger.pem, other: root.pem }),
      }),
  ],
  [
    "a trust domain that is trusted, but not here",
    /not let in/,
    async () => verify([await leafOf(root)], { trustDomains: new Set(["other"]) }),
  ],
  [
    "a trust domain of a property that every object has",
    /not let in/,
    async () => verify([await leafOf(root, { names: [{ type: "url", value: "spiffe://constructor/a" }] })]),
  ],
  // Leaves.
  ["the root itself", NOBODY, async () => verify([root])],
  ["an authority with an id", NOBODY, async () => verify([await leafOf(root, { ca: true })])],
  [
    "a leaf that may sign certificates",
    NOBODY,
    async () => verify([await leafOf(root, { keyUsage: digitalSignature | keyCertSign })]),
  ],
  [
    "a leaf that may sign revocations",
    NOBODY,
    async () => verify([await leafOf(root, { keyUsage: digitalSignature | cRLSign })]),
  ],
  [
    "a leaf that may not sign",
    NOBODY,
    async () => verify([await leafOf(root, { keyUsage: x509.KeyUsageFlags.keyEncipherment })]),
  ],
  [
    "a leaf for servers only",
    NOBODY,
    async () => verify([await leafOf(root, { extendedKeyUsages: [serverAuth] })]),
  ],
  [
    "a leaf for clients only",
    NOBODY,
    async () => verify([await leafOf(root, { extendedKeyUsages: [clientAuth] })]),
  ],
  [
    "a leaf for signing code",
    NOBODY,
    async () => verify([await leafOf(root, { extendedKeyUsages: [x509.ExtendedKeyUsage.codeSigning] })]),
  ],
  [
    "a leaf with a critical extension that is not known",
    NOBODY,
    async () => verify([await leafOf(root, { extensions: [critical] })]),
  ],
  ["a leaf signed with SHA-1", NOBODY, async () => verify([await leafOf(root, { hash: "SHA-1" })])],
  [
    "a leaf with an RSA key of 1024 bits",
    NOBODY,
    async () => verify([await leafOf(root, { key: "RSA-1024" })]),
  ],
  [
    "an expired leaf",
    /expired/,
    async () => verify([await leafOf(root, { notBefore: NOW - 2 * HOUR_MS, notAfter: NOW - 60_000 })]),
  ],
  [
    "a leaf of tomorrow",
    /not valid yet/,
    async () => verify([await leafOf(root, { notBefore: NOW + 60_000 })]),
  ],
  [
    "somebody else than expected",
    /not who was expected/,
    async () => verify([await leafOf(root)], { spiffeIds: new Set([`${ID}2`]) }),
  ],
  // Names.
  ["no name", NOBODY, async () => verify([await leafOf(root, { names: undefined })])],
  [
    "two ids",
    NOBODY,
    async () =>
      verify([
        await leafOf(root, {
          names: [
            { type: "url", value: ID },
            { type: "url", value: `${ID}2` },
          ],
        }),
      ]),
  ],
  [
    "the id twice",
    NOBODY,
    async () =>
      verify([
        await leafOf(root, {
          names: [
            { type: "url", value: ID },
            { type: "url", value: ID },
          ],
        }),
      ]),
  ],
  [
    "another URI beside the id",
    NOBODY,
    async () =>
      verify([
        await leafOf(root, {
          names: [
            { type: "url", value: ID },
            { type: "url", value: "https://a" },
          ],
        }),
      ]),
  ],
  [
    "the id as a DNS name",
    NOBODY,
    async () => verify([await leafOf(root, { names: [{ type: "dns", value: ID }] })]),
  ],
  [
    "the id as a mail address",
    NOBODY,
    async () => verify([await leafOf(root, { names: [{ type: "email", value: ID }] })]),
  ],
  [
    "the id as a common name",
    NOBODY,
    async () => verify([await leafOf(root, { names: undefined, name: ID })]),
  ],
  [
    "an id with a NUL",
    NOBODY,
    async () => verify([await leafOf(root, { names: [{ type: "url", value: `${ID}\0.evil` }] })]),
  ],
  [
    "an id that looks like two when printed",
    NOBODY,
    async () =>
      verify([
        await leafOf(root, { names: [{ type: "url", value: `${ID}, URI:spiffe://td.example/admin` }] }),
      ]),
  ],
  [
    "an upper-case scheme",
    NOBODY,
    async () =>
      verify([await leafOf(root, { names: [{ type: "url", value: ID.replace("spiffe", "SPIFFE") }] })]),
  ],
  [
    "a trust domain's id",
    NOBODY,
    async () => verify([await leafOf(root, { names: [{ type: "url", value: "spiffe://td.example" }] })]),
  ],
  [
    "an id of 2049 bytes",
    NOBODY,
    async () =>
      verify([
        await leafOf(root, { names: [{ type: "url", value: "spiffe://td.example/".padEnd(2049, "a") }] }),
      ]),
  ],
  [
    "a thousand other names",
    NOBODY,
    async () =>
      verify([
        await leafOf(root, {
          names: [
            ...Array.from({ length: 1001 }, () => ({ type: "dns" as const, value: "a" })),
            { type: "url", value: ID },
          ],
        }),
      ]),
  ],
];

test.each(bad)("verifySvid refuses %s", async (_what, reason, run) => {
  expect(await run()).toMatch(reason);
});

test("verifySvid counts the grace for every certificate of the path, and says that it did", async () => {
  const dates = { notBefore: NOW - 2 * HOUR_MS, notAfter: NOW - 60_000 };
  const old = await authorityUnder(root, dates);
  const chain = [await leafOf(old, dates), old].map(({ der }) => der);
  const rule = { nowMs: NOW, bundles: new TrustBundles({ "td.example": root.pem }) };
  expect(verifySvid(chain, { ...rule, graceMs: HOUR_MS })).toMatchObject({ ok: true, expired: true });
  expect(verifySvid(chain, { ...rule, graceMs: 59_000 })).toMatchObject({ ok: false });
});
