import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { FakeClock } from "@tulle/testkit";
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from "jose";
import { afterEach, beforeEach, expect, test } from "vitest";

import { JoinIssuers } from "../ca/index.js";
import { createAuthenticator, type Authenticate } from "./authenticator.js";
import { issuerTokens } from "./issuer-tokens.js";

const ISSUER = "https://kubernetes.default.svc";
const CLAIMS = { "kubernetes.io": { namespace: "shop", serviceaccount: { name: "reviews" } } };

let clock: FakeClock;
let keys: Awaited<ReturnType<typeof generateKeyPair>>;
let directory: string;
let authenticate: Authenticate;

beforeEach(async () => {
  clock = new FakeClock(Date.now());
  keys = await generateKeyPair("ES256");
  directory = await mkdtemp(join(tmpdir(), "tulle-issuer-tokens-"));
  const jwksFile = join(directory, "jwks.json");
  await writeFile(
    jwksFile,
    JSON.stringify({ keys: [{ ...(await exportJWK(keys.publicKey)), kid: "k1", alg: "ES256" }] }),
  );
  const issuers = new JoinIssuers({ issuers: [{ issuer: ISSUER, audiences: ["tulle"], jwksFile }], clock });
  authenticate = createAuthenticator({
    tokens: { find: () => Promise.resolve(undefined) },
    identify: () => undefined,
    verifiers: [issuerTokens(issuers, "cluster.local")],
    clock,
  });
});

afterEach(() => rm(directory, { recursive: true, force: true }));

function jwt(audience = "tulle", claims: Record<string, unknown> = CLAIMS): Promise<string> {
  const seconds = Math.floor(clock.now() / 1000);
  return new SignJWT(claims)
    .setProtectedHeader({ alg: "ES256", kid: "k1" })
    .setIssuer(ISSUER)
    .setAudience(audience)
    .setExpirationTime(seconds + 600)
    .sign(keys.privateKey);
}

function show(token: string): ReturnType<Authenticate> {
  return authenticate({ token, certificateDer: undefined, remoteAddress: "10.0.0.1" });
}

test("issuerTokens takes whoever shows a service account's token for that account's workload, as long as it holds", async () => {
  const token = await jwt();
  expect(await show(token)).toEqual({
    subject: {
      name: "spiffe://cluster.local/ns/shop/sa/reviews",
      role: "workload",
      namespaces: ["shop"],
      serviceAccount: "reviews",
    },
    expiresAt: (Math.floor(clock.now() / 1000) + 600) * 1000,
  });
  await clock.advance(3_600_000);
  await expect(show(token)).rejects.toMatchObject({ code: "ACCESS_BAD_TOKEN" });
});

test("issuerTokens takes for nobody what is for another audience, unsigned, tampered with, of another or no account", async () => {
  const [head = "", , signature = ""] = (await jwt()).split(".");
  const other = Buffer.from(JSON.stringify({ iss: ISSUER, aud: "tulle", exp: 9e9, ...CLAIMS })).toString(
    "base64url",
  );
  const unsigned = new UnsecuredJWT(CLAIMS)
    .setIssuer(ISSUER)
    .setAudience("tulle")
    .setExpirationTime("1h")
    .encode();
  const reserved = { "kubernetes.io": { namespace: "istio-system", serviceaccount: { name: "istiod" } } };
  for (const token of [
    await jwt("somebody-else"),
    await jwt("tulle", {}),
    await jwt("tulle", reserved),
    unsigned,
    `${head}.${other}.${signature}`,
    "a.b.c",
    "opaque",
  ]) {
    await expect(show(token)).rejects.toMatchObject({ code: "ACCESS_BAD_TOKEN" });
  }
});

test("after too many failures an issuer's tokens are not looked at for a while", async () => {
  for (let count = 0; count < 20; count++) await show("a.b.c").catch(() => undefined);
  await expect(show(await jwt())).rejects.toMatchObject({ code: "ACCESS_THROTTLED" });
  await clock.advance(1000);
  expect(await show(await jwt())).toMatchObject({ subject: { serviceAccount: "reviews" } });
});
