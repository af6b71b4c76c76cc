import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { Agent, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { AccessTokenRequest } from "@tulle/api";
import { silentLogger, systemClock } from "@tulle/base";
import { afterAll, beforeAll, expect, test } from "vitest";

import { startControlPlane, type ControlPlane } from "../main.js";

const RULES = "/apis/networking.istio.io/v1/namespaces/default/destinationrules";
const WORKLOAD = { Name: "reviews", ID: "reviews-1", Port: 9080, Address: "10.0.0.7" };

const agent = new Agent({ keepAlive: true });
let directory: string;
let control: ControlPlane;
let admin: string;
const tokens: Record<string, string> = {};
const audit: Record<string, unknown>[] = [];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "tulle-login-"));
  control = await start();
  admin = readFileSync(join(directory, "admin-token"), "utf8").trim();
  const wanted: AccessTokenRequest[] = [
    { name: "operator", role: "operator" },
    { name: "shop-operator", role: "operator", namespaces: ["shop"] },
    { name: "reader", role: "read-only" },
    { name: "workload", role: "workload", namespaces: ["default"], serviceAccount: "reviews" },
  ];
  tokens["admin"] = admin;
  for (const one of wanted) {
    const { body } = await call("POST", "/tulle/v1/access-tokens", { token: admin, body: one });
    tokens[one.name] = (JSON.parse(body) as { token: string }).token;
  }
  for (const name of ["shop", "bank"]) {
    await call("POST", "/api/v1/namespaces", { token: admin, body: { metadata: { name } } });
  }
  const secret = { metadata: { name: "s" }, stringData: { password: "canary-hunter2" } };
  await call("POST", "/api/v1/namespaces/default/secrets", { token: admin, body: secret });
});

afterAll(async () => {
  agent.destroy();
  await control.close();
  rmSync(directory, { recursive: true, force: true });
});

function start(): Promise<ControlPlane> {
  return startControlPlane({
    dataDirectory: directory,
    requireLogin: true,
    httpPort: 0,
    dnsPort: 0,
    xdsPort: 0,
    logger: silentLogger,
    clock: systemClock,
    random: () => 0.5,
    auditSink: (lines) => {
      for (const line of lines.trimEnd().split("\n")) audit.push(JSON.parse(line) as Record<string, unknown>);
      return Promise.resolve();
    },
  });
}

interface CallOptions {
  readonly token?: string | undefined;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers: NodeJS.Dict<string | string[]>;
}

function call(
  method: string,
  path: string,
  { token, body, headers = {} }: CallOptions = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body);
    const outgoing = request(
      `https://${control.info.addresses.http}${path}`,
      {
        method,
        ca: control.info.rootCertificatePem,
        servername: "localhost",
        agent,
        headers: {
          ...(text === undefined
            ? {}
            : { "content-type": "application/json", "content-length": String(Buffer.byteLength(text)) }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...headers,
        },
      },
      (answer) => {
        let received = "";
        answer.on("data", (chunk: Buffer) => (received += chunk.toString()));
        answer.on("error", reject);
        answer.on("end", () =>
          resolve({ status: answer.statusCode ?? 0, body: received, headers: answer.headers }),
        );
      },
    );
    outgoing.on("error", reject);
    outgoing.end(text);
  });
}

function admissionReview(namespace: string): object {
  const kind = { group: "networking.istio.io", version: "v1", kind: "DestinationRule" };
  const request = { uid: "1", operation: "CREATE", namespace, kind, object: {} };
  return { apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request };
}

