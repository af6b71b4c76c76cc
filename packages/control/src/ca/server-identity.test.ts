import { X509Certificate } from "node:crypto";

import { silentLogger } from "@tulle/base";
import { eventually, FakeClock } from "@tulle/testkit";
import { expect, test } from "vitest";

import { createMemoryStores } from "../stores/open.js";
import { createCertificateAuthority } from "./certificate-authority.js";
import { createServerIdentity } from "./server-identity.js";

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
