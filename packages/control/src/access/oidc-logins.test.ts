import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

import { FakeClock } from "@tulle/testkit";
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from "jose";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";

import { oidcLogins, type OidcProvider } from "./oidc-logins.js";

// A provider on loopback, as its discovery document describes it.

type Keys = Awaited<ReturnType<typeof generateKeyPair>>;

let clock: FakeClock;
let keys: Keys;
let foreign: Keys;
let server: Server;
let issuer: string;
let away: boolean;

beforeAll(async () => {
  [keys, foreign] = await Promise.all([generateKeyPair("RS256"), generateKeyPair("RS256")]);
});

beforeEach(async () => {
  clock = new FakeClock(Date.now());
  away = false;
  const key = { ...(await exportJWK(keys.publicKey)), kid: "k1", alg: "RS256" };
  server = createServer((request, response) => {
    if (away) response.writeHead(503).end();
    else if (request.url === "/.well-known/openid-configuration")
      response.end(JSON.stringify({ issuer, jwks_uri: `${issuer}/keys` }));
    else response.end(JSON.stringify({ keys: [key] }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(() => void server.close());

const ROLES: OidcProvider["roles"] = [
  { claim: "groups", values: ["platform"], role: "operator" },
  { claim: "groups", values: ["shop", "shop-leads"], role: "operator", namespaces: ["shop"] },
  { claim: "groups", values: ["bank"], role: "operator", namespaces: ["bank"] },
  { claim: "realm/roles", values: ["viewer"], role: "read-only" },
  { claim: "email", values: ["ann@example.com"], role: "read-only", namespaces: ["shop"] },
];

function provider(more: Partial<OidcProvider> = {}): OidcProvider {
  return { issuer, audiences: ["tulle"], roles: ROLES, ...more };
}

interface Made {
  readonly audience?: string;
  readonly key?: Keys;
  readonly seconds?: number;
  readonly from?: string;
}

function token(claims: object, { audience = "tulle", key = keys, seconds = 600, from = issuer }: Made = {}) {
  return new SignJWT({ sub: "ann", ...claims })
    .setProtectedHeader({ alg: "RS256", kid: "k1" })
    .setIssuer(from)
    .setAudience(audience)
    .setExpirationTime(Math.floor(clock.now() / 1000) + seconds)
    .sign(key.privateKey);
}

const login = async (claims: object, made: Made = {}, more: Partial<OidcProvider> = {}) =>
  oidcLogins({ providers: [provider(more)], clock })(await token(claims, made));

test("claims say the role, and rules of one role add up", async () => {
  const expiresAt = (Math.floor(clock.now() / 1000) + 600) * 1000;
  const subject = { name: `oidc:${issuer}#ann`, role: "operator", namespaces: ["shop"] };
  expect(await login({ groups: ["x", "shop"] })).toEqual({ subject, expiresAt });
  expect(await login({ groups: ["bank", "shop-leads"] })).toMatchObject({
    subject: { role: "operator", namespaces: ["shop", "bank"] },
  });
  expect(await login({ groups: ["bank", "platform"] })).toMatchObject({
    subject: { role: "operator", namespaces: "*" },
  });
  expect(await login({ groups: "bank", realm: { roles: ["viewer"] } })).toMatchObject({
    subject: { role: "operator", namespaces: ["bank"] },
  });
  expect(await login({ realm: { roles: ["viewer"] } })).toMatchObject({
    subject: { role: "read-only", namespaces: "*" },
  });
  expect(
    await login({ groups: ["shop"], preferred_username: "ann.b" }, {}, { name: "preferred_username" }),
  ).toMatchObject({
    subject: { name: `oidc:${issuer}#ann.b` },
  });
});

test("whom no rule names, and whose name nobody says, is nobody", async () => {
  for (const claims of [
    {},
    { groups: ["shop-"] },
    { groups: ["Shop"] },
    { groups: [["shop"]] },
    { groups: { shop: true } },
    { groups: "shop,bank" },
    { "realm/other": "viewer" },
    { groups: ["platform"], sub: "" },
  ])
    expect(await login(claims)).toBeUndefined();
  expect(await login({ groups: ["platform"] }, {}, { name: "email" })).toBeUndefined();
});

test("an address counts only where the provider has verified it", async () => {
  const email = "ann@example.com";
  expect(await login({ email })).toBeUndefined();
  expect(await login({ email, email_verified: "true" })).toBeUndefined();
  expect(await login({ email, email_verified: true })).toMatchObject({ subject: { role: "read-only" } });
});

test("tokens for others, of others, without end, unsigned or tampered with are nobody's", async () => {
  const good = { groups: ["platform"] };
  expect(await login(good)).toBeDefined();
  expect(await login(good, { audience: "grafana" })).toBeUndefined();
  expect(await login(good, { key: foreign })).toBeUndefined();
  expect(await login(good, { seconds: -60 })).toBeUndefined();
  expect(await login(good, { from: "https://other.example" })).toBeUndefined();
  const verify = oidcLogins({ providers: [provider()], clock });
  const unsigned = new UnsecuredJWT({ ...good, sub: "ann" }).setIssuer(issuer).setAudience("tulle");
  const [head = "", , signature = ""] = (await token(good)).split(".");
  const body = Buffer.from(JSON.stringify({ iss: issuer, aud: "tulle", sub: "eve", exp: 9e9, ...good }));
  const secret = new SignJWT({ ...good, sub: "ann" })
    .setProtectedHeader({ alg: "HS256", kid: "k1" })
    .setIssuer(issuer)
    .setAudience("tulle")
    .setExpirationTime("10m")
    .sign(Buffer.alloc(32, 1));
  const endless = new SignJWT({ ...good, sub: "ann" })
    .setProtectedHeader({ alg: "RS256", kid: "k1" })
    .setIssuer(issuer)
    .setAudience("tulle")
    .sign(keys.privateKey);
  for (const bad of [
    unsigned.encode(),
    `${head}.${body.toString("base64url")}.${signature}`,
    await secret,
    await endless,
    "a.b.c",
    "no-token",
    `${"a".repeat(20_000)}.b.c`,
  ])
    expect(await verify(bad)).toBeUndefined();
});

test("without keys nobody is let in, and the last good ones count while the provider is away", async () => {
  const verify = oidcLogins({ providers: [provider()], clock });
  away = true;
  await expect(verify(await token({ groups: ["platform"] }))).rejects.toMatchObject({ kind: "unavailable" });
  away = false;
  await clock.advance(11_000);
  expect(await verify(await token({ groups: ["platform"] }))).toBeDefined();
  away = true;
  await clock.advance(600_000);
  expect(await verify(await token({ groups: ["platform"] }))).toBeDefined();
});

test.each<[string, object, string]>([
  ["no issuer", { issuer: "" }, "must have an issuer"],
  ["an issuer that is no URL", { issuer: "login" }, "must be https://"],
  ["plain HTTP", { issuer: "http://login.example" }, "must be https://"],
  ["no audience", { audiences: [] }, "audiences must name"],
  ["no rules", { roles: [] }, "roles must have"],
  [
    "an admin",
    { roles: [{ claim: "a", values: ["b"], role: "admin" }] },
    "roles[0].role must be operator or read-only",
  ],
  ["a workload", { roles: [{ claim: "a", values: ["b"], role: "workload" }] }, "roles[0].role"],
  [
    "a misspelt field",
    { roles: [{ claim: "a", values: ["b"], role: "operator", namespace: ["x"] }] },
    "namespace is not",
  ],
  ["no values", { roles: [{ claim: "a", values: [], role: "operator" }] }, "roles[0].values"],
  [
    "no namespaces",
    { roles: [{ claim: "a", values: ["b"], role: "operator", namespaces: [] }] },
    "namespaces must",
  ],
  [
    "all namespaces by a star",
    { roles: [{ claim: "a", values: ["b"], role: "operator", namespaces: ["*"] }] },
    "namespaces must",
  ],
  ["another field", { clientSecret: "x" }, "clientSecret is not a known field"],
])("a provider with %s is refused", (_what, more, message) => {
  const make = () =>
    oidcLogins({ providers: [{ ...provider({ issuer: "https://login.example" }), ...more }], clock });
  expect(make).toThrow(message);
});

test("a provider stands there once", () => {
  const one = provider({ issuer: "https://login.example" });
  expect(() => oidcLogins({ providers: [one, one], clock })).toThrow("twice");
});