/** Every kind of path, and for admin, operator, reader, workload and shop-operator whether it is let in. */
const MATRIX: readonly (readonly [string, string, unknown, string])[] = [
  ["GET", "/version", undefined, "aorws"],
  ["GET", "/api", undefined, "aorws"],
  ["GET", "/apis", undefined, "aorws"],
  ["GET", "/apis/networking.istio.io/v1", undefined, "aorws"],
  ["GET", "/openapi/v2", undefined, "aorws"],
  ["GET", "/tulle/v1/who-am-i", undefined, "aorws"],
  ["GET", "/tulle/v1/status", undefined, "aor"],
  ["GET", "/metrics", undefined, "aor"],
  ["GET", "/tulle/v1/endpoints", undefined, "aor"],
  ["GET", "/tulle/v1/effective-policy?host=reviews", undefined, "aor"],
  ["GET", "/tulle/v1/effective-policy?host=reviews&namespace=shop", undefined, "aors"],
  ["GET", "/tulle/v1/effective-policy?host=reviews&namespace=shop&from=bank", undefined, "aor"],
  ["GET", "/tulle/v1/effective-policy?host=reviews.bank.svc.cluster.local&namespace=shop", undefined, "aor"],
  ["POST", "/tulle/v1/analyze", {}, "aor"],
  ["POST", "/tulle/v1/analyze", { namespace: "shop" }, "aors"],
  ["POST", "/validate", admissionReview(""), "aor"],
  ["POST", "/validate", admissionReview("shop"), "aors"],
  ["GET", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies", undefined, "aor"],
  ["POST", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies", {}, "a"],
  ["DELETE", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/b", undefined, "a"],
  ["GET", "/tulle/v1/why/x", undefined, "aors"],
  ["POST", "/tulle/v1/explain", { from: "x", method: "GET", url: "http://a/" }, "aor"],
  ["POST", "/tulle/v1/explain", { from: "x", namespace: "shop", method: "GET", url: "http://a/" }, "aors"],
  ["GET", "/tulle/v1/proxies/x/clusters", undefined, "aors"],
  ["GET", "/tulle/v1/proxies/x/load", undefined, "aors"],
  ["GET", "/tulle/v1/proxies/x/log-level", undefined, "aors"],
  ["PUT", "/tulle/v1/proxies/x/log-level", { level: "debug" }, "aos"],
  ["POST", "/tulle/v1/join-tokens", { namespace: "default", serviceAccount: "a" }, "ao"],
  ["POST", "/tulle/v1/join-tokens", { namespace: "shop", serviceAccount: "a" }, "aos"],
  ["GET", "/tulle/v1/access-tokens", undefined, "a"],
  ["POST", "/tulle/v1/access-tokens", { name: "again", role: "admin" }, "a"],
  ["DELETE", "/tulle/v1/access-tokens/again", undefined, "a"],
  ["GET", RULES, undefined, "aor"],
  ["GET", RULES.replace("/namespaces/default", ""), undefined, "aor"],
  ["GET", RULES.replace("default", "shop"), undefined, "aors"],
  ["POST", RULES, { metadata: { name: "r" }, spec: { host: "r" } }, "ao"],
  ["POST", RULES.replace("default", "shop"), { metadata: { name: "r" }, spec: { host: "r" } }, "aos"],
  ["PUT", `${RULES}/r`, {}, "ao"],
  ["PATCH", `${RULES}/r`, {}, "ao"],
  ["DELETE", `${RULES}/r`, undefined, "ao"],
  ["DELETE", RULES.replace("default", "shop"), undefined, "aos"],
  ["GET", "/api/v1/namespaces", undefined, "aor"],
  ["POST", "/api/v1/namespaces", { metadata: { name: "x" } }, "ao"],
  ["DELETE", "/api/v1/namespaces/shop-2", undefined, "ao"],
  ["GET", "/api/v1/namespaces/default/secrets", undefined, "ao"],
  ["GET", "/api/v1/namespaces/default/secrets/s", undefined, "ao"],
  ["GET", "/api/v1/secrets", undefined, "ao"],
  ["GET", "/v1/agent/self", undefined, "aorws"],
  ["GET", "/v1/agent/members", undefined, "aorws"],
  ["GET", "/v1/status/leader", undefined, "aorws"],
  ["GET", "/v1/status/peers", undefined, "aorws"],
  ["GET", "/v1/catalog/datacenters", undefined, "aorws"],
  ["GET", "/v1/catalog/services?ns=default", undefined, "aorw"],
  ["GET", "/v1/catalog/services?ns=shop", undefined, "aors"],
  ["GET", "/v1/catalog/services?ns=*", undefined, "aor"],
  ["GET", "/v1/catalog/nodes", undefined, "aor"],
  ["GET", "/v1/catalog/service/x?ns=default", undefined, "aorw"],
  ["GET", "/v1/catalog/node/x?ns=default", undefined, "aorw"],
  ["GET", "/v1/catalog/node-services/x?ns=bank", undefined, "aor"],
  ["GET", "/v1/health/service/x?ns=default", undefined, "aorw"],
  ["GET", "/v1/health/checks/x?ns=default", undefined, "aorw"],
  ["GET", "/v1/health/state/any?ns=default", undefined, "aorw"],
  ["GET", "/v1/health/node/x?ns=default", undefined, "aorw"],
  ["GET", "/v1/agent/services?ns=default", undefined, "aorw"],
  ["GET", "/v1/agent/service/x?ns=default", undefined, "aorw"],
  ["GET", "/v1/agent/checks?ns=default", undefined, "aorw"],
  ["GET", "/v1/agent/health/service/name/x?ns=default", undefined, "aorw"],
  ["GET", "/v1/agent/health/service/id/x?ns=default", undefined, "aorw"],
  ["PUT", "/v1/agent/service/register?ns=default", WORKLOAD, "aow"],
  ["PUT", "/v1/agent/service/register", { ...WORKLOAD, Namespace: "shop" }, "aos"],
  ["PUT", "/v1/agent/service/register?ns=shop", { ...WORKLOAD, Namespace: "bank" }, "ao"],
  ["PUT", "/v1/agent/service/deregister/nobody?ns=default", undefined, "aow"],
  ["PUT", "/v1/agent/service/maintenance/nobody?ns=default&enable=true", undefined, "aow"],
  ["PUT", "/v1/agent/maintenance?enable=false", undefined, "ao"],
  ["PUT", "/v1/agent/check/register?ns=default", { Name: "node", TTL: "10s" }, "ao"],
  ["PUT", "/v1/agent/check/deregister/node?ns=default", undefined, "aow"],
  ["PUT", "/v1/agent/check/pass/nobody?ns=default", undefined, "aow"],
  ["PUT", "/v1/agent/check/warn/nobody?ns=default", undefined, "aow"],
  ["PUT", "/v1/agent/check/fail/nobody?ns=default", undefined, "aow"],
  ["PUT", "/v1/agent/check/update/nobody?ns=default", {}, "aow"],
  ["PUT", "/v1/config?ns=default", { Kind: "service-resolver", Name: "r" }, "ao"],
  ["PUT", "/v1/config?ns=shop", { Kind: "service-resolver", Name: "r" }, "aos"],
  ["PUT", "/v1/config", { Kind: "service-resolver", Name: "r", Namespace: "shop" }, "aos"],
  ["GET", "/v1/config/service-resolver?ns=default", undefined, "aor"],
  ["GET", "/v1/config/service-resolver?ns=shop", undefined, "aors"],
  ["GET", "/v1/config/service-resolver?ns=*", undefined, "aor"],
  ["GET", "/v1/config/service-resolver/r?ns=default", undefined, "aor"],
  ["DELETE", "/v1/config/service-resolver/nobody?ns=default", undefined, "ao"],
  ["GET", "/v1/discovery-chain/web?ns=default", undefined, "aor"],
  ["POST", "/v1/discovery-chain/web?ns=shop", {}, "aors"],
  ["PUT", "/v1/catalog/register", { Node: "n", Address: "10.0.0.1" }, "ao"],
  ["PUT", "/v1/catalog/deregister", { Node: "n" }, "ao"],
];
const NAMES = { a: "admin", o: "operator", r: "reader", w: "workload", s: "shop-operator" } as const;

test.each(MATRIX)("%s %s %j is for %s", async (method, path, body, letters) => {
  for (const [letter, name] of Object.entries(NAMES)) {
    const { status, body: text } = await call(method, path, { token: tokens[name], body });
    expect([name, status === 403, text.includes("does not check")]).toEqual([
      name,
      !letters.includes(letter),
      false,
    ]);
  }
  for (const token of [undefined, `${admin}x`]) {
    const refused = await call(method, path, { body, token });
    // After many failures: 429.
    expect([path.startsWith("/v1/") ? 403 : 401, 429]).toContain(refused.status);
  }
});

test("the first admin's token is written once, to a file of its owner, and holds after a restart", async () => {
  const file = join(directory, "admin-token");
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const { mtimeMs } = statSync(file);
  await control.close();
  control = await start();
  expect(statSync(file).mtimeMs).toBe(mtimeMs);
  expect((await call("GET", "/tulle/v1/status", { token: admin })).status).toBe(200);
});

test("info is for everybody, since whoever joins needs it; nothing else is", async () => {
  const { status, body } = await call("GET", "/tulle/v1/info");
  expect([status, JSON.parse(body)]).toMatchObject([200, { trustDomain: "cluster.local" }]);
  for (const path of [
    "/tulle/v1/info/",
    "/tulle/v1//info",
    "/tulle/v1/info/../status",
    "/",
    "/nothing",
    "/v1/nothing",
  ]) {
    expect([401, 403, 429]).toContain((await call("GET", path)).status);
  }
  expect([401, 429]).toContain((await call("POST", "/tulle/v1/info")).status);
});

test("Consul's ways to show a token work on Consul's paths only", async () => {
  const path = "/v1/catalog/services?ns=default";
  expect((await call("GET", path, { headers: { "x-consul-token": tokens["workload"]! } })).status).toBe(200);
  expect((await call("GET", `${path}&token=${tokens["workload"]}`)).status).toBe(200);
  expect(await call("GET", path)).toMatchObject({
    status: 403,
    body: expect.stringMatching(/^Permission denied/),
  });
  const wrong = { "x-consul-token": "6c5d0b5e-0000-0000-0000-000000000000" };
  expect(await call("GET", path, { headers: wrong })).toMatchObject({ status: 403, body: "ACL not found" });
  const denied = await call("GET", "/v1/catalog/services?ns=bank", { token: tokens["workload"] });
  expect(denied).toMatchObject({ status: 403, body: expect.stringMatching(/^Permission denied: /) });
  // Without ?ns= a token of one namespace means that one.
  expect((await call("GET", "/v1/catalog/services", { token: tokens["shop-operator"] })).status).toBe(200);
  expect((await call("GET", "/tulle/v1/status", { headers: { "x-consul-token": admin } })).status).toBe(401);
  expect((await call("GET", `/tulle/v1/status?token=${admin}`)).status).toBe(401);
});

test.each([
  [
    "another's service under its own account",
    { ...WORKLOAD, Name: "ratings", Meta: { "tulle-service-account": "reviews" } },
  ],
  ["its own service under another's account", { ...WORKLOAD, Meta: { "tulle-service-account": "ratings" } }],
  ["over another's instance", { ...WORKLOAD, ID: "ratings-1" }],
  ["in another namespace", { ...WORKLOAD, Namespace: "shop" }],
  [
    "with a check of another machine",
    { ...WORKLOAD, Check: { HTTP: "http://169.254.169.254/latest", Interval: "1s" } },
  ],
  [
    "with a check of the control plane itself",
    { ...WORKLOAD, Check: { TCP: "127.0.0.1:8500", Interval: "1s" } },
  ],
])("a workload cannot register %s", async (_what, body) => {
  await call("PUT", "/v1/agent/service/register", {
    token: admin,
    body: { Name: "ratings", ID: "ratings-1", Port: 1, Check: { CheckID: "ratings-ttl", TTL: "60s" } },
  });
  const { status } = await call("PUT", "/v1/agent/service/register", { token: tokens["workload"], body });
  expect(status).toBe(403);
});

test("a workload changes what is its own, and nothing of others", async () => {
  await call("PUT", "/v1/agent/service/register", {
    token: admin,
    body: { Name: "ratings", ID: "ratings-1", Port: 1, Check: { CheckID: "ratings-ttl", TTL: "60s" } },
  });
  const own = { ...WORKLOAD, Check: { CheckID: "own-ttl", TTL: "60s" } };
  const put = async (path: string, body?: unknown): Promise<number> =>
    (await call("PUT", path, { token: tokens["workload"], body })).status;
  expect(await put("/v1/agent/service/register", own)).toBe(200);
  expect(await put("/v1/agent/check/pass/own-ttl")).toBe(200);
  expect(await put("/v1/agent/check/pass/ratings-ttl")).toBe(403);
  expect(await put("/v1/agent/check/deregister/ratings-ttl")).toBe(403);
  expect(await put("/v1/agent/check/register", { Name: "x", ServiceID: "ratings-1", TTL: "10s" })).toBe(403);
  expect(
    await put("/v1/agent/check/register", {
      ID: "ratings-ttl",
      Name: "x",
      ServiceID: "reviews-1",
      TTL: "10s",
    }),
  ).toBe(403);
  expect(await put("/v1/agent/service/maintenance/ratings-1?enable=true")).toBe(403);
  expect(await put("/v1/agent/service/deregister/ratings-1")).toBe(403);
  expect(await put("/v1/agent/service/deregister/reviews-1")).toBe(200);
  expect(await put("/v1/agent/service/deregister/reviews-1")).toBe(404);
});

test("what another site's page makes a browser send is refused", async () => {
  const good = { token: admin, body: { from: "x", method: "GET", url: "http://a/" } };
  const send = (headers: Record<string, string>): Promise<Answer> =>
    call("POST", "/tulle/v1/explain", { ...good, headers });
  const { http } = control.info.addresses;
  expect((await send({ origin: "https://evil.example" })).status).toBe(403);
  expect((await send({ origin: "null" })).status).toBe(403);
  expect((await send({ origin: `http://${http}` })).status).toBe(403);
  expect((await send({ "sec-fetch-site": "cross-site" })).status).toBe(403);
  expect((await send({ "sec-fetch-site": "same-site" })).status).toBe(403);
  expect((await send({ "content-type": "text/plain" })).status).toBe(400);
  expect((await send({ "content-type": "application/x-www-form-urlencoded; charset=utf-8" })).status).toBe(
    400,
  );
  expect((await send({ host: "evil.example" })).status).toBe(403);
  const own = await send({ origin: `https://${http}`, "sec-fetch-site": "same-origin" });
  expect(own.status).toBe(404);
  expect(own.headers["access-control-allow-origin"]).toBeUndefined();
});

test("revoking a token ends what is being answered to it", async () => {
  const { body } = await call("POST", "/tulle/v1/access-tokens", {
    token: admin,
    body: { name: "watcher", role: "read-only" },
  });
  const { token } = JSON.parse(body) as { token: string };
  const watch = await openWatch(token);
  await call("DELETE", "/tulle/v1/access-tokens/watcher", { token: admin });
  await watch.over;
  expect([401, 429]).toContain((await call("GET", RULES, { token })).status);
});

/** Opens a watch. */
function openWatch(token: string): Promise<{ readonly over: Promise<void> }> {
  return new Promise((resolve, reject) => {
    const { info } = control;
    const outgoing = request(
      `https://${info.addresses.http}${RULES}?watch=true`,
      {
        ca: info.rootCertificatePem,
        servername: "localhost",
        agent: false,
        headers: { authorization: `Bearer ${token}` },
      },
      (answer) => {
        answer.on("error", () => undefined);
        answer.resume();
        resolve({ over: new Promise((over) => answer.on("close", () => over())) });
      },
    );
    outgoing.on("error", reject);
    outgoing.end();
  });
}

test("every write and every denial is in the audit log, and no secret is", async () => {
  audit.length = 0;
  const written = await call("POST", RULES, {
    token: tokens["operator"],
    body: { metadata: { name: "audited" }, spec: { host: "a" } },
  });
  await call("GET", `${RULES}/audited`, { token: tokens["reader"] });
  await call("DELETE", `${RULES}/audited?token=canary-query`, { token: tokens["reader"] });
  await call("GET", "/v1/catalog/services?token=canary-token");
  await call("POST", "/api/v1/namespaces/default/secrets", {
    token: admin,
    body: { metadata: { name: "s2" }, stringData: { a: "canary-secret" } },
  });
  expect(audit).toMatchObject([
    {
      who: "token:operator",
      role: "operator",
      verb: "write",
      kind: "config",
      namespace: "default",
      outcome: "done",
    },
    { who: "token:reader", method: "DELETE", path: `${RULES}/audited`, outcome: "denied", status: 403 },
    { who: "", from: "127.0.0.1", outcome: "denied", status: "ACCESS_BAD_TOKEN" },
    { who: "token:bootstrap-admin", kind: "secret", outcome: "done" },
  ]);
  expect(audit[0]?.["requestId"]).toBe(written.headers["audit-id"]);
  expect(JSON.stringify(audit)).not.toMatch(/canary/);
  for (const token of Object.values(tokens)) expect(JSON.stringify(audit)).not.toContain(token);
});
