import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import "reflect-metadata";
import { webcrypto, X509Certificate } from "node:crypto";

import { create, type JsonObject } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import * as x509 from "@peculiar/x509";
import { silentLogger, systemClock } from "@tulle/base";
import { createTestAuthority } from "@tulle/testkit";
import { grpcServiceDefinition } from "@tulle/xds";
import {
  IstioCertificateRequestSchema,
  IstioCertificateService,
  type IstioCertificateResponse,
} from "@tulle/xds/gen/istio/v1/auth/ca_pb.js";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";

import { createPeerIdentity } from "../grpc/peer-identity.js";
import { startGrpcServer, type GrpcServer } from "../grpc/server.js";
import { createMemoryStores } from "../stores/open.js";
import { createCertificateAuthority, type CertificateAuthority } from "./certificate-authority.js";
import { createCertificateService } from "./certificate-service.js";
import { JoinIssuers } from "./join-issuers.js";
import { UsedTokens } from "./used-tokens.js";
import { createJoinTokens, type JoinTokens } from "./join-tokens.js";
import { createServerIdentity } from "./server-identity.js";

const REVIEWS = { namespace: "default", serviceAccount: "reviews" };
const REVIEWS_ID = "spiffe://cluster.local/ns/default/sa/reviews";
const RATINGS_ID = "spiffe://cluster.local/ns/default/sa/ratings";
const method = grpcServiceDefinition(IstioCertificateService).createCertificate;

let authority: CertificateAuthority;
let joinTokens: JoinTokens;
let server: GrpcServer;
let identity: Awaited<ReturnType<typeof createServerIdentity>>;
let burst: number;
let keys: Awaited<ReturnType<typeof generateKeyPair>>;
let directory: string;
let jwksFile: string;

const CI = {
  issuer: "https://ci.example",
  audiences: ["tulle"],
  namespace: "{namespace}",
  serviceAccount: "{serviceAccount}",
};

beforeAll(async () => {
  keys = await generateKeyPair("ES256");
  directory = await mkdtemp(join(tmpdir(), "tulle-certificates-"));
  jwksFile = join(directory, "jwks.json");
  const key = { ...(await exportJWK(keys.publicKey)), kid: "k1", alg: "ES256" };
  await writeFile(jwksFile, JSON.stringify({ keys: [key] }));
});

afterAll(() => rm(directory, { recursive: true, force: true }));

beforeEach(async () => {
  burst = 500;
  await start();
});

afterEach(async () => {
  identity[Symbol.dispose]();
  await server.close(0);
});

test("CreateCertificate gives a join token's account a certificate, and refuses the token afterwards", async () => {
  const { token } = await joinTokens.mint(REVIEWS);
  const first = await ask({ token });
  expect(first.spiffeId).toBe(REVIEWS_ID);
  expect(first.chain.at(-1)).toBe(authority.signer.trustBundlePem);
  await expect(ask({ token })).rejects.toMatchObject({
    code: grpc.status.UNAUTHENTICATED,
    details: expect.stringContaining("join token"),
  });
});

test("CreateCertificate takes a CI's token with an id once, and a Kubernetes account's as often as it is shown", async () => {
  const jwt = (claims: object): Promise<string> =>
    new SignJWT({ ...claims })
      .setProtectedHeader({ alg: "ES256", kid: "k1" })
      .setIssuer(CI.issuer)
      .setAudience("tulle")
      .setExpirationTime("10m")
      .sign(keys.privateKey);
  const account = { namespace: "default", serviceAccount: "reviews" };
  const once = await jwt({ ...account, jti: "a" });
  // A bad request must not cost the token.
  await expect(ask({ token: once, csr: "no request" })).rejects.toThrow();
  const [first, second] = await Promise.allSettled([ask({ token: once }), ask({ token: once })]);
  expect([first.status, second.status].sort()).toEqual(["fulfilled", "rejected"]);
  await expect(ask({ token: once })).rejects.toMatchObject({
    details: expect.stringContaining("has been used to join before"),
  });
  expect((await ask({ token: await jwt({ ...account, jti: "b" }) })).spiffeId).toBe(REVIEWS_ID);
  const pod = await jwt({ ...account, jti: "c", "kubernetes.io": {} });
  for (let time = 0; time < 2; time++) expect((await ask({ token: pod })).spiffeId).toBe(REVIEWS_ID);
  const nameless = await jwt(account);
  for (let time = 0; time < 2; time++) expect((await ask({ token: nameless })).spiffeId).toBe(REVIEWS_ID);
});

