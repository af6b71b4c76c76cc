import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer as createHttpServer, type Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { createTestAuthority, FakeClock } from "@tulle/testkit";
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from "jose";
import { afterEach, beforeEach, expect, test } from "vitest";

import { isJwt } from "../token-keys/index.js";
import { JoinIssuers, type JoinIssuer } from "./join-issuers.js";

const ISSUER = "https://ci.example";
const KUBERNETES = {
  "kubernetes.io": { namespace: "shop", serviceaccount: { name: "reviews", uid: "1" } },
};

let clock: FakeClock;
let keys: Awaited<ReturnType<typeof generateKeyPair>>;
let directory: string;
const servers: Server[] = [];

beforeEach(async () => {
  clock = new FakeClock(Date.now());
  keys = await generateKeyPair("ES256");
  directory = await mkdtemp(join(tmpdir(), "tulle-issuers-"));
  await writeFile(join(directory, "jwks.json"), await jwks());
});

afterEach(async () => {
  for (const server of servers.splice(0)) server.close();
  await rm(directory, { recursive: true, force: true });
});

async function jwks(kid = "k1"): Promise<string> {
  return JSON.stringify({ keys: [{ ...(await exportJWK(keys.publicKey)), kid, alg: "ES256", use: "sig" }] });
}

interface TokenOptions {
  readonly claims?: object;
  readonly issuer?: string;
  readonly audience?: string | string[];
  readonly exp?: number | undefined;
  readonly kid?: string;
  readonly alg?: string;
  readonly key?: Parameters<SignJWT["sign"]>[0];
}

function token(options: TokenOptions = {}): Promise<string> {
  const seconds = Math.floor(clock.now() / 1000);
  const { claims = KUBERNETES, issuer = ISSUER, audience = "tulle", alg = "ES256", kid = "k1" } = options;
  const jwt = new SignJWT({ ...claims })
    .setIssuer(issuer)
    .setAudience(audience)
    .setProtectedHeader({ alg, kid });
  const exp = "exp" in options ? options.exp : seconds + 600;
  if (exp !== undefined) jwt.setExpirationTime(exp);
  return jwt.sign(options.key ?? keys.privateKey);
}

function issuers(rule: Partial<JoinIssuer> = {}): JoinIssuers {
  const file = rule.jwksUri === undefined && rule.tokenReview === undefined;
  return new JoinIssuers({
    issuers: [
      {
        issuer: ISSUER,
        audiences: ["tulle"],
        ...(file && { jwksFile: join(directory, "jwks.json") }),
        ...rule,
      },
    ],
    clock,
  });
}

