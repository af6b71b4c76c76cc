import { X509Certificate } from "node:crypto";

import { Emitter, silentLogger } from "@tulle/base";
import { createTestAuthority, eventually, FakeClock } from "@tulle/testkit";
import { expect, test } from "vitest";

import { createMemoryStores } from "../stores/open.js";
import { createCertificateAuthority } from "./certificate-authority.js";
import { createServerIdentity } from "./server-identity.js";
import type { CertificateSigner } from "./signer.js";

test("createServerIdentity renews at half of the certificate's life, until disposed", async () => {
  const clock = new FakeClock();
  const authority = await createCertificateAuthority({
    coordination: createMemoryStores({ clock }).coordination,
    clock,
    trustDomain: "cluster.local",
    serverCertificateTtlMs: 60_000,
    logger: silentLogger,
  });
  const identity = await createServerIdentity({
    authority,
    dnsNames: ["localhost"],
    ipAddresses: [],
    clock,
    random: () => 0,
    logger: silentLogger,
  });
  const serial = (): string => new X509Certificate(identity.current().certificateChainPem).serialNumber;
  let rotations = 0;
  identity.onRotated(() => rotations++);
  const first = serial();
  await clock.advance(29_000);
  expect(serial()).toBe(first);
  await clock.advance(2000);
  await eventually(() => rotations === 1);
  expect(serial()).not.toBe(first);
  identity[Symbol.dispose]();
  expect(clock.pending).toBe(0);
});

test("createServerIdentity renews at once when its roots are taken away, and not while they are there", async () => {
  const clock = new FakeClock(Date.now());
  const [first, second] = [await createTestAuthority(), await createTestAuthority()];
  const changed = new Emitter<void>();
  let signs = first;
  let trustBundlePem = first.rootCertificatePem;
  const signer = {
    get trustBundlePem() {
      return trustBundlePem;
    },
    onChanged: changed.event,
  } as CertificateSigner;
  const identity = await createServerIdentity({
    authority: {
      trustDomain: "cluster.local",
      signer,
      serverCertificate: async () => ({
        ...(await signs.issue({ namespace: "istio-system", serviceAccount: "istiod" })),
        trustBundlePem,
      }),
    },
    dnsNames: [],
    ipAddresses: [],
    clock,
    random: () => 0,
    logger: silentLogger,
  });
  const chain = (): string => identity.current().certificateChainPem;
  const before = chain();
  signs = second;
  trustBundlePem += second.rootCertificatePem;
  changed.emit();
  await clock.advance(0);
  expect(chain()).toBe(before);
  expect(identity.current().trustBundlePem).toBe(trustBundlePem);
  trustBundlePem = second.rootCertificatePem;
  changed.emit();
  await eventually(() => chain() !== before);
  identity[Symbol.dispose]();
});
