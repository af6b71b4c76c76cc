import type { RequestListener } from "node:http";

import { findKind } from "@tulle/api";
import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";

import { call, type CallOptions } from "./support/http.js";
import { Mesh } from "./support/mesh.js";
import { ScriptedApp } from "./support/scripted-app.js";
import { clusterOf, type Workload } from "./support/workload.js";

// Timeouts, retries, budgets and hedging as their users write them, through real sidecars. `web` has two instances, and
// `middle` one, whose application calls `web` through its own sidecar.

let mesh: Mesh;
let caller: Workload;
let middle: Workload;
let one: ScriptedApp;
let other: ScriptedApp;
let middleApp: ScriptedApp;

beforeAll(async () => {
  [mesh, one, other, middleApp] = await Promise.all([
    Mesh.start([
      "--default-http-retry-policy",
      '{"attempts": 1, "retryOn": "connect-failure,418"}',
      "--default-inbound-http-retry-policy",
      '{"attempts": 1, "retryOn": "reset-before-request,421"}',
    ]),
    ScriptedApp.listen(),
    ScriptedApp.listen(),
    ScriptedApp.listen(),
  ]);
  const at = (app: ScriptedApp): readonly string[] => ["--port", String(app.port), "--service-port", "8080"];
  [, , middle, caller] = await Promise.all([
    mesh.sidecar({ service: "web", name: "web-1", args: at(one) }),
    mesh.sidecar({ service: "web", name: "web-2", args: at(other) }),
    mesh.sidecar({ service: "middle", args: [...at(middleApp), "--upstream", "web:8080"] }),
    mesh.sidecar({
      service: "caller",
      args: ["--upstream", "web:8080", "--upstream", "middle:8080"],
    }),
  ]);
  await caller.knows(clusterOf("web"), 2);
  await caller.knows(clusterOf("middle"), 1);
  await middle.knows(clusterOf("web"), 2);
}, 90_000);

beforeEach(() => {
  scriptBoth((_request, response) => void response.end("ok"));
});

afterAll(async () => {
  await mesh?.end();
  for (const app of [one, other, middleApp]) app?.close();
});

function scriptBoth(listener: RequestListener): void {
  one.script(listener);
  other.script(listener);
}

const requests = (): number => one.requests.length + other.requests.length;

let generation = 0;

