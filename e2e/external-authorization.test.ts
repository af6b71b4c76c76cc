import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { call, callJson, type Answer, type CallOptions } from "./support/http.js";
import { Mesh, RECORDER } from "./support/mesh.js";
import { tulle } from "./support/tulle-process.js";
import type { Workload } from "./support/workload.js";

// Services of the mesh decide whether requests may pass: through the callee's sidecar, over mutual TLS.

const app = (name: string): string[] => [
  process.execPath,
  fileURLToPath(new URL(`support/apps/${name}.mjs`, import.meta.url)),
];

const RULES = `
apiVersion: tulle.dev/v1
kind: MeshConfig
metadata: {name: mesh, namespace: istio-system}
spec:
  extensionProviders:
  - name: grpc
    envoyExtAuthzGrpc: {service: default/authz-grpc, port: 8080, timeout: 1s}
  - name: http
    envoyExtAuthzHttp:
      service: authz-http.default.svc.cluster.local
      port: 8080
      pathPrefix: /check
      statusOnError: "503"
      includeAdditionalHeadersInCheck: {x-asked: by the mesh}
      headersToUpstreamOnAllow: [x-user]
      headersToDownstreamOnDeny: [location]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ask-grpc}
spec:
  targetRefs: [{kind: Service, name: shop}]
  action: CUSTOM
  provider: {name: grpc}
  rules: [{to: [{operation: {paths: ["/grpc*"]}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ask-http}
spec:
  targetRefs: [{kind: Service, name: shop}]
  action: CUSTOM
  provider: {name: http}
  rules: [{to: [{operation: {notPaths: ["/grpc*", "/open", "/nobody"]}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ask-nobody}
spec:
  targetRefs: [{kind: Service, name: shop}]
  action: CUSTOM
  provider: {name: nobody}
  rules: [{to: [{operation: {paths: ["/nobody"]}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ask-about-bytes}
spec:
  targetRefs: [{kind: Service, name: bank}]
  action: CUSTOM
  provider: {name: grpc}
  rules: [{}]
`;

let mesh: Mesh;
let shop: Workload;
let caller: Workload;
let http: Workload;
let stranger: Workload;
let accessLog: string;

beforeAll(async () => {
  mesh = await Mesh.start();
  accessLog = join(mesh.directory, "access.log");
  const started = await Promise.all([
    mesh.run({ service: "authz-http", command: app("http-authorizer"), healthPath: "" }),
    mesh.run({ service: "shop", command: RECORDER, args: ["--access-log", accessLog] }),
    mesh.run({ service: "caller", args: ["--upstream", "shop:8080", "--upstream", "bank:8080"] }),
    mesh.run({
      service: "authz-grpc",
      command: app("grpc-authorizer"),
      healthPath: "",
      args: ["--protocol", "grpc"],
    }),
    mesh.run({ service: "stranger", args: ["--upstream", "bank:8080"] }),
    mesh.run({ service: "bank", command: app("banner"), healthPath: "", args: ["--protocol", "tcp"] }),
  ]);
  [http, shop, caller] = started;
  stranger = started[4];
  await mesh.apply(RULES);
  await eventually(async () => (await ask("/grpc")).status === 401);
}, 120_000);

afterAll(() => mesh.end());

function ask(path: string, options: CallOptions = {}): Promise<Answer> {
  return call(`${caller.upstream("shop:8080")}${path}`, options);
}

function run(...args: readonly string[]): ReturnType<typeof tulle> {
  return tulle({
    args,
    environment: { ...mesh.environment, TULLE_SERVER: mesh.server },
    logFile: join(mesh.directory, "command.log"),
  });
}

/** The user that the application was told last. */
async function seenUser(): Promise<unknown> {
  const seen = (await callJson(`http://127.0.0.1:${shop.ready.appPort}/seen`)) as {
    headers: Record<string, unknown>;
  }[];
  return seen.at(-1)?.headers["x-user"];
}

