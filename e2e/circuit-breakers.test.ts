import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { call } from "./support/http.js";
import { Mesh } from "./support/mesh.js";
import { register, Servers } from "./support/servers.js";
import { clusterOf, type Workload } from "./support/workload.js";

// The limits of a DestinationRule, between two sidecars and towards a server without one.

const servers = new Servers();
let mesh: Mesh;
let caller: Workload;

beforeAll(async () => {
  mesh = await Mesh.start();
  caller = await mesh.sidecar({
    service: "caller",
    args: ["--upstream", "web:8080", "--upstream", "plain:8080"],
  });
}, 60_000);

afterAll(async () => {
  servers.close();
  await mesh.end();
});

function rule(host: string, connectionPool: string): Promise<void> {
  return mesh.apply(`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ${host}}
spec: {host: ${host}, trafficPolicy: {connectionPool: {${connectionPool}}}}
`);
}

async function gauge(name: string, service: string): Promise<string | undefined> {
  const pattern = new RegExp(
    `circuit_breakers_default_${name}\\{cluster_name="[^"]*\\|${service}\\.[^}]*\\} (\\d+)`,
  );
  return pattern.exec(await caller.metrics())?.[1];
}

/** Waits until the limit has reached the sidecar. */
async function limited(name: string, service: string, remaining: number): Promise<void> {
  await eventually(async () => (await gauge(`remaining_${name}`, service)) === String(remaining));
}

test("more requests at once than http2MaxRequests are refused with 503 UO, others go on", async () => {
  await mesh.run({ service: "web", environment: { DELAY_MS: "300" } });
  await caller.knows(clusterOf("web"), 1);
  await rule("web", "http: {http2MaxRequests: 2}");
  await limited("rq", "web", 2);
  const answers = await Promise.all(Array.from({ length: 8 }, () => call(caller.upstream("web:8080"))));
  const refused = answers.filter(({ status }) => status === 503);
  expect(refused).toHaveLength(6);
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(2);
  expect(refused[0]!.headers["x-envoy-overloaded"]).toBe("true");
  expect(refused[0]!.body).toContain("circuit breaker of outbound|8080||web");
  expect(await caller.metrics()).toMatch(/istio_requests_total\{[^}]*response_flags="UO"/);
  await limited("rq", "web", 2);
}, 30_000);

test("requests beyond maxConnections wait, and beyond http1MaxPendingRequests are refused", async () => {
  const waiting: (() => void)[] = [];
  const sockets = new Set<unknown>();
  const port = await servers.http((request, response) => {
    sockets.add(request.socket);
    waiting.push(() => response.end());
  });
  await register(mesh, "plain", [port]);
  await caller.knows(clusterOf("plain"), 1);
  await rule("plain", "tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}");
  await limited("cx", "plain", 1);
  const url = caller.upstream("plain:8080");
  const first = call(url);
  await eventually(() => waiting.length === 1);
  const second = call(url);
  await eventually(async () => (await gauge("rq_pending_open", "plain")) === "1");
  expect((await call(url)).status).toBe(503);
  expect(await gauge("cx_open", "plain")).toBe("1");
  waiting.shift()!();
  await eventually(() => waiting.length === 1);
  waiting.shift()!();
  expect([(await first).status, (await second).status, sockets.size]).toEqual([200, 200, 1]);
}, 30_000);

test("a Sidecar limits what reaches the application, whoever calls", async () => {
  await mesh.run({ service: "inner", args: ["--label", "app=inner"], environment: { DELAY_MS: "300" } });
  await mesh.apply(`
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: inner}
spec:
  workloadSelector: {labels: {app: inner}}
  inboundConnectionPool: {http: {http2MaxRequests: 2}}
  egress: [{hosts: ["*/*"]}]
`);
  const url = `http://127.0.0.1:${caller.ready.addresses.outbound.port}/`;
  await eventually(async () => {
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => call(url, { headers: { host: "inner:8080" } })),
    );
    const refused = answers.filter(({ status }) => status === 503);
    if (refused.length !== 4) return false;
    expect(refused[0]!.body).toContain("circuit breaker of inbound|8080||inner");
    return answers.filter(({ status }) => status === 200).length === 2;
  });
}, 30_000);

test("the mesh's default limits hold for who says nothing, and requests of high priority have their own", async () => {
  const waiting: (() => void)[] = [];
  const port = await servers.http((request, response) => {
    if (request.url === "/now") response.end();
    else waiting.push(() => response.end());
  });
  await register(mesh, "busy", [port]);
  await mesh.apply(`
apiVersion: tulle.dev/v1
kind: MeshConfig
metadata: {name: mesh, namespace: istio-system}
spec: {defaultTrafficPolicy: {connectionPool: {http: {http2MaxRequests: 1}}}}
---
apiVersion: tulle.dev/v1
kind: TrafficPolicy
metadata: {name: busy}
spec: {host: busy, connections: {highPriority: {maxRequests: 10}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: urgent, annotations: {tulle.dev/priority: high}}
spec: {hosts: [urgent.test], http: [{route: [{destination: {host: busy, port: {number: 8080}}}]}]}
`);
  const url = `http://127.0.0.1:${caller.ready.addresses.outbound.port}`;
  const ask = (host: string, path: string) => call(`${url}${path}`, { headers: { host } });
  await eventually(async () => (await ask("urgent.test", "/now")).status === 200);
  await eventually(async () => (await ask("busy:8080", "/now")).status === 200);
  await limited("rq", "busy", 1);
  const first = ask("busy:8080", "/");
  await eventually(() => waiting.length === 1);
  expect((await ask("busy:8080", "/now")).status).toBe(503);
  expect((await ask("urgent.test", "/now")).status).toBe(200);
  waiting[0]!();
  expect((await first).status).toBe(200);
}, 30_000);