/** Applies the only rule of a service and waits until the sidecar of `client` has it. */
async function rule(service: string, http: string, annotations = "", client = caller): Promise<void> {
  const name = `rule-${++generation}`;
  await mesh.apply(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${service}, annotations: {${annotations}}}
spec:
  hosts: [${service}]
  http:
  - {name: ${name}, ${http}, route: [{destination: {host: ${service}}}]}
`);
  await eventually(async () => JSON.stringify(await client.admin("/config_dump")).includes(`"${name}"`));
}

const ask = (options: CallOptions = {}, service = "web") => call(caller.upstream(`${service}:8080`), options);

const POST: CallOptions = { method: "POST", body: "x" };

test("the mesh's default for retries holds where no VirtualService says otherwise", async () => {
  scriptBoth((_request, response) => {
    response.statusCode = requests() === 1 ? 418 : 200;
    response.end();
  });
  expect((await ask(POST)).status).toBe(200);
  expect(requests()).toBe(2);
});

test("timeout: 504, the next hop is told how long it has, and what it does is cancelled", async () => {
  await rule("web", "timeout: 300ms");
  let cancelled = 0;
  scriptBoth((request) => request.socket.on("close", () => cancelled++));
  const { status, body } = await ask();
  expect([status, body]).toEqual([504, expect.stringContaining("timeout of 300 ms")]);
  const [request] = [...one.requests, ...other.requests];
  expect(Number(request?.headers["x-envoy-expected-rq-timeout-ms"])).toBeLessThanOrEqual(300);
  await eventually(() => cancelled === 1);
});

test("a request with a deadline of its own keeps it, where the route has none", async () => {
  await rule("web", "timeout: 0s");
  scriptBoth(() => undefined);
  const headers = { "x-envoy-upstream-rq-timeout-ms": "200" };
  expect((await ask({ headers })).status).toBe(504);
  expect(requests()).toBe(1);
});

test.each([
  ['retries: {attempts: 3, retryOn: "503"}', 503, POST, 4],
  ['retries: {attempts: 3, retryOn: "5xx"}', 503, POST, 1],
  ['retries: {attempts: 3, retryOn: "5xx"}', 500, {}, 4],
  ['retries: {attempts: 3, retryOn: "gateway-error"}', 500, {}, 1],
  ['retries: {attempts: 2, retryOn: "retriable-4xx"}', 409, POST, 3],
  ["retries: {attempts: 0}", 503, {}, 1],
  ["retries: {attempts: 3}", 503, {}, 1],
  ['retries: {attempts: 2, retryOn: "5xx", backoff: 5ms}', 502, {}, 3],
])("%s: after status %i", async (retries, status, options, tries) => {
  await rule("web", retries);
  scriptBoth((_request, response) => {
    response.statusCode = status;
    response.end();
  });
  expect((await ask(options)).status).toBe(status);
  expect(requests()).toBe(tries);
});

test("a POST is repeated after any failure where the VirtualService says so", async () => {
  await rule("web", 'retries: {attempts: 2, retryOn: "5xx"}', 'tulle.dev/retry-non-idempotent: "true"');
  scriptBoth((_request, response) => {
    response.statusCode = 500;
    response.end();
  });
  await ask(POST);
  expect(requests()).toBe(3);
});

test("an application asks for retries of its own request", async () => {
  await rule("web", "retries: {attempts: 0}");
  scriptBoth((_request, response) => {
    response.statusCode = requests() < 3 ? 500 : 200;
    response.end();
  });
  const headers = { "x-envoy-retry-on": "5xx", "x-envoy-max-retries": "5" };
  expect((await ask({ headers })).status).toBe(200);
  expect(requests()).toBe(3);
});

test("the mesh's own retries towards applications are made by the callee's sidecar", async () => {
  await rule("web", "retries: {attempts: 0}");
  scriptBoth((_request, response) => {
    response.statusCode = requests() === 1 ? 421 : 200;
    response.end();
  });
  expect((await ask()).status).toBe(200);
  // Both tries came to the same instance.
  expect(requests()).toBe(2);
  expect(one.requests.length * other.requests.length).toBe(0);
});

test("perTryTimeout: a try that takes too long is repeated, on the other instance", async () => {
  await rule("web", 'retries: {attempts: 2, perTryTimeout: 150ms, retryOn: "5xx"}');
  one.script(() => undefined);
  other.script((_request, response) => void response.end("other"));
  for (let i = 0; i < 6; i++) expect((await ask()).body).toBe("other");
  expect(one.requests.length).toBeGreaterThan(0);
});

test("retryIgnorePreviousHosts and retryRemoteLocalities: each try goes to an instance that was not tried", async () => {
  await rule("web", 'retries: {attempts: 1, retryOn: "503", retryRemoteLocalities: true}');
  one.script((_request, response) => {
    response.statusCode = 503;
    response.end();
  });
  for (let i = 0; i < 10; i++) expect((await ask()).status).toBe(200);
});

test("an answer's Retry-After is waited for when it is short, and taken for a no when it is long", async () => {
  await rule("web", 'retries: {attempts: 1, retryOn: "503"}');
  let seconds = "1";
  scriptBoth((_request, response) => {
    response.statusCode = requests() % 2 === 1 ? 503 : 200;
    response.setHeader("retry-after", seconds);
    response.end();
  });
  const before = performance.now();
  expect((await ask()).status).toBe(200);
  expect(performance.now() - before).toBeGreaterThanOrEqual(1000);
  seconds = "3600";
  expect((await ask()).status).toBe(503);
  expect(requests()).toBe(3);
});

test("no POST is carried out twice, whatever breaks", async () => {
  await rule("web", 'retries: {attempts: 3, retryOn: "5xx,reset,connect-failure"}');
  const carriedOut = new Map<string, number>();
  scriptBoth((request, response) => {
    const order = String(request.headers["x-order"]);
    carriedOut.set(order, (carriedOut.get(order) ?? 0) + 1);
    switch (requests() % 4) {
      case 0:
        request.socket.destroy();
        break;
      case 1:
        response.statusCode = 500;
        response.end();
        break;
      default:
        response.end("ok");
    }
  });
  const orders = Array.from({ length: 200 }, (_, i) => String(i));
  await Promise.all(orders.map((order) => ask({ ...POST, headers: { "x-order": order } })));
  const twice = [...carriedOut].filter(([, times]) => times > 1);
  expect(twice).toEqual([]);
  expect(carriedOut.size).toBe(orders.length);
}, 30_000);

test("down a chain a failure is retried by one hop, and not by each", async () => {
  await rule("web", 'retries: {attempts: 2, retryOn: "503"}', "", middle);
  await rule("middle", 'retries: {attempts: 2, retryOn: "503"}');
  scriptBoth((_request, response) => {
    response.statusCode = 503;
    response.end("down");
  });
  middleApp.script((request, response) => {
    const id = String(request.headers["x-request-id"]);
    void call(middle.upstream("web:8080"), { headers: { "x-request-id": id } }).then((answer) => {
      response.statusCode = answer.status;
      response.end(answer.body);
    });
  });
  expect((await ask({}, "middle")).body).toBe("down");
  expect(requests()).toBe(3);
  expect(middleApp.requests).toHaveLength(1);
});

test("hedging: a slow instance costs little more than the delay, and what may not be repeated gets none", async () => {
  await rule("web", "retries: {attempts: 0}", "tulle.dev/hedge-after: 50ms");
  one.script((_request, response) => void setTimeout(() => response.end("slow"), 1500));
  other.script((_request, response) => void response.end("fast"));
  for (let i = 0; i < 8; i++) expect((await ask()).body).toBe("fast");
  expect(one.requests.length).toBeGreaterThan(0);
  const bodies = await Promise.all(Array.from({ length: 6 }, async () => (await ask(POST)).body));
  expect(bodies).toContain("slow");
}, 30_000);

// The last: it leaves a budget that is spent.
test("Linkerd's annotations: what an HTTPRoute says is tried again, and the whole stream has its time", async () => {
  const { resources } = mesh.client;
  await resources.delete(findKind("networking.istio.io", "VirtualService")!, { name: "web" });
  await mesh.apply(`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: web
  annotations:
    retry.linkerd.io/http: 500-503
    retry.linkerd.io/limit: "2"
    timeout.linkerd.io/request: 700ms
spec:
  parentRefs: [{group: "", kind: Service, name: web}]
  rules: [{name: annotated, backendRefs: [{name: web, port: 8080}]}]
`);
  await eventually(async () => JSON.stringify(await caller.admin("/config_dump")).includes('"annotated"'));
  scriptBoth((_request, response) => {
    response.statusCode = requests() < 3 ? 502 : 200;
    response.end();
  });
  expect((await ask(POST)).status).toBe(200);
  expect(requests()).toBe(3);
  scriptBoth((_request, response) => {
    response.statusCode = requests() < 2 ? 504 : 200;
    response.end();
  });
  expect((await ask()).status).toBe(504);
  expect(requests()).toBe(1);
  scriptBoth(() => undefined);
  const began = Date.now();
  const { status, body } = await ask();
  expect([status, body]).toEqual([504, expect.stringContaining("700 ms")]);
  expect(Date.now() - began).toBeLessThan(3000);
  await resources.delete(findKind("gateway.networking.k8s.io", "HTTPRoute")!, { name: "web" });
}, 30_000);

test("retries of what was sent end with the budget of the DestinationRule", async () => {
  await mesh.apply(`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec:
  host: web
  trafficPolicy: {retryBudget: {percent: 20, minRetryConcurrency: 1, budgetInterval: 60s}}
`);
  await rule("web", 'retries: {attempts: 1, retryOn: "503"}');
  await eventually(async () =>
    JSON.stringify(await caller.admin("/config_dump")).includes("retryBudgetIntervalMs"),
  );
  scriptBoth((_request, response) => {
    response.statusCode = 503;
    response.end();
  });
  for (let i = 0; i < 50; i++) await ask();
  expect(requests()).toBeGreaterThan(50);
  // A fifth, and what was counted before this test.
  expect(requests()).toBeLessThanOrEqual(50 + 25);
});
