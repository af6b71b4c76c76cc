import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from "node:tls";

import { create } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { Emitter, systemClock } from "@tulle/base";
import {
  createTestAuthority,
  eventually,
  FakeClock,
  type TestAuthority,
  type TestCertificate,
} from "@tulle/testkit";
import { unaryMethod } from "@tulle/http/socket";
import { grpcServiceDefinition } from "@tulle/xds";
import {
  IstioCertificateRequestSchema,
  IstioCertificateResponseSchema,
  IstioCertificateService,
} from "@tulle/xds/gen/istio/v1/auth/ca_pb.js";
import { afterEach, beforeEach, expect, test } from "vitest";

import { createPeerIdentity } from "./peer-identity.js";
import type { ServerCertificateProvider } from "./server-credentials.js";
import { startGrpcServer, type GrpcServer } from "./server.js";
import { grpcFailureOf } from "./status.js";

const definition = grpcServiceDefinition(IstioCertificateService);

let authority: TestAuthority;
let certificate: TestCertificate;
let rotated: Emitter<unknown>;
let provider: ServerCertificateProvider;
let server: GrpcServer;

beforeEach(async () => {
  authority = await createTestAuthority();
  certificate = await authority.issue({ dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"] });
  rotated = new Emitter<unknown>();
  provider = { current: () => certificate, onRotated: rotated.event };
  const identityOf = createPeerIdentity({
    trustBundlePem: () => authority.rootCertificatePem,
    trustDomain: authority.trustDomain,
    clock: systemClock,
  });
  // Answers who the caller is.
  const whoAmI = unaryMethod(
    definition.createCertificate,
    async (_request, call) =>
      create(IstioCertificateResponseSchema, { certChain: [identityOf(call)?.spiffeId ?? "nobody"] }),
    grpcFailureOf,
  );
  server = await startGrpcServer({
    address: "127.0.0.1",
    port: 0,
    certificates: provider,
    methods: [whoAmI],
    clock: systemClock,
  });
});

afterEach(() => server.close(0));

test("startGrpcServer serves a client without a certificate, and names one with it", async () => {
  const own = await authority.issue({ serviceAccount: "reviews" });
  expect(await ask(undefined)).toBe("nobody");
  expect(await ask(own)).toBe("spiffe://cluster.local/ns/default/sa/reviews");
});

test("createPeerIdentity knows nobody with a foreign, an expired or an authority's certificate", async () => {
  const foreign = await createTestAuthority();
  expect(await ask(await foreign.issue())).toBe("nobody");
  expect(await ask(await authority.issueExpired())).toBe("nobody");
  expect(await ask(await authority.issue({ ca: true }))).toBe("nobody");
  expect(await ask(await authority.issue({ notBefore: Date.now() + 60_000 }))).toBe("nobody");
});

test("startGrpcServer uses a rotated certificate for new connections", async () => {
  const first = await handshake({});
  expect(serialOf(first)).toBe(certificate.serialNumber);
  certificate = await authority.issue({ dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"] });
  rotated.emit(undefined);
  const second = await handshake({});
  expect(serialOf(second)).toBe(certificate.serialNumber);
  expect(first.destroyed).toBe(false);
  first.destroy();
  second.destroy();
});

test("startGrpcServer trusts a new root after a rotation, and no longer the one before", async () => {
  const own = await authority.issue({ serviceAccount: "old" });
  expect(await ask(own)).toContain("old");
  authority = await createTestAuthority();
  certificate = await authority.issue({ dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"] });
  rotated.emit(undefined);
  expect(await ask(own)).toBe("nobody");
  expect(await ask(await authority.issue({ serviceAccount: "new" }))).toContain("new");
});

test.each(["TLSv1.2", "TLSv1.3"] as const)(
  "startGrpcServer resumes no session in %s, also after a rotation",
  async (version) => {
    const options = { minVersion: version, maxVersion: version };
    for (const round of ["before", "after"]) {
      const socket = await handshake(options);
      // TLS 1.3 tells its session after the handshake; without tickets it is one that the server does not keep.
      const session = version === "TLSv1.2" ? socket.getSession() : (await once(socket, "session"))[0];
      expect(session, round).toBeInstanceOf(Buffer);
      const resumed = await handshake({ ...options, session });
      expect(resumed.isSessionReused(), round).toBe(false);
      socket.destroy();
      resumed.destroy();
      rotated.emit(undefined);
    }
  },
);

test("startGrpcServer refuses TLS below 1.2", async () => {
  await expect(
    handshake({ minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" }),
  ).rejects.toThrow(/protocol|version|disconnected|reset/i);
});

test("startGrpcServer survives bytes that are not TLS", async () => {
  const socket = connectTcp(server.port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.resume();
  socket.end("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await once(socket, "close");
  expect(await ask(undefined)).toBe("nobody");
});

test("startGrpcServer refuses plaintext beyond loopback", async () => {
  const plain = { port: 0, certificates: undefined, methods: [], clock: systemClock };
  await expect(startGrpcServer({ ...plain, address: "0.0.0.0" })).rejects.toMatchObject({
    code: "CONTROL_GRPC_PLAINTEXT",
  });
  const allowed = await startGrpcServer({ ...plain, address: "127.0.0.1" });
  expect(allowed.port).toBeGreaterThan(0);
  await allowed.close();
});

test("startGrpcServer says which port is taken", async () => {
  await expect(
    startGrpcServer({
      address: "127.0.0.1",
      port: server.port,
      certificates: provider,
      methods: [],
      clock: systemClock,
    }),
  ).rejects.toMatchObject({
    code: "CONTROL_GRPC_LISTEN",
    message: expect.stringContaining(String(server.port)),
  });
});

test("GrpcServer close lets calls finish for a while, then cuts them", async () => {
  const clock = new FakeClock();
  let called = 0;
  const patient = await startGrpcServer({
    address: "127.0.0.1",
    port: 0,
    certificates: provider,
    methods: [
      unaryMethod(
        definition.createCertificate,
        () => {
          called++;
          return new Promise<never>(() => undefined);
        },
        grpcFailureOf,
      ),
    ],
    clock,
  });
  let failure: unknown;
  const asked = ask(undefined, patient.port).catch((thrown: unknown) => {
    failure = thrown;
  });
  await eventually(() => called === 1);
  const closed = patient.close(500);
  await clock.advance(499);
  expect(failure).toBeUndefined();
  await clock.advance(1);
  await closed;
  await asked;
  expect(failure).toMatchObject({ code: expect.any(Number) });
  await server.close(0);
  expect(rotated.hasListeners).toBe(false);
});

/** Calls the service with a certificate; answers what it says about the caller. */
async function ask(own: TestCertificate | undefined, port = server.port): Promise<string> {
  const credentials = grpc.credentials.createSsl(
    Buffer.from(authority.rootCertificatePem),
    own === undefined ? null : Buffer.from(own.privateKeyPem),
    own === undefined ? null : Buffer.from(own.certificateChainPem),
  );
  const client = new grpc.Client(`localhost:${port}`, credentials, {
    "grpc.use_local_subchannel_pool": 1,
  });
  const method = definition.createCertificate;
  try {
    return await new Promise<string>((resolve, reject) => {
      client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        create(IstioCertificateRequestSchema),
        (error, value) => (error === null ? resolve(value?.certChain[0] ?? "") : reject(error)),
      );
    });
  } finally {
    client.close();
  }
}

async function handshake(options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connectTls({
    host: "127.0.0.1",
    port: server.port,
    servername: "localhost",
    ca: authority.rootCertificatePem,
    ALPNProtocols: ["h2"],
    ...options,
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("secureConnect", resolve);
    socket.once("error", reject);
  });
  socket.on("error", () => undefined);
  socket.resume();
  return socket;
}

function serialOf(socket: TLSSocket): string {
  return socket.getPeerCertificate().serialNumber;
}