async function listen(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

test("where tokens are to join once, one without an id does not join", async () => {
  const nameless = await token();
  await expect(issuers({ once: true }).prove(nameless)).rejects.toMatchObject({
    code: "CA_JOIN_JWT",
    message: expect.stringContaining("no id (jti)"),
  });
  await expect(issuers({ once: true }).accountOf(nameless)).resolves.toBeDefined();
  const named = await token({ claims: { ...KUBERNETES, jti: "a" } });
  expect((await issuers({ once: true }).prove(named)).use).toMatchObject({ issuer: ISSUER, id: "a" });
  expect((await issuers({ once: false }).prove(named)).use).toBeUndefined();
});

test("a Kubernetes service-account token proves its account", async () => {
  expect(await issuers().accountOf(await token())).toEqual({ namespace: "shop", serviceAccount: "reviews" });
  expect(isJwt(await token())).toBe(true);
  expect(isJwt("abc")).toBe(false);
});

test("claims of a CI become an account, where they are what they must be", async () => {
  const ci = issuers({
    namespace: "builds",
    serviceAccount: "ci-{repository_owner}",
    claims: { ref: "refs/heads/main" },
  });
  const claims = { repository_owner: "acme", ref: "refs/heads/main" };
  expect(await ci.accountOf(await token({ claims }))).toEqual({
    namespace: "builds",
    serviceAccount: "ci-acme",
  });
  const denied = { code: "CA_JOIN_CLAIMS" };
  await expect(
    ci.accountOf(await token({ claims: { ...claims, ref: "refs/pull/1" } })),
  ).rejects.toMatchObject(denied);
  await expect(ci.accountOf(await token({ claims: { ref: claims.ref } }))).rejects.toMatchObject(denied);
  for (const repository_owner of ["", "../istio-system", "a/b", "A", "a\0b", { a: 1 }, ["a"], "{ref}"]) {
    await expect(
      ci.accountOf(await token({ claims: { ...claims, repository_owner } })),
    ).rejects.toMatchObject(denied);
  }
});

test.each<[string, () => Promise<string>]>([
  ["another audience", () => token({ audience: "vault" })],
  ["another issuer", () => token({ issuer: "https://evil.example" })],
  ["no end", () => token({ exp: undefined })],
  ["an end in the past", () => token({ exp: Math.floor(clock.now() / 1000) - 60 })],
  ["an unknown key", () => token({ kid: "k2" })],
  ["another key under a known name", async () => token({ key: (await generateKeyPair("ES256")).privateKey })],
  ["a shared secret", async () => token({ alg: "HS256", key: Buffer.from(await jwks()) })],
  [
    "no signature",
    () => {
      const jwt = new UnsecuredJWT(KUBERNETES).setIssuer(ISSUER).setAudience("tulle").setExpirationTime("5m");
      return Promise.resolve(`${jwt.encode()}AAAA`);
    },
  ],
  [
    "a changed claim",
    async () => {
      const [head, , signature] = (await token()).split(".");
      const body = Buffer.from(
        JSON.stringify({ iss: ISSUER, aud: "tulle", exp: 9e9, ...KUBERNETES }),
      ).toString("base64url");
      return `${head}.${body}.${signature}`;
    },
  ],
  ["too many bytes", () => token({ claims: { ...KUBERNETES, more: "x".repeat(20_000) } })],
  ["no JSON", () => Promise.resolve("AAAA.AAAA.AAAA")],
])("a token with %s is not taken", async (_what, make) => {
  await expect(issuers().accountOf(await make())).rejects.toMatchObject({
    kind: "unauthenticated",
    code: "CA_JOIN_JWT",
  });
});

test("the control plane's own account is nobody's to have", async () => {
  const claims = { "kubernetes.io": { namespace: "istio-system", serviceaccount: { name: "istiod" } } };
  await expect(issuers().accountOf(await token({ claims }))).rejects.toMatchObject({ code: "CA_RESERVED" });
});

test("keys at a URL are fetched again for a new one, and the last good ones kept while it is away", async () => {
  let answer = await jwks();
  let status = 200;
  let asked = 0;
  const port = await listen(
    createHttpServer((_request, response) => {
      asked++;
      response.writeHead(status).end(answer);
    }),
  );
  const known = issuers({ jwksUri: `http://127.0.0.1:${port}/jwks` });
  await known.accountOf(await token());
  await known.accountOf(await token());
  expect(asked).toBe(1);
  answer = await jwks("k2");
  await clock.advance(11_000);
  await known.accountOf(await token({ kid: "k2" }));
  expect(asked).toBe(2);
  // Unknown keys do not make us ask again and again.
  for (let i = 0; i < 5; i++) await expect(known.accountOf(await token({ kid: "k3" }))).rejects.toThrow();
  expect(asked).toBe(2);
  status = 500;
  await clock.advance(600_000);
  await known.accountOf(await token({ kid: "k2" }));
  expect(asked).toBe(3);
  await clock.advance(86_400_000);
  await expect(known.accountOf(await token({ kid: "k2" }))).rejects.toMatchObject({ kind: "unavailable" });
});

test("TokenReview: Kubernetes is asked, with the audience, and believed", async () => {
  const authority = await createTestAuthority();
  const own = await authority.issue({ ipAddresses: ["127.0.0.1"] });
  const seen: {
    readonly authorization: string | undefined;
    readonly body: { spec: { audiences: string[] } };
  }[] = [];
  let status: object = {};
  const server = createHttpsServer(
    { cert: own.certificateChainPem, key: own.privateKeyPem },
    (request, response) => {
      let text = "";
      request.on("data", (chunk: Buffer) => (text += chunk.toString()));
      request.on("end", () => {
        const { authorization } = request.headers;
        seen.push({ authorization, body: JSON.parse(text) as { spec: { audiences: string[] } } });
        response.writeHead(201).end(JSON.stringify({ status }));
      });
    },
  );
  const port = await listen(server as unknown as Server);
  await writeFile(join(directory, "ca.crt"), authority.rootCertificatePem);
  await writeFile(join(directory, "token"), "own-token\n");
  const kubernetes = issuers({
    tokenReview: {
      server: `https://127.0.0.1:${port}`,
      caFile: join(directory, "ca.crt"),
      tokenFile: join(directory, "token"),
    },
  });
  const user = { username: "system:serviceaccount:shop:reviews" };
  status = { authenticated: true, audiences: ["tulle"], user };
  expect(await kubernetes.accountOf(await token())).toEqual({ namespace: "shop", serviceAccount: "reviews" });
  expect(seen[0]?.authorization).toBe("Bearer own-token");
  expect(seen[0]?.body.spec.audiences).toEqual(["tulle"]);
  for (const refusal of [
    {},
    { authenticated: false, audiences: ["tulle"], user },
    { authenticated: true, user },
    { authenticated: true, audiences: ["other"], user },
    { authenticated: true, audiences: ["tulle"], user: { username: "alice" } },
    { authenticated: true, audiences: ["tulle"], user: { username: "system:serviceaccount:a:b:c" } },
    { authenticated: "yes", audiences: ["tulle"], user },
  ]) {
    status = refusal;
    await expect(kubernetes.accountOf(await token()), JSON.stringify(refusal)).rejects.toMatchObject({
      code: "CA_JOIN_JWT",
    });
  }
  // A server that is not of that root is told nothing.
  await writeFile(join(directory, "ca.crt"), (await createTestAuthority()).rootCertificatePem);
  const before = seen.length;
  await expect(kubernetes.accountOf(await token())).rejects.toMatchObject({ code: "CA_TOKEN_REVIEW" });
  expect(seen).toHaveLength(before);
});

test.each<[string, Partial<JoinIssuer>]>([
  ["no audience", { audiences: [] }],
  ["no issuer", { issuer: "" }],
  ["keys from plain HTTP", { jwksUri: "http://ci.example/jwks" }],
  ["keys and a review", { jwksFile: "a", tokenReview: {} }],
])("an issuer with %s is refused", (_what, rule) => {
  expect(() => issuers(rule)).toThrow(expect.objectContaining({ kind: "invalid" }));
});
