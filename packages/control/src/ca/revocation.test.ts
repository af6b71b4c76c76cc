import { X509Certificate } from "node:crypto";

import { createSigningRequest } from "@tulle/agent";
import { silentLogger } from "@tulle/base";
import { RevocationLists, TrustBundles, verifySvid } from "@tulle/base/spiffe";
import { FakeClock } from "@tulle/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";

import type { Coordination } from "../stores/coordination.js";
import { createMemoryStores } from "../stores/open.js";
import { createCertificateAuthority, type CertificateAuthority } from "./certificate-authority.js";
import { Revocation } from "./revocation.js";

const REVIEWS = "spiffe://cluster.local/ns/default/sa/reviews";
const RATINGS = "spiffe://cluster.local/ns/default/sa/ratings";
const DAY_MS = 86_400_000;

let clock: FakeClock;
let coordination: Coordination;
let authority: CertificateAuthority;
let revocation: Revocation;

beforeEach(async () => {
  clock = new FakeClock(Date.UTC(2030, 0, 1));
  ({ coordination } = createMemoryStores({ clock }));
  authority = await createCertificateAuthority({
    coordination,
    clock,
    trustDomain: "cluster.local",
    logger: silentLogger,
  });
  revocation = await open();
});

afterEach(() => {
  revocation[Symbol.dispose]();
  authority[Symbol.dispose]();
});

const open = (): Promise<Revocation> =>
  Revocation.open({ authority, coordination, clock, logger: silentLogger });

async function issue(spiffeId: string): Promise<{ readonly serialNumber: string; readonly der: Uint8Array }> {
  const { csrPem } = createSigningRequest(spiffeId);
  const { serialNumber, certificateChainPem } = await authority.issue({ csrPem, spiffeId });
  return { serialNumber, der: new X509Certificate(certificateChainPem[0] ?? "").raw };
}

function passes({ der }: { readonly der: Uint8Array }, lists = revocation.listsPem): boolean {
  return verifySvid([der], {
    nowMs: clock.now(),
    bundles: new TrustBundles({ "cluster.local": authority.signer.trustBundlePem }),
    revocations: lists === "" ? undefined : new RevocationLists(lists),
  }).ok;
}

test("as long as nothing is revoked there is no list, and nobody pays for one", () => {
  expect(revocation.listsPem).toBe("");
  expect(revocation.status()).toEqual({ lists: [] });
});

test("a certificate is taken back by its serial number, in any spelling, and no other", async () => {
  const [first, second] = [await issue(REVIEWS), await issue(REVIEWS)];
  const spelling = first.serialNumber.toLowerCase().replaceAll(/..(?!$)/g, "$&:");
  expect(await revocation.revoke(spelling)).toMatchObject([{ serialNumber: first.serialNumber }]);
  expect([passes(first), passes(second)]).toEqual([false, true]);
  expect(revocation.status().lists).toMatchObject([
    { revoked: 1, thisUpdate: clock.now(), issuer: authority.signer.certificates()[0]?.id },
  ]);
});

test("all certificates of an identity are taken back at once, and those that it gets later are good", async () => {
  const [first, second, others] = [await issue(REVIEWS), await issue(REVIEWS), await issue(RATINGS)];
  let told = 0;
  revocation.onChanged(() => told++);
  expect((await revocation.revoke(REVIEWS)).length).toBe(2);
  expect(told).toBeGreaterThan(0);
  expect([first, second, others].map((one) => passes(one))).toEqual([false, false, true]);
  expect(passes(await issue(REVIEWS))).toBe(true);
});

test("another control plane, and one that starts again, says the same", async () => {
  const other = await open();
  const one = await issue(REVIEWS);
  await revocation.revoke(one.serialNumber);
  await expect.poll(() => passes(one, other.listsPem)).toBe(false);
  const again = await open();
  expect(passes(one, again.listsPem)).toBe(false);
  other[Symbol.dispose]();
  again[Symbol.dispose]();
});

test("lists are made anew before they are out of date, and gone when all that is in them has ended", async () => {
  const one = await issue(REVIEWS);
  await revocation.revoke(one.serialNumber);
  const [list] = revocation.status().lists;
  const thisUpdate = clock.now();
  expect(list).toMatchObject({ thisUpdate, nextUpdate: thisUpdate + 7 * DAY_MS });
  await clock.advance(DAY_MS / 2);
  await expect.poll(() => revocation.status().lists[0]?.thisUpdate).toBe(thisUpdate + DAY_MS / 2);
  await clock.advance(DAY_MS);
  await expect.poll(() => revocation.listsPem).toBe("");
  expect(await coordination.range("ca/revoked/")).toEqual([]);
});

test.each([
  ["nonsense!", "neither a serial number in hexadecimal nor a SPIFFE id"],
  ["ABCDEF", 'no valid certificate of this mesh is "ABCDEF"'],
  ["spiffe://cluster.local/ns/default/sa/nobody", "no valid certificate of this mesh"],
  ["spiffe://cluster.local/ns/istio-system/sa/istiod", "no valid certificate of this mesh"],
])("%s is not revoked", async (what, message) => {
  await authority.serverCertificate(["localhost"], []);
  await expect(revocation.revoke(what)).rejects.toThrow(message);
  expect(revocation.listsPem).toBe("");
});
