import { connect, type TLSSocket } from "node:tls";

import { createTestAuthority, eventually, type TestAuthority } from "@tulle/testkit";
import { TlsParameters_TlsProtocol as TlsProtocol } from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import { afterEach, beforeAll, expect, test } from "vitest";

import { call, closeAll } from "../../test/harness.js";
import { startPair, SNI, type Pair } from "../../test/pair.js";
import { inboundListener, type TlsParams } from "../../test/resources.js";

let authority: TestAuthority;
beforeAll(async () => {
  authority = await createTestAuthority();
});
afterEach(closeAll);

const OLDER: TlsParams = {
  tlsMinimumProtocolVersion: TlsProtocol.TLSv1_2,
  cipherSuites: ["ECDHE-ECDSA-AES256-GCM-SHA384"],
  ecdhCurves: ["P-256"],
};

/** A handshake with the inbound listener with a good certificate, or why there is none. */
function handshake(pair: Pair, options: object): Promise<TLSSocket | string> {
  const { certificateChainPem, privateKeyPem } = pair.clientIdentity.current();
  return new Promise((resolve) => {
    const socket = connect({
      host: "127.0.0.1",
      port: pair.inboundPort,
      servername: SNI,
      cert: certificateChainPem,
      key: privateKeyPem,
      rejectUnauthorized: false,
      ...options,
    });
    socket.on("error", (error) => resolve(error.message));
    socket.once("secureConnect", () => resolve(socket));
  });
}

async function spoken(pair: Pair, options: object): Promise<string> {
  const socket = await handshake(pair, options);
  if (typeof socket === "string") return "refused";
  const { type, name = "" } = socket.getEphemeralKeyInfo() as {
    readonly type?: string;
    readonly name?: string;
  };
  const said = [socket.getProtocol(), socket.getCipher().name, type, name].join(" ");
  socket.destroy();
  return said;
}

test("two sidecars that are told so speak TLS 1.2 at least, with the suites and curves that they are told", async () => {
  const pair = await startPair(authority, { tlsParams: OLDER });
  expect((await call(pair.port)).status).toBe(200);
  expect(await spoken(pair, { maxVersion: "TLSv1.2" })).toBe(
    "TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384 ECDH prime256v1",
  );
  expect(await spoken(pair, { minVersion: "TLSv1.3" })).toMatch(/^TLSv1.3 .* ECDH prime256v1$/);
  expect(await spoken(pair, { maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256" })).toBe(
    "refused",
  );
  expect(await spoken(pair, { ecdhCurve: "P-384" })).toBe("refused");
});

test("a client that is told TLS 1.2 at most still reaches its peer, with its certificate verified", async () => {
  const pair = await startPair(authority, {
    tlsParams: OLDER,
    clientTlsParams: { ...OLDER, tlsMaximumProtocolVersion: TlsProtocol.TLSv1_2 },
  });
  const response = await call(pair.port);
  expect(response.status).toBe(200);
  expect(response.body).toContain("URI=spiffe://cluster.local/ns/default/sa/frontend");
});

test("what is spoken changes with the configuration, without a new listener", async () => {
  const pair = await startPair(authority, {});
  expect(await spoken(pair, { maxVersion: "TLSv1.2" })).toBe("refused");
  const cluster = "inbound|9080||reviews.default.svc.cluster.local";
  pair.server.apply(inboundListener({ sni: SNI, cluster, tlsParams: OLDER }));
  await eventually(async () => (await spoken(pair, { maxVersion: "TLSv1.2" })) !== "refused");
  pair.server.apply(inboundListener({ sni: SNI, cluster }));
  await eventually(async () => (await spoken(pair, { maxVersion: "TLSv1.2" })) === "refused");
  expect((await call(pair.port)).status).toBe(200);
});
