import { generateKeyPairSync, sign, type KeyObject } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { call, type Answer } from "./support/http.js";
import { Mesh, RECORDER } from "./support/mesh.js";
import { Servers } from "./support/servers.js";
import { tulle } from "./support/tulle-process.js";
import type { Workload } from "./support/workload.js";

// Tokens as users and attackers send them, with keys that the control plane fetches from a server of the test.

const servers = new Servers();
const first = generateKeyPairSync("ec", { namedCurve: "P-256" });
const second = generateKeyPairSync("ec", { namedCurve: "P-256" });

let mesh: Mesh;
let web: Workload;
let caller: Workload;
let issuer: string;
let served: { kid: string; key: KeyObject };

beforeAll(async () => {
  served = { kid: "1", key: first.publicKey };
  const port = await servers.http((request, response) => {
    if (request.url?.startsWith("/keys") !== true) return void response.writeHead(404).end();
    const keys = [{ ...served.key.export({ format: "jwk" }), kid: served.kid, alg: "ES256", use: "sig" }];
    response.end(JSON.stringify({ keys }));
  });
  issuer = `http://127.0.0.1:${port}`;
  mesh = await Mesh.start(["--jwks-allowed-cidrs", "127.0.0.1/32"]);
  web = await mesh.run({ service: "web", command: RECORDER });
  caller = await mesh.run({ service: "caller", args: ["--upstream", "web:8080"] });
  await mesh.apply(`
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: web}
spec:
  targetRefs: [{kind: Service, name: web}]
  jwtRules:
    - issuer: ${issuer}
      jwksUri: ${issuer}/keys
      audiences: [web]
      outputClaimToHeaders: [{header: x-user, claim: sub}]
`);
}, 60_000);

afterAll(async () => {
  await mesh.end();
  servers.close();
});

function token(claims: object = {}, { kid = "1", key = first.privateKey, alg = "ES256" } = {}): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const all = { iss: issuer, aud: "web", sub: "alice", exp: Math.floor(Date.now() / 1000) + 600, ...claims };
  const input = `${part({ alg, kid })}.${part(all)}`;
  const signature = sign("sha256", Buffer.from(input), { key, dsaEncoding: "ieee-p1363" });
  return `${input}.${signature.toString("base64url")}`;
}

function ask(bearer?: string, headers: Record<string, string> = {}, path = "/x"): Promise<Answer> {
  const authorization = bearer === undefined ? {} : { authorization: `Bearer ${bearer}` };
  return call(`${caller.upstream("web:8080")}${path}`, { headers: { ...authorization, ...headers } });
}

async function lastSeen(): Promise<IncomingHttpHeaders> {
  const { body } = await call(`http://127.0.0.1:${web.ready.appPort}/seen`);
  return (JSON.parse(body) as { headers: IncomingHttpHeaders }[]).at(-1)?.headers ?? {};
}

test("a good token goes in, and the application learns what it says but not the token", async () => {
  await eventually(async () => (await ask("x")).status === 401);
  await eventually(async () => (await ask(token())).status === 200);
  const seen = await lastSeen();
  expect(seen["x-user"]).toBe("alice");
  expect(seen["authorization"]).toBeUndefined();
});

test("a request without a token passes, and what it claims under the token's name does not", async () => {
  expect((await ask(undefined, { "x-user": "root" })).status).toBe(200);
  expect((await lastSeen())["x-user"]).toBeUndefined();
});

test.each([
  ["expired", () => token({ exp: 1 }), 401, "Jwt is expired"],
  ["of another key", () => token({}, { key: second.privateKey }), 401, "Jwt verification fails"],
  ["of an unknown key", () => token({}, { kid: "2", key: second.privateKey }), 401, "Jwks doesn't have key"],
  ["of another issuer", () => token({ iss: "https://x" }), 401, "Jwt issuer is not configured"],
  ["for somebody else", () => token({ aud: "other" }), 403, "Audiences in Jwt are not allowed"],
  [
    "without signature",
    () => `${token({}, { alg: "none" }).split(".").slice(0, 2).join(".")}.`,
    401,
    "Jwt is not in the form",
  ],
])("a token %s is refused with the reason", async (_what, make, status, reason) => {
  const answer = await ask(make());
  expect(answer.status).toBe(status);
  expect(answer.body).toContain(reason);
  expect(answer.headers["www-authenticate"]).toMatch(/^Bearer realm="http.*", error="invalid_token"$/);
});

test("a policy goes by what the token says", async () => {
  await mesh.apply(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: web}
spec:
  targetRefs: [{kind: Service, name: web}]
  rules:
    - from: [{source: {requestPrincipals: ["${issuer}/alice"]}}]
      when: [{key: "request.auth.claims[scope]", values: [write]}]
`);
  await eventually(async () => (await ask()).status === 403);
  expect((await ask(token({ scope: "read write" }))).status).toBe(200);
  expect((await ask(token({ scope: "read" }))).status).toBe(403);
  expect((await ask(token({ scope: "write", sub: "bob" }))).status).toBe(403);
  const path = "/apis/security.istio.io/v1/namespaces/default/authorizationpolicies/web";
  await call(`${mesh.server}${path}`, { method: "DELETE" });
  await eventually(async () => (await ask()).status === 200);
});

test("explain and why tell of the token, and never tell it", async () => {
  const bad = token({ exp: 1 });
  const environment = { ...mesh.environment, TULLE_SERVER: mesh.server };
  const explained = await tulle({
    args: ["explain", "http://web:8080/x", "--from", "caller", "-H", `authorization: Bearer ${token()}`],
    environment,
    logFile: `${mesh.directory}/explain.log`,
  });
  expect(explained.output).toContain('its token is good and says that it is "alice"');
  const answer = await ask(bad, { "x-request-id": "why-jwt" });
  expect(answer.status).toBe(401);
  const told = await eventually(async () => {
    const { code, output } = await tulle({
      args: ["why", "why-jwt"],
      environment,
      logFile: `${mesh.directory}/why.log`,
    });
    return code === 0 && output.includes("refused its token: Jwt is expired") ? output : undefined;
  });
  for (const output of [explained.output, told]) expect(output).not.toContain(bad.split(".")[2]);
});

test("keys from another place take the place of the former ones", async () => {
  served = { kid: "2", key: second.publicKey };
  await mesh.apply(`
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: web}
spec:
  targetRefs: [{kind: Service, name: web}]
  jwtRules: [{issuer: ${issuer}, jwksUri: "${issuer}/keys?v=2"}]
`);
  await eventually(async () => (await ask(token({}, { kid: "2", key: second.privateKey }))).status === 200);
  expect((await ask(token())).status).toBe(401);
});
