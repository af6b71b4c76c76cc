import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { create } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { Emitter, silentLogger, systemClock } from "@tulle/base";
import { readRevocationList } from "@tulle/base/spiffe";
import { createTestAuthority, eventually, type TestAuthority } from "@tulle/testkit";
import { grpcServiceDefinition } from "@tulle/xds";
import {
  JWTSVIDRequestSchema,
  SpiffeWorkloadAPI,
  ValidateJWTSVIDRequestSchema,
  X509SVIDRequestSchema,
  type JWTBundlesResponse,
  type JWTSVIDResponse,
  type ValidateJWTSVIDResponse,
  type X509BundlesResponse,
  type X509SVIDResponse,
} from "@tulle/xds/gen/spiffe/workload_pb.js";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterEach, beforeEach, expect, test } from "vitest";

import { createPeerIdentity, startGrpcServer, type GrpcServer } from "../../../control/src/index.js";
import { JwtAuthority } from "../../../control/src/ca/jwt-authority.js";
import { createJwtSvidService } from "../../../control/src/ca/jwt-svid-service.js";
import { createMemoryStores } from "../../../control/src/stores/open.js";
import type { Svid, WorkloadIdentity } from "../contract.js";
import { openWorkloadSocket, type WorkloadSocket } from "./workload-socket.js";

const ID = "spiffe://cluster.local/ns/default/sa/reviews";
const methods = grpcServiceDefinition(SpiffeWorkloadAPI);

let directory: string;
let authority: TestAuthority;
let federated: TestAuthority;
let rotated: Emitter<Svid>;
let svid: Svid | undefined;
let jwts: JwtAuthority;
let control: GrpcServer;
let socket: WorkloadSocket;
let client: grpc.Client;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tulle-spiffe-"));
  authority = await createTestAuthority();
  federated = await createTestAuthority({ trustDomain: "other.example" });
  rotated = new Emitter<Svid>();
  const { coordination } = createMemoryStores({ clock: systemClock });
  jwts = await JwtAuthority.open({ coordination, clock: systemClock, logger: silentLogger });
  svid = await issue();
  const peerIdentity = createPeerIdentity({
    trustBundlePem: () => authority.rootCertificatePem,
    trustDomain: "cluster.local",
    clock: systemClock,
  });
  const own = await authority.issue({ namespace: "istio-system", serviceAccount: "istiod" });
  control = await startGrpcServer({
    address: "127.0.0.1",
    port: 0,
    certificates: { current: () => own, onRotated: () => ({ [Symbol.dispose]: () => undefined }) },
    methods: createJwtSvidService({ authority: jwts, peerIdentity, clock: systemClock }),
    clock: systemClock,
  });
  const identity: WorkloadIdentity = {
    current() {
      if (svid === undefined) throw new Error("none yet");
      return svid;
    },
    onRotated: rotated.event,
    [Symbol.dispose]: () => undefined,
  };
  socket = await openWorkloadSocket({
    socketPath: join(directory, "workload.sock"),
    identity,
    trustDomain: "cluster.local",
    controlPlaneAddress: `127.0.0.1:${control.port}`,
    clock: systemClock,
    logger: silentLogger,
  });
  client = new grpc.Client(socket.url, grpc.credentials.createInsecure());
});

afterEach(async () => {
  client.close();
  await socket.close();
  await control.close(0);
  await rm(directory, { recursive: true, force: true });
});

async function issue(): Promise<Svid> {
  return {
    ...(await authority.issue({ serviceAccount: "reviews" })),
    federatedBundles: { "other.example": federated.rootCertificatePem },
    jwtBundles: { "cluster.local": jwts.jwks },
  };
}

function safe(value = "true"): grpc.Metadata {
  const metadata = new grpc.Metadata();
  metadata.set("workload.spiffe.io", value);
  return metadata;
}

interface Streams {
  readonly fetchX509SVID: X509SVIDResponse;
  readonly fetchX509Bundles: X509BundlesResponse;
  readonly fetchJWTBundles: JWTBundlesResponse;
}

interface Calls {
  readonly fetchJWTSVID: JWTSVIDResponse;
  readonly validateJWTSVID: ValidateJWTSVIDResponse;
}