test("CreateCertificate renews for the current certificate, and the ledger follows", async () => {
  const { token } = await joinTokens.mint(REVIEWS);
  const first = await ask({ token });
  const second = await ask({ certificate: first });
  expect(second.spiffeId).toBe(REVIEWS_ID);
  expect(second.leaf.serialNumber).not.toBe(first.leaf.serialNumber);
  expect(authority.issued().map((issued) => issued.serialNumber)).toEqual([second.leaf.serialNumber]);
});

test("CreateCertificate refuses a caller without proof, or with a foreign or expired certificate", async () => {
  const foreign = await createTestAuthority();
  const stranger = await foreign.issue(REVIEWS);
  const attempts = [
    {},
    { certificate: { chain: [stranger.certificateChainPem], keyPem: stranger.privateKeyPem } },
    { token: "no-such-token" },
    { authorization: "Basic dXNlcjpwYXNz" },
    { authorization: "Bearer" },
  ];
  for (const attempt of attempts) {
    await expect(ask(attempt)).rejects.toMatchObject({ code: grpc.status.UNAUTHENTICATED });
  }
});

test("CreateCertificate gives no caller another workload's identity", async () => {
  const { token } = await joinTokens.mint(REVIEWS);
  await expect(ask({ token, names: [{ type: "url", value: RATINGS_ID }] })).rejects.toMatchObject({
    code: grpc.status.PERMISSION_DENIED,
  });
  await expect(ask({ token, metadata: { ServiceAccount: "ratings" } })).rejects.toMatchObject({
    code: grpc.status.PERMISSION_DENIED,
  });
  // Neither attempt used the token up.
  const own = await ask({
    token,
    metadata: { ServiceAccount: "reviews", Namespace: "default", ClusterID: "x" },
  });
  for (const metadata of [
    { ServiceAccount: "ratings" },
    { Namespace: "other" },
    { ServiceAccount: ["reviews"] },
  ]) {
    await expect(ask({ certificate: own, metadata })).rejects.toMatchObject({
      code: grpc.status.PERMISSION_DENIED,
    });
  }
  await expect(ask({ certificate: own, names: [{ type: "url", value: RATINGS_ID }] })).rejects.toMatchObject({
    code: grpc.status.PERMISSION_DENIED,
  });
  expect((await ask({ certificate: own, names: [{ type: "url", value: REVIEWS_ID }] })).spiffeId).toBe(
    REVIEWS_ID,
  );
});

test("CreateCertificate does not renew the control plane's own identity", async () => {
  const own = await authority.serverCertificate([], []);
  const certificate = { chain: [own.certificateChainPem], keyPem: own.privateKeyPem };
  await expect(ask({ certificate })).rejects.toMatchObject({ code: grpc.status.PERMISSION_DENIED });
});

test("CreateCertificate refuses a broken CSR without using the token up", async () => {
  const { token } = await joinTokens.mint(REVIEWS);
  await expect(ask({ token, csr: "nonsense" })).rejects.toMatchObject({ code: grpc.status.INVALID_ARGUMENT });
  expect((await ask({ token })).spiffeId).toBe(REVIEWS_ID);
});

test("CreateCertificate honours a shorter validity, and no longer one", async () => {
  const life = async (validity: bigint): Promise<number> => {
    const { token } = await joinTokens.mint(REVIEWS);
    const { leaf } = await ask({ token, validity });
    return Math.round((Date.parse(leaf.validTo) - Date.now()) / 1000);
  };
  expect(await life(10n)).toBeLessThanOrEqual(11);
  expect(await life(9_000_000_000_000_000_000n)).toBeLessThanOrEqual(86_401);
  expect(await life(-5n)).toBeGreaterThan(86_000);
});

test("CreateCertificate answers RESOURCE_EXHAUSTED beyond its burst", async () => {
  await server.close(0);
  identity[Symbol.dispose]();
  burst = 2;
  await start();
  await expect(ask({})).rejects.toMatchObject({ code: grpc.status.UNAUTHENTICATED });
  await expect(ask({})).rejects.toMatchObject({ code: grpc.status.UNAUTHENTICATED });
  await expect(ask({})).rejects.toMatchObject({ code: grpc.status.RESOURCE_EXHAUSTED });
});

