import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer, type TLSSocket } from "node:tls";

import { createTestAuthority, type TestAuthority, type TestCertificate } from "@tulle/testkit";
import { beforeAll, expect, test } from "vitest";

import {
  noNameCheck,
  secureContextOptions,
  verifyLeaf,
  verifyPeer,
  type PeerRule,
  type PeerVerdict,
} from "./tls.js";

let authority: TestAuthority;
let rule: PeerRule;

beforeAll(async () => {
  authority = await createTestAuthority();
  rule = { nowMs: Date.now(), trustDomains: new Set(["cluster.local"]) };
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

test("verifyLeaf refuses by date, trust domain, identity and shape", async () => {
  const der = async (issued: Promise<TestCertificate>): Promise<Buffer> =>
    new X509Certificate((await issued).certificateChainPem).raw;
  const good = await der(authority.issue({ serviceAccount: "reviews" }));
  const id = "spiffe://cluster.local/ns/default/sa/reviews";
  expect(verifyLeaf(good, { ...rule, spiffeIds: new Set([id]) })).toMatchObject({ ok: true, spiffeId: id });
  expect(verifyLeaf({ raw: good }, rule).ok).toBe(true);
  const reasons = [
    verifyLeaf(good, { ...rule, spiffeIds: new Set([`${id}2`]) }),
    verifyLeaf(good, { ...rule, trustDomains: new Set(["other"]) }),
    verifyLeaf(good, { ...rule, nowMs: Date.now() + 7_200_000 }),
    verifyLeaf(good, { ...rule, nowMs: Date.now() - 7_200_000 }),
    verifyLeaf(await der(authority.issueExpired()), rule),
    verifyLeaf(await der(authority.issue({ uris: [] })), rule),
    verifyLeaf(Buffer.alloc(3), rule),
  ].map((verdict) => (verdict.ok ? "passed" : verdict.reason));
  expect(reasons).toEqual([
    expect.stringContaining("not who was expected"),
    expect.stringContaining("trust domain"),
    expect.stringContaining("expired"),
    expect.stringContaining("not valid yet"),
    expect.stringContaining("expired"),
    expect.stringContaining("names no workload"),
    expect.stringContaining("names no workload"),
  ]);
});

/** Connects with the certificates given; both sides' verdicts about each other. */
async function handshake(
  own: TestCertificate | undefined,
  serverOwn: TestCertificate,
): Promise<{ client: PeerVerdict; server: PeerVerdict }> {
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
  const verdicts = { client: verifyPeer(socket, rule), server: verifyPeer(peer, rule) };
  expect(socket.getProtocol()).toBe("TLSv1.3");
  socket.destroy();
  peer.destroy();
  listener.close();
  await once(listener, "close");
  return verdicts;
}