test("a gRPC service refuses and lets pass, and is told the caller's identity", async () => {
  expect(await ask("/grpc?x=1")).toMatchObject({ status: 401, body: "who asks for /grpc?x=1?" });
  const passed = await ask("/grpc", { headers: { "x-user": "alice" } });
  expect(passed.status).toBe(200);
  expect(passed.headers["x-checked-by"]).toBe("spiffe://cluster.local/ns/default/sa/caller");
  expect(await seenUser()).toBe("alice!");
  expect((await ask("/open")).status).toBe(200);
});

test("a service that does not answer lets nothing pass", async () => {
  const started = performance.now();
  expect((await ask("/grpc", { headers: { "x-slow": "1" } })).status).toBe(403);
  expect(performance.now() - started).toBeGreaterThan(900);
  await eventually(() => readFileSync(accessLog, "utf8").includes("UAEX ext_authz_error"));
  expect(await shop.metrics()).toContain('tulle_ext_authz_checks_total{service="grpc",outcome="timeout"}');
});

test("an HTTP service refuses with what it says, and its fields go on", async () => {
  const redirected = await ask("/302");
  expect(redirected).toMatchObject({ status: 302, body: "status 302", headers: { location: "/login" } });
  expect((await ask("/403")).status).toBe(403);
  const passed = await ask("/200", { headers: { "x-user": "forged" } });
  expect(passed.status).toBe(200);
  expect(await seenUser()).toBe("http:by the mesh");
  expect((await ask("/500")).status).toBe(503);
});

test("a provider that nobody has configured refuses, and the policy's status says so", async () => {
  expect((await ask("/nobody")).status).toBe(403);
  await eventually(async () => {
    const path = "/apis/security.istio.io/v1/namespaces/default/authorizationpolicies/ask-nobody";
    return (await call(`${mesh.server}${path}`)).body.includes("has a provider");
  });
});

/** What a server that speaks first says to a workload; "" = it is not let through. */
function banner(from: Workload): Promise<string> {
  const { hostname, port } = new URL(from.upstream("bank:8080"));
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    socket.setTimeout(5000, () => socket.destroy());
    socket.on("data", (chunk: Buffer) => {
      resolve(chunk.toString());
      socket.destroy();
    });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(""));
  });
}

test("a gRPC service is asked about connections that carry bytes, too", async () => {
  await eventually(async () => (await banner(stranger)) === "");
  expect(await banner(caller)).toMatch(/^220 .* ready/);
  expect(await banner(stranger)).toBe("");
});

test("explain says who would be asked, and why says who refused", async () => {
  const explained = await run("explain", "http://shop:8080/grpc", "--from", "caller");
  expect(explained.output).toContain(
    "ext_authz grpc outbound|8080||authz-grpc.default.svc.cluster.local: its consent is assumed",
  );
  const { headers } = await ask("/grpc", {
    headers: { "x-request-id": "11111111-2222-4333-8444-555555555555" },
  });
  const id = String(headers["x-request-id"] ?? "11111111-2222-4333-8444-555555555555");
  await eventually(async () => {
    const why = await run("why", id);
    return why.output.includes(
      "asked ext_authz grpc outbound|8080||authz-grpc.default.svc.cluster.local, which refused",
    );
  });
}, 30_000);

test("of an HTTP provider connections that carry bytes are refused, and the policy's status says why", async () => {
  await mesh.apply(RULES.replaceAll(/(name: ask-about-bytes[^]*provider: {name: )grpc/g, "$1http"));
  await eventually(async () => (await banner(caller)) === "");
  await eventually(async () => {
    const path = "/apis/security.istio.io/v1/namespaces/default/authorizationpolicies/ask-about-bytes";
    return (await call(`${mesh.server}${path}`)).body.includes("is asked over HTTP");
  });
});

test("with the service gone, requests are refused as its provider says", async () => {
  await http.process.stop();
  await eventually(async () => (await ask("/200")).status === 503);
  expect((await ask("/open")).status).toBe(200);
}, 30_000);
