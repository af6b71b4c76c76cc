import "reflect-metadata";
import { X509Certificate } from "node:crypto";

import * as x509 from "@peculiar/x509";
import {
  makeCertificate,
  makeRevocationList,
  type ChainCertificate,
  type ChainCertificateOptions,
} from "@tulle/testkit";
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";

import { derOfPem } from "./pem.js";
import { readRevocationList } from "./revocation-list.js";
import { RevocationLists } from "./revocation-lists.js";
import { TrustBundles } from "./trust-bundles.js";
import { verifySvid } from "./verify-svid.js";

const ID = "spiffe://td.example/ns/default/sa/reviews";
const { digitalSignature, keyCertSign, cRLSign } = x509.KeyUsageFlags;
const AUTHORITY: ChainCertificateOptions = { ca: true, keyUsage: keyCertSign | cRLSign };
const LEAF: ChainCertificateOptions = {
  ca: false,
  keyUsage: digitalSignature,
  names: [{ type: "url", value: ID }],
};

let root: ChainCertificate;
let middle: ChainCertificate;
let leaf: ChainCertificate;
let other: ChainCertificate;

beforeAll(async () => {
  root = await makeCertificate({ ...AUTHORITY, name: "root" });
  middle = await makeCertificate({ ...AUTHORITY, name: "middle", issuer: root });
  leaf = await makeCertificate({ ...LEAF, issuer: middle });
  other = await makeCertificate({ ...LEAF, issuer: middle });
});

function verify(chain: readonly ChainCertificate[], ...lists: readonly string[]): string {
  const verdict = verifySvid(
    chain.map(({ der }) => der),
    {
      nowMs: Date.now(),
      bundles: new TrustBundles({ "td.example": root.pem }),
      revocations: new RevocationLists(lists.join("")),
    },
  );
  return verdict.ok ? "passes" : verdict.reason;
}

const REVOKED = `the certificate of ${ID} has been revoked`;

test("what its authority took back does not pass, and nothing else is touched", async () => {
  const list = await makeRevocationList({ issuer: middle, revoked: [leaf] });
  expect(verify([leaf, middle], list)).toBe(REVOKED);
  expect(verify([other, middle], list)).toBe("passes");
  expect(verify([leaf, middle])).toBe("passes");
});

test("an authority that was taken back takes all that it signed along", async () => {
  const list = await makeRevocationList({ issuer: root, revoked: [middle] });
  expect(verify([leaf, middle], list)).toBe(REVOKED);
});

test("a list that is out of date counts on", async () => {
  const list = await makeRevocationList({ issuer: middle, revoked: [leaf], nextUpdate: Date.now() - 1000 });
  expect(verify([leaf, middle], list)).toBe(REVOKED);
});

test("of several lists of an authority each counts", async () => {
  const lists = await Promise.all([
    makeRevocationList({ issuer: middle, revoked: [leaf] }),
    makeRevocationList({ issuer: middle, revoked: [other] }),
  ]);
  expect(verify([leaf, middle], ...lists)).toBe(REVOKED);
  expect(verify([other, middle], ...lists)).toBe(REVOKED);
});

test("nobody takes back what another has signed", async () => {
  const stranger = await makeCertificate({ ...AUTHORITY, name: "middle" });
  for (const issuer of [root, stranger, leaf]) {
    expect(verify([leaf, middle], await makeRevocationList({ issuer, revoked: [leaf] }))).toBe("passes");
  }
  const mayNot = await makeCertificate({ ca: true, keyUsage: keyCertSign, name: "may not", issuer: root });
  const its = await makeCertificate({ ...LEAF, issuer: mayNot });
  expect(verify([its, mayNot], await makeRevocationList({ issuer: mayNot, revoked: [its] }))).toBe("passes");
});

test("authorities with keys of every kind sign lists", async () => {
  for (const key of ["P-384", "P-521", "RSA-2048"] as const) {
    const issuer = await makeCertificate({ ...AUTHORITY, name: key, issuer: root, key });
    const its = await makeCertificate({ ...LEAF, issuer });
    expect([key, verify([its, issuer], await makeRevocationList({ issuer, revoked: [its] }))]).toEqual([
      key,
      REVOKED,
    ]);
  }
});

test("a list that needs more understanding than there is here is not read", async () => {
  const critical = [new x509.Extension("2.5.29.27", true, new Uint8Array([2, 1, 1]))];
  const lists = new RevocationLists(
    [
      await makeRevocationList({ issuer: root, extensions: critical }),
      await makeRevocationList({ issuer: root, hash: "SHA-1" }),
      "-----BEGIN X509 CRL-----\nMAAA\n-----END X509 CRL-----\n",
    ].join(""),
  );
  expect([lists.lists.length, lists.unreadable]).toEqual([0, 3]);
});

test("a list that is cut, and what is no list, are seen beside one that can be used", async () => {
  const list = await makeRevocationList({ issuer: root });
  const cut = await makeRevocationList({ issuer: middle, revoked: [leaf] });
  for (const rest of [
    cut.slice(0, -30),
    cut.slice(0, cut.length / 2),
    cut.replace("\n", "\n#"),
    cut.replaceAll("X509 CRL", "CRL"),
    leaf.pem,
  ]) {
    for (const pem of [list + rest, `${rest}\n${list}`]) {
      const lists = new RevocationLists(pem);
      expect(lists.unreadable).toBeGreaterThan(0);
    }
  }
  expect(new RevocationLists(`of the root\n${list}${cut}`).unreadable).toBe(0);
});

test("a list that was changed is nobody's, or none", async () => {
  const der = derOfPem(await makeRevocationList({ issuer: middle, revoked: [leaf] }));
  const { publicKey } = new X509Certificate(middle.pem);
  expect(readRevocationList(der)?.isSignedWith(publicKey)).toBe(true);
  fc.assert(
    fc.property(fc.nat({ max: der.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, by) => {
      const changed = Buffer.from(der);
      changed[at] = (changed[at] ?? 0) ^ by;
      expect(readRevocationList(changed)?.isSignedWith(publicKey) ?? false).toBe(false);
    }),
    { numRuns: 300 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      expect(readRevocationList(bytes)).toBeUndefined();
    }),
  );
});
