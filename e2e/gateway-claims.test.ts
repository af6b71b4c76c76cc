import { generateKeyPairSync, sign } from "node:crypto";

import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import type { Gateway } from "./support/gateway.js";
import { call, type Answer } from "./support/http.js";
import { Mesh } from "./support/mesh.js";

// A gateway verifies tokens, lets policies go by them, and routes by what they say.

const ISSUER = "https://issuer.example";
const { publicKey, privateKey } = generateKeyPairSync("ed25519");

let mesh: Mesh;
let gateway: Gateway;
let port: number;

beforeAll(async () => {
  mesh = await Mesh.start();
  const jwks = JSON.stringify({ keys: [publicKey.export({ format: "jwk" })] });
  await mesh.apply(`
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, protocol: HTTP, name: http}, hosts: [web.example.com]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web.example.com]
  gateways: [public]
  http:
  - match: [{headers: {"@request.auth.claims[realm][roles]": {exact: admin}}}]
    directResponse: {status: 200, body: {string: admins}}
  - match: [{headers: {"@request.auth.claims.sub": {prefix: ali}}}]
    directResponse: {status: 200, body: {string: alice}}
  - match: [{withoutHeaders: {"@request.auth.claims.sub": {}}, uri: {prefix: /public}}]
    directResponse: {status: 200, body: {string: anybody}}
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: public}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  jwtRules: [{issuer: ${ISSUER}, jwks: '${jwks}'}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: public}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  action: DENY
  rules: [{from: [{source: {requestPrincipals: ["${ISSUER}/mallory"]}}]}]
`);
  gateway = await mesh.gateway({ ports: [80] });
  port = await gateway.port(80);
}, 60_000);

afterAll(() => mesh.end());

function token(claims: object): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const input = `${part({ alg: "EdDSA" })}.${part({ iss: ISSUER, ...claims })}`;
  return `${input}.${sign(null, Buffer.from(input), privateKey).toString("base64url")}`;
}

function ask(bearer?: string, path = "/"): Promise<Answer> {
  const headers = { host: "web.example.com", ...(bearer && { authorization: `Bearer ${bearer}` }) };
  return call(`http://127.0.0.1:${port}${path}`, { headers });
}

test("routes go by claims, of texts, lists and claims within claims, and by there being none", async () => {
  await eventually(async () => (await ask(token({ sub: "alice" }))).body === "alice");
  expect((await ask(token({ sub: "alice", realm: { roles: ["user", "admin"] } }))).body).toBe("admins");
  expect((await ask(token({ realm: { roles: "admin" } }))).body).toBe("admins");
  expect((await ask(undefined, "/public")).body).toBe("anybody");
});

test("a token that no route is for finds none, and neither does a request without one", async () => {
  expect((await ask(token({ sub: "bob" }))).status).toBe(404);
  expect((await ask(token({ sub: "bob" }), "/public")).status).toBe(404);
  expect((await ask()).status).toBe(404);
});

test("a token that is not good gets nowhere, and one that a policy denies neither", async () => {
  const good = token({ sub: "alice" });
  expect((await ask(`${good.slice(0, -6)}AAAAAA`)).status).toBe(401);
  expect((await ask(token({ iss: "https://other", sub: "alice" }))).status).toBe(401);
  expect((await ask(token({ sub: "mallory", realm: { roles: ["admin"] } }))).status).toBe(403);
});