/** Messages of a stream as they come, and how it ended. */
function follow<Name extends keyof Streams>(name: Name, metadata = safe()) {
  type T = Streams[Name];
  const method = methods[name];
  const received: T[] = [];
  const seen = { received, code: undefined as grpc.status | undefined, cancel: () => call.cancel() };
  const call = client.makeServerStreamRequest(
    method.path,
    method.requestSerialize as unknown as (value: unknown) => Buffer,
    method.responseDeserialize as unknown as (bytes: Buffer) => T,
    create(X509SVIDRequestSchema),
    metadata,
  );
  call.on("data", (message: T) => received.push(message));
  call.on("error", (error: grpc.ServiceError) => {
    seen.code = error.code;
  });
  return seen;
}

function unary<Name extends keyof Calls>(
  name: Name,
  request: unknown,
  metadata = safe(),
): Promise<Calls[Name]> {
  type T = Calls[Name];
  const method = methods[name];
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      method.path,
      method.requestSerialize as unknown as (value: unknown) => Buffer,
      method.responseDeserialize as unknown as (bytes: Buffer) => T,
      request,
      metadata,
      (error, value) => (error === null ? resolve(value!) : reject(error)),
    );
  });
}

test("FetchX509SVID gives certificate, key and roots in DER, and again after every rotation", async () => {
  expect((await stat(join(directory, "workload.sock"))).mode & 0o777).toBe(0o600);
  const stream = follow("fetchX509SVID");
  const first = await eventually(() => stream.received[0]);
  const [given] = first.svids;
  const certificate = new X509Certificate(given!.x509Svid);
  expect(given?.spiffeId).toBe(ID);
  expect(certificate.serialNumber).toBe(svid?.serialNumber);
  expect(new X509Certificate(given!.bundle).toString()).toBe(
    new X509Certificate(authority.rootCertificatePem).toString(),
  );
  const key = createPrivateKey({ key: Buffer.from(given!.x509SvidKey), format: "der", type: "pkcs8" });
  expect(certificate.checkPrivateKey(key)).toBe(true);
  expect(Object.keys(first.federatedBundles)).toEqual(["spiffe://other.example"]);
  expect(first.crl).toEqual([]);
  const revocationListsPem = await authority.revoke([svid!]);
  svid = { ...(await issue()), revocationListsPem };
  rotated.emit(svid);
  const second = await eventually(() => stream.received[1]);
  expect(second.crl.map((der) => readRevocationList(der)?.serialNumbers.size)).toEqual([1]);
  expect(new X509Certificate(second.svids[0]!.x509Svid).serialNumber).toBe(svid.serialNumber);
  stream.cancel();
  await eventually(() => !rotated.hasListeners);
});

test("a stream that begins before there is a certificate gets the first one", async () => {
  const later = svid;
  svid = undefined;
  const stream = follow("fetchX509SVID");
  await eventually(() => rotated.hasListeners);
  expect(stream.received).toEqual([]);
  svid = later;
  rotated.emit(svid!);
  expect((await eventually(() => stream.received[0])).svids).toHaveLength(1);
});

test("FetchX509Bundles and FetchJWTBundles give the bundles by the ids of their trust domains", async () => {
  const bundles = follow("fetchX509Bundles");
  const x509 = await eventually(() => bundles.received[0]);
  expect(Object.keys(x509.bundles).sort()).toEqual(["spiffe://cluster.local", "spiffe://other.example"]);
  const jwt = follow("fetchJWTBundles");
  const { bundles: jwks } = await eventually(() => jwt.received[0]);
  const keys = JSON.parse(Buffer.from(jwks["spiffe://cluster.local"]!).toString()) as {
    keys: { d?: string }[];
  };
  expect(keys.keys).toMatchObject([{ kty: "EC", use: "jwt-svid", kid: expect.any(String) }]);
  expect(keys.keys[0]?.d).toBeUndefined();
});

