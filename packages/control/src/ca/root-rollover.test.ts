import "reflect-metadata";
import { X509Certificate } from "node:crypto";

import { createSigningRequest } from "@tulle/agent";
import { Emitter, silentLogger } from "@tulle/base";
import { parseCertificates, TrustBundles, verifySvid } from "@tulle/base/spiffe";
import { eventually, FakeClock } from "@tulle/testkit";
import { beforeEach, expect, test } from "vitest";

import { createMemoryStores, type Stores } from "../stores/open.js";
import { createCertificateAuthority, type CertificateAuthority } from "./certificate-authority.js";
import { RootRollover } from "./root-rollover.js";
import type { SelfSignedSigner } from "./self-signed-signer.js";

const ID = "spiffe://cluster.local/ns/default/sa/reviews";
const HOUR = 3_600_000;

let clock: FakeClock;
let stores: Stores;
let pending: readonly string[];
let accepted: Emitter<void>;

beforeEach(() => {
  clock = new FakeClock(Date.now());
  stores = createMemoryStores({ clock });
  pending = [];
  accepted = new Emitter<void>();
});

interface Plane {
  readonly authority: CertificateAuthority;
  readonly rollover: RootRollover;
}

/** A control plane's authority over the same store, as after a restart. */
async function open(): Promise<Plane> {
  const authority = await createCertificateAuthority({
    coordination: stores.coordination,
    clock,
    trustDomain: "cluster.local",
    certificateTtlMs: HOUR,
    rootTtlMs: 30 * HOUR,
    logger: silentLogger,
  });
  const distribution = {
    get pending() {
      return pending;
    },
    onAccepted: accepted.event,
  };
  const rollover = new RootRollover({ authority, distribution, clock, logger: silentLogger });
  await rollover.start();
  return { authority, rollover };
}

function phases({ authority }: Plane): readonly string[] {
  return authority.signer.certificates().map(({ phase }) => phase);
}

async function issue({ authority }: Plane): Promise<readonly Uint8Array[]> {
  const { csrPem } = createSigningRequest(ID);
  const { certificateChainPem } = await authority.issue({ csrPem, spiffeId: ID });
  return certificateChainPem.map((pem) => new X509Certificate(pem).raw);
}

function trusts(rootsPem: string, chain: readonly Uint8Array[]): boolean {
  return verifySvid(chain, { nowMs: clock.now(), bundles: new TrustBundles({ "cluster.local": rootsPem }) })
    .ok;
}

/** Lets time pass in steps that the rollover's timers see. */
async function pass(ms: number): Promise<void> {
  await clock.advance(ms);
  // Keys are made and signed on other threads.
  await new Promise((resolve) => setTimeout(resolve, 50));
  await clock.advance(1);
}

test("a root is replaced by itself, with overlap, and nobody who knows either is cut off", async () => {
  const plane = await open();
  const old = plane.authority.signer.trustBundlePem;
  const before = await issue(plane);
  expect(phases(plane)).toEqual(["active"]);

  pending = ["spiffe://cluster.local/ns/default/sa/slow"];
  await pass(20 * HOUR);
  await eventually(() => phases(plane).join() === "active,next");
  const both = plane.authority.signer.trustBundlePem;
  expect(parseCertificates(both)).toHaveLength(2);
  // The old one signs until everybody trusts the new one.
  expect(trusts(old, await issue(plane))).toBe(true);
  await pass(60_000);
  expect(phases(plane)).toEqual(["active", "next"]);

  pending = [];
  accepted.emit();
  await pass(1000);
  await eventually(() => phases(plane).join() === "active,retiring");
  const after = await issue(plane);
  const fresh = plane.authority.signer.certificates()[0]!.pem;
  // By the new root alone, by both, and by the old one alone: it has signed the new one's key.
  for (const roots of [fresh, both, old]) expect(trusts(roots, after)).toBe(true);
  expect(trusts(fresh, before)).toBe(false);
  // The first of the bundle is the one that signs.
  expect(plane.authority.signer.trustBundlePem.startsWith(fresh)).toBe(true);

  await pass(HOUR + 2000);
  await eventually(() => phases(plane).join() === "active");
  expect(plane.authority.signer.trustBundlePem).toBe(fresh);
  // What the removed root alone vouches for is nobody's any more.
  expect(trusts(plane.authority.signer.trustBundlePem, before)).toBe(false);
  expect(trusts(fresh, await issue(plane))).toBe(true);
});

test("a rotation goes on where it was after a restart at any point of it", async () => {
  let plane = await open();
  const first = plane.authority.signer.certificates()[0]?.id;
  const restart = async (): Promise<void> => {
    plane.rollover[Symbol.dispose]();
    plane.authority[Symbol.dispose]();
    plane = await open();
  };
  pending = ["somebody"];
  await plane.rollover.rotate();
  await expect(plane.rollover.rotate()).rejects.toMatchObject({ code: "CA_ROTATING" });
  await restart();
  expect(phases(plane)).toEqual(["active", "next"]);
  pending = [];
  await pass(31_000);
  await restart();
  await eventually(() => phases(plane).join() === "active,retiring");
  await pass(2 * HOUR);
  await restart();
  await eventually(() => phases(plane).join() === "active");
  expect(plane.authority.signer.certificates()[0]?.id).not.toBe(first);
});

test("another control plane on the same store follows a rotation", async () => {
  const [one, other] = [await open(), await open()];
  await one.rollover.rotate();
  await pass(31_000);
  await eventually(() => phases(other).join() === "active,retiring");
  expect(other.authority.signer.trustBundlePem).toBe(one.authority.signer.trustBundlePem);
  expect(trusts(one.authority.signer.certificates()[0]!.pem, await issue(other))).toBe(true);
});

test("an authority whose root has ended while it was away makes a new one at once", async () => {
  const plane = await open();
  plane.rollover[Symbol.dispose]();
  const old = plane.authority.signer.trustBundlePem;
  await clock.advance(31 * HOUR);
  const again = await open();
  expect(trusts(again.authority.signer.trustBundlePem, await issue(again))).toBe(true);
  expect(again.authority.signer.certificates()[0]!.pem).not.toBe(old);
});

test("a root of an earlier version's store is taken over", async () => {
  const plane = await open();
  const signer = plane.authority.signer as SelfSignedSigner;
  const [{ certificatePem, privateKeyPem }] = signer.roots as [(typeof signer.roots)[number]];
  plane.rollover[Symbol.dispose]();
  const value = Buffer.from(
    JSON.stringify({ version: 1, trustDomain: "cluster.local", certificatePem, privateKeyPem }),
  );
  await stores.coordination.txn(
    [],
    [
      { op: "delete", key: "ca/roots" },
      { op: "put", key: "ca/root", value },
    ],
  );
  const again = await open();
  expect(again.authority.signer.trustBundlePem).toBe(certificatePem);
  await again.rollover.rotate();
  expect(phases(again)).toEqual(["active", "next"]);
});
