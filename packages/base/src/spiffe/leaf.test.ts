import { X509Certificate } from "node:crypto";

import { createTestAuthority, type TestAuthority, type TestCertificateOptions } from "@tulle/testkit";
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";

import { readLeaf } from "./leaf.js";

const ID = "spiffe://cluster.local/ns/default/sa/test";

let authority: TestAuthority;

beforeAll(async () => {
  authority = await createTestAuthority();
});

async function derOf(options: TestCertificateOptions): Promise<Buffer> {
  return new X509Certificate((await authority.issue(options)).certificateChainPem).raw;
}

test("readLeaf reads identity and dates, as Node.js does", async () => {
  const notBefore = Date.UTC(2026, 0, 2, 3, 4, 5);
  // From 2050 on, dates have four-digit years.
  const notAfter = Date.UTC(2051, 5, 6, 7, 8, 9);
  expect(readLeaf(await derOf({ notBefore, notAfter }))).toEqual({
    spiffeId: ID,
    trustDomain: "cluster.local",
    path: "/ns/default/sa/test",
    notBefore,
    notAfter,
  });
});

test("readLeaf passes over other kinds of names, and a subject", async () => {
  const der = await derOf({ dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"], commonName: "admin" });
  expect(readLeaf(der)?.spiffeId).toBe(ID);
});

test.each<[string, TestCertificateOptions]>([
  ["no URI", { uris: [], dnsNames: ["a"] }],
  ["no names at all", { uris: [] }],
  ["the identity as a DNS name", { uris: [], dnsNames: [ID] }],
  ["two identities", { uris: [ID, "spiffe://cluster.local/ns/default/sa/admin"] }],
  ["another URI beside the identity", { uris: [ID, "https://example.com/"] }],
  ["the same identity twice", { uris: [ID, ID] }],
  ["no SPIFFE id", { uris: ["https://example.com/"] }],
  ["a trust domain's id", { uris: ["spiffe://cluster.local"] }],
  ["an id with a NUL", { uris: [`${ID}\0.evil`] }],
  [
    "an id that looks like two when printed",
    { uris: [`${ID}, URI:spiffe://cluster.local/ns/default/sa/admin`] },
  ],
  ["upper case", { uris: [ID.toUpperCase()] }],
  ["an authority's constraints", { ca: true }],
])("readLeaf knows nobody by a certificate with %s", async (_what, options) => {
  expect(readLeaf(await derOf(options))).toBeUndefined();
});

test("readLeaf knows nobody by the root or by bytes that are no certificate", () => {
  expect(readLeaf(new X509Certificate(authority.rootCertificatePem).raw)).toBeUndefined();
  for (const bytes of [[], [0x30], [0x30, 0x80], [0x30, 0x84, 0xff, 0xff, 0xff, 0xff], [0x1f, 0x01]]) {
    expect(readLeaf(Uint8Array.from(bytes))).toBeUndefined();
  }
  expect(readLeaf(new Uint8Array(10_000_000))).toBeUndefined();
});

test("readLeaf never throws and never reads another identity out of damaged bytes", async () => {
  const der = await derOf({});
  expect(readLeaf(Buffer.concat([der, Buffer.from([0])]))).toBeUndefined();
  const known = new RegExp(`^spiffe://[a-z0-9._-]+/`);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat({ max: der.length - 1 }), fc.nat({ max: 255 })), {
        minLength: 1,
        maxLength: 4,
      }),
      fc.nat({ max: der.length }),
      (edits, cut) => {
        const damaged = Buffer.from(der);
        for (const [offset, byte] of edits) damaged[offset] = byte;
        const leaf = readLeaf(damaged);
        if (leaf !== undefined) expect(leaf.spiffeId).toMatch(known);
        if (cut < der.length) expect(readLeaf(der.subarray(0, cut))).toBeUndefined();
      },
    ),
    { numRuns: 2000 },
  );
});

test("readLeaf never throws on arbitrary bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      expect(readLeaf(bytes)).toBeUndefined();
    }),
  );
});