test("FetchJWTSVID signs for the audience, ValidateJWTSVID takes it for that and for nothing else", async () => {
  const request = create(JWTSVIDRequestSchema, { audience: ["ledger"] });
  const { svids } = await unary("fetchJWTSVID", request);
  expect(svids[0]?.spiffeId).toBe(ID);
  const token = svids[0]!.svid;
  const validate = (audience: string, svid: string): Promise<ValidateJWTSVIDResponse> =>
    unary("validateJWTSVID", create(ValidateJWTSVIDRequestSchema, { audience, svid }));
  const valid = await validate("ledger", token);
  expect(valid.spiffeId).toBe(ID);
  expect(valid.claims).toMatchObject({ sub: ID, aud: ["ledger"] });
  const refused = { code: grpc.status.INVALID_ARGUMENT };
  await expect(validate("vault", token)).rejects.toMatchObject(refused);
  await expect(validate("", token)).rejects.toMatchObject(refused);
  await expect(validate("ledger", `${token.slice(0, -4)}AAAA`)).rejects.toMatchObject(refused);
  await expect(validate("ledger", "a.b")).rejects.toMatchObject(refused);
  await expect(validate("ledger", "x".repeat(20_000))).rejects.toMatchObject(refused);
  await expect(unary("fetchJWTSVID", create(JWTSVIDRequestSchema, { audience: [] }))).rejects.toMatchObject(
    refused,
  );
  const other = create(JWTSVIDRequestSchema, { audience: ["a"], spiffeId: `${ID}2` });
  await expect(unary("fetchJWTSVID", other)).rejects.toMatchObject({ code: grpc.status.PERMISSION_DENIED });
});

test("ValidateJWTSVID refuses foreign keys, other domains' subjects, no end, no signature and shared secrets", async () => {
  const { privateKey, publicKey } = await generateKeyPair("ES256");
  const jwk = { ...(await exportJWK(publicKey)), kid: "k", use: "jwt-svid" };
  svid = { ...svid!, jwtBundles: { ...svid!.jwtBundles, "other.example": JSON.stringify({ keys: [jwk] }) } };
  const sign = (sub: string, header = {}, exp: string | undefined = "5m"): Promise<string> => {
    const jwt = new SignJWT({ sub, aud: "ledger" }).setProtectedHeader({ alg: "ES256", kid: "k", ...header });
    return (exp === "" ? jwt : jwt.setExpirationTime(exp)).sign(privateKey);
  };
  const validate = (token: string): Promise<ValidateJWTSVIDResponse> =>
    unary("validateJWTSVID", create(ValidateJWTSVIDRequestSchema, { audience: "ledger", svid: token }));
  const theirs = "spiffe://other.example/a";
  expect((await validate(await sign(theirs))).spiffeId).toBe(theirs);
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const unsigned = `${encode({ alg: "none", kid: "k" })}.${encode({ sub: theirs, aud: "ledger", exp: 9e9 })}.`;
  const shared = await new SignJWT({ sub: theirs, aud: "ledger" })
    .setProtectedHeader({ alg: "HS256", kid: "k" })
    .setExpirationTime("5m")
    .sign(Buffer.from(JSON.stringify(jwk)));
  for (const token of [
    // Signed by the other domain's key, of ours.
    await sign(ID),
    await sign("spiffe://third.example/a"),
    await sign("spiffe://other.example"),
    await sign("constructor"),
    await sign(theirs, { kid: "unknown" }),
    await sign(theirs, { typ: "at+jwt" }),
    await sign(theirs, {}, ""),
    await sign(theirs, {}, "-1m"),
    unsigned,
    shared,
  ]) {
    await expect(validate(token), token).rejects.toMatchObject({ code: grpc.status.INVALID_ARGUMENT });
  }
});

test("nothing is answered without the security header", async () => {
  for (const metadata of [new grpc.Metadata(), safe("false"), safe("")]) {
    const stream = follow("fetchX509SVID", metadata);
    await eventually(() => stream.code !== undefined);
    expect(stream.code).toBe(grpc.status.INVALID_ARGUMENT);
    expect(stream.received).toEqual([]);
    const request = create(JWTSVIDRequestSchema, { audience: ["a"] });
    await expect(unary("fetchJWTSVID", request, metadata)).rejects.toMatchObject({
      code: grpc.status.INVALID_ARGUMENT,
    });
  }
});
