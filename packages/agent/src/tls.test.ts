import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer, type TLSSocket } from "node:tls";

import type { SvidRule, SvidVerdict } from "@tulle/base/spiffe";
import { createTestAuthority, type TestAuthority } from "@tulle/testkit";
import { beforeAll, expect, test } from "vitest";

import type { Svid } from "./contract.js";
import { noNameCheck, secureContextOptions, trustBundlesOf, verifyPeer } from "./tls.js";

let authority: TestAuthority;

beforeAll(async () => {
  authority = await createTestAuthority();
});

test("verifyPeer names the peer of a mutual TLS 1.3 connection on both sides", async () => {
  const { client, server } = await handshake(
    await authority.issue({ serviceAccount: "client" }),
    await authority.issue({ serviceAccount: "server" }),
  );
  expect(server).toMatchObject({ ok: true, spiffeId: "spiffe://cluster.local/ns/default/sa/client" });
  expect(client).toMatchObject({ ok: true, spiffeId: "spiffe://cluster.local/ns/default/sa/server" });
});

test("verifyPeer refuses a foreign authority's certificate and the lack of one", async () => {
  const foreign = await createTestAuthority();
  const own = await authority.issue();
  const verdict = await handshake(await foreign.issue(), own);
  expect(verdict.server).toMatchObject({ ok: false, reason: expect.stringContaining("not trusted") });
  expect((await handshake(undefined, own)).server.ok).toBe(false);
});

test("verifyPeer holds a peer against the bundle of its own trust domain, whatever else is trusted", async () => {
  const other = await createTestAuthority({ trustDomain: "other.example" });
  const own: Svid = {
    ...(await authority.issue({ serviceAccount: "server" })),
    federatedBundles: { "other.example": other.rootCertificatePem },
  };
  expect((await handshake(await other.issue(), own)).server).toMatchObject({
    ok: true,
    spiffeId: "spiffe://other.example/ns/default/sa/test",
  });
  // Their authority signs an id of ours, and ours one of theirs: the handshake takes both.
  for (const forged of [
    await other.issue({ uris: ["spiffe://cluster.local/ns/default/sa/test"] }),
    await authority.issue({ uris: ["spiffe://other.example/ns/default/sa/test"] }),
  ]) {
    expect((await handshake(forged, own)).server).toMatchObject({
      ok: false,
      reason: expect.stringContaining("no root"),
    });
  }
});

test("verifyPeer takes an expired peer within the grace only, and says so", async () => {
  const own = await authority.issue();
  const expired = await authority.issue({ notBefore: Date.now() - 7_200_000, notAfter: Date.now() - 60_000 });
  expect((await handshake(expired, own)).server).toMatchObject({ ok: false });
  expect((await handshake(expired, own, 30_000)).server).toMatchObject({ ok: false });
  expect((await handshake(expired, own, 3_600_000)).server).toMatchObject({ ok: true, expired: true });
  const foreign = await createTestAuthority();
  const theirs = await foreign.issue({ notBefore: Date.now() - 7_200_000, notAfter: Date.now() - 60_000 });
  expect((await handshake(theirs, own, 3_600_000)).server).toMatchObject({ ok: false });
});

/** Connects with the certificates given; both sides' verdicts about each other. */
async function handshake(
  own: Svid | undefined,
  serverOwn: Svid,
  graceMs = 0,
): Promise<{ client: SvidVerdict; server: SvidVerdict }> {
  const listener = createServer({
    ...secureContextOptions(serverOwn),
    requestCert: true,
    rejectUnauthorized: false,
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const accepted = once(listener, "secureConnection") as Promise<[TLSSocket]>;
  const socket = connect({
    ...(own === undefined ? { ca: authority.rootCertificatePem } : secureContextOptions(own)),
    host: "127.0.0.1",
    port: (listener.address() as AddressInfo).port,
    rejectUnauthorized: false,
    checkServerIdentity: noNameCheck,
  });
  socket.on("error", () => undefined);
  await once(socket, "secureConnect");
  const [peer] = await accepted;
  peer.on("error", () => undefined);
  const rule = (svid: Svid): SvidRule => ({ nowMs: Date.now(), bundles: trustBundlesOf(svid), graceMs });
  const verdicts = {
    client: verifyPeer(socket, rule(own ?? serverOwn)),
    server: verifyPeer(peer, rule(serverOwn)),
  };
  expect(socket.getProtocol()).toBe("TLSv1.3");
  socket.destroy();
  peer.destroy();
  listener.close();
  await once(listener, "close");
  return verdicts;
}