test("CreateCertificate survives metadata nested deeper than it can read", async () => {
  // 4,000 levels of google.protobuf.Value { list_value { values … } }.
  let value: Buffer = Buffer.from([0x08, 0x00]);
  for (let depth = 0; depth < 4000; depth++) value = field(6, field(1, value));
  const request = field(4, field(1, Buffer.concat([field(1, Buffer.from("k")), field(2, value)])));
  await expect(ask({ raw: request })).rejects.toMatchObject({ code: grpc.status.INTERNAL });
  const { token } = await joinTokens.mint(REVIEWS);
  expect((await ask({ token })).spiffeId).toBe(REVIEWS_ID);
});

async function start(): Promise<void> {
  const clock = systemClock;
  const { coordination } = createMemoryStores({ clock });
  const logger = silentLogger;
  authority = await createCertificateAuthority({ coordination, clock, trustDomain: "cluster.local", logger });
  joinTokens = createJoinTokens({ coordination, clock });
  identity = await createServerIdentity({
    authority,
    dnsNames: ["localhost"],
    ipAddresses: ["127.0.0.1"],
    clock,
    random: () => 0,
    logger,
  });
  const peerIdentity = createPeerIdentity({
    trustBundlePem: () => authority.signer.trustBundlePem,
    trustDomain: "cluster.local",
    clock,
  });
  server = await startGrpcServer({
    address: "127.0.0.1",
    port: 0,
    certificates: identity,
    methods: createCertificateService({
      authority,
      joinTokens,
      joinIssuers: new JoinIssuers({ issuers: [{ ...CI, jwksFile }], clock }),
      usedTokens: new UsedTokens({ coordination, clock }),
      peerIdentity,
      clock,
      logger,
      burst,
      ratePerSecond: 0.001,
    }),
    clock,
  });
}

interface Held {
  readonly chain: readonly string[];
  readonly keyPem: string;
}

interface Attempt {
  readonly token?: string;
  readonly authorization?: string;
  readonly certificate?: Held;
  readonly names?: x509.JsonGeneralNames;
  readonly metadata?: JsonObject;
  readonly validity?: bigint;
  readonly csr?: string;
  readonly raw?: Buffer;
}

async function ask(attempt: Attempt): Promise<Held & { leaf: X509Certificate; spiffeId: string }> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    keys,
    signingAlgorithm: algorithm,
    extensions: attempt.names === undefined ? [] : [new x509.SubjectAlternativeNameExtension(attempt.names)],
  });
  const headers = new grpc.Metadata();
  if (attempt.token !== undefined) headers.set("authorization", `Bearer ${attempt.token}`);
  if (attempt.authorization !== undefined) headers.set("authorization", attempt.authorization);
  const client = new grpc.Client(
    `localhost:${server.port}`,
    grpc.credentials.createSsl(
      Buffer.from(authority.signer.trustBundlePem),
      attempt.certificate === undefined ? null : Buffer.from(attempt.certificate.keyPem),
      attempt.certificate === undefined ? null : Buffer.from(attempt.certificate.chain[0] ?? ""),
    ),
    { "grpc.use_local_subchannel_pool": 1 },
  );
  try {
    const response = await new Promise<IstioCertificateResponse | undefined>((resolve, reject) => {
      client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        attempt.raw ??
          create(IstioCertificateRequestSchema, {
            csr: attempt.csr ?? request.toString("pem"),
            ...(attempt.metadata !== undefined && { metadata: attempt.metadata }),
            ...(attempt.validity !== undefined && { validityDuration: attempt.validity }),
          }),
        headers,
        (error, value) => (error === null ? resolve(value) : reject(error)),
      );
    });
    const chain = response?.certChain ?? [];
    const leaf = new X509Certificate(chain[0] ?? "");
    const pkcs8 = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
    const keyPem = x509.PemConverter.encode(pkcs8, "PRIVATE KEY");
    return { chain, leaf, keyPem, spiffeId: (leaf.subjectAltName ?? "").replace(/^URI:/, "") };
  } finally {
    client.close();
  }
}

/** A length-delimited protobuf field. */
function field(number: number, content: Buffer): Buffer {
  const length: number[] = [];
  let rest = content.length;
  while (rest > 0x7f) {
    length.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length, rest]), content]);
}
