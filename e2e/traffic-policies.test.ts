import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { call } from "./support/http.js";
import type { Gateway } from "./support/gateway.js";
import { Mesh } from "./support/mesh.js";
import { ScriptedApp } from "./support/scripted-app.js";
import { tulle } from "./support/tulle-process.js";
import { clusterOf, type Workload } from "./support/workload.js";

// TrafficPolicies as their users write them: hedging, admission control of callers, adaptive concurrency of a service.

const POLICIES = `
apiVersion: tulle.dev/v1
kind: TrafficPolicy
metadata: {name: twins}
spec:
  host: twins
  hedging: {after: 50ms}
---
apiVersion: tulle.dev/v1
kind: TrafficPolicy
metadata: {name: failing}
spec:
  host: failing
  admissionControl: {window: 5s, successRate: 90, maxRejectionPercent: 90}
---
apiVersion: tulle.dev/v1
kind: TrafficPolicy
metadata: {name: slow}
spec:
  host: slow
  adaptiveConcurrency: {minConcurrency: 4, measureRequests: 10, measureInterval: 10m}
---
apiVersion: tulle.dev/v1
kind: TrafficPolicy
metadata: {name: resting}
spec:
  host: resting
  waitForEndpoint: {timeout: 1500ms, maxRequests: 2}
`;

const AT_THE_EDGE = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, protocol: HTTP, name: http}, hosts: ["*.example.com"]}]
${["twins", "failing"]
  .map(
    (service) => `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${service}}
spec:
  hosts: [${service}.example.com]
  gateways: [public]
  http: [{route: [{destination: {host: ${service}}}]}]
`,
  )
  .join("")}---
apiVersion: tulle.dev/v1
kind: TrafficPolicy
metadata: {name: edge}
spec: {host: "*.example.com", pathNormalization: DECODE_AND_MERGE_SLASHES}
---
apiVersion: tulle.dev/v1
kind: TrafficPolicy
metadata: {name: edge-twins}
spec: {host: twins.example.com, hedging: {after: 50ms}}
---
apiVersion: tulle.dev/v1
kind: TrafficPolicy
metadata: {name: edge-failing}
spec: {host: failing.example.com, admissionControl: {window: 5s, successRate: 90, maxRejectionPercent: 90}}
`;

let mesh: Mesh;
let gateway: Gateway;
let caller: Workload;
let slowSidecar: Workload;
const apps: ScriptedApp[] = [];

beforeAll(async () => {
  mesh = await Mesh.start();
  for (let index = 0; index < 4; index++) apps.push(await ScriptedApp.listen());
  const serve = (index: number, service: string, name = service): Promise<Workload> =>
    mesh.sidecar({ service, name, args: ["--port", String(apps[index]!.port), "--service-port", "8080"] });
  [, , , slowSidecar, caller] = await Promise.all([
    serve(0, "twins", "twins-1"),
    serve(1, "twins", "twins-2"),
    serve(2, "failing"),
    serve(3, "slow"),
    mesh.sidecar({
      service: "caller",
      args: ["twins", "failing", "slow"].flatMap((service) => ["--upstream", `${service}:8080`]),
    }),
  ]);
  await mesh.apply(AT_THE_EDGE);
  gateway = await mesh.gateway({ ports: [80] });
  await Promise.all([
    gateway.knows(clusterOf("twins"), 2),
    gateway.knows(clusterOf("failing"), 1),
    caller.knows(clusterOf("twins"), 2),
    caller.knows(clusterOf("failing"), 1),
    caller.knows(clusterOf("slow"), 1),
  ]);
}, 90_000);

afterAll(async () => {
  await mesh?.end();
  for (const app of apps) app.close();
});

let runs = 0;
const command = (...args: string[]) =>
  tulle({
    args: [...args, "--server", mesh.server],
    environment: mesh.environment,
    logFile: join(mesh.directory, `command-${runs++}.log`),
  });
const ask = async (service: string, path = "/") => call(`${caller.upstream(`${service}:8080`)}${path}`);

test("tulle takes, shows and describes a TrafficPolicy, and says all that is wrong with one", async () => {
  const file = join(mesh.directory, "policies.yaml");
  writeFileSync(file, POLICIES);
  expect((await command("apply", "-f", file)).output).toContain("trafficpolicy.tulle.dev/twins created");
  const listed = (await command("get", "tp")).output;
  expect(listed).toMatch(/NAME\s+HOST\s+PORT\s+SETTINGS\s+AGE/);
  expect(listed).toMatch(/failing\s+failing\s+\*\s+admissionControl/);
  expect((await command("describe", "trafficpolicy", "slow")).output).toContain("minConcurrency");
  writeFileSync(
    file,
    "apiVersion: tulle.dev/v1\nkind: TrafficPolicy\nmetadata: {name: bad}\nspec: {host: a, hedging: {max: 9}}\n",
  );
  const { code, output } = await command("apply", "-f", file);
  expect(code).not.toBe(0);
  expect(output).toContain("spec.hedging.after");
  expect(output).toContain("spec.hedging.max");
});

test("hedging: a slow instance costs little more than the delay", async () => {
  await eventually(async () => JSON.stringify(await caller.admin("/config_dump")).includes("afterMs"));
  apps[0]!.script((_request, response) => void setTimeout(() => response.end("slow"), 1500));
  apps[1]!.script((_request, response) => void response.end("fast"));
  for (let request = 0; request < 8; request++) expect((await ask("twins")).body).toBe("fast");
  expect(apps[0]!.requests.length).toBeGreaterThan(0);
});

test("callers hold back most requests to a service that fails, say why, and come back when it is well", async () => {
  await eventually(async () =>
    JSON.stringify(await caller.admin("/config_dump")).includes("admission_control"),
  );
  const failing = apps[2]!;
  failing.script((_request, response) => {
    response.statusCode = 500;
    response.end("no");
  });
  for (let request = 0; request < 200; request++) await ask("failing");
  expect(failing.requests.length).toBeLessThan(120);
  const metrics = await caller.metrics();
  expect(Number(/^envoy_http_admission_control_rq_rejected\{.*\} (\d+)$/m.exec(metrics)?.[1])).toBe(
    200 - failing.requests.length,
  );
  const { host, port } = caller.ready.addresses.admin;
  const proxy = `http://${host}:${port}`;
  const explained = (await command("explain", "http://failing:8080/", "--proxy", proxy, "-o", "json")).output;
  expect(explained).toContain("of the last 5 s went well");
  failing.script((_request, response) => void response.end("ok"));
  await eventually(async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask("failing")));
    return answers.every(({ status }) => status === 200);
  }, 20_000);
}, 40_000);

test("a service that is slow sheds what would only wait, and takes all again when it is quick", async () => {
  await eventually(async () =>
    JSON.stringify(await slowSidecar.admin("/config_dump")).includes("adaptive_concurrency"),
  );
  const slow = apps[3]!;
  slow.script((_request, response) => void setTimeout(() => response.end("ok"), 10));
  // Measures the unburdened service.
  for (let request = 0; request < 12; request++) expect((await ask("slow")).status).toBe(200);
  const gauge = async (name: string): Promise<number> =>
    Number(
      new RegExp(`^envoy_http_adaptive_concurrency_gradient_controller_${name}\\{.*\\} (\\S+)$`, "m").exec(
        await slowSidecar.metrics(),
      )?.[1],
    );
  expect(await gauge("min_rtt_msecs")).toBeGreaterThan(5);
  expect(await gauge("min_rtt_calculation_active")).toBe(0);
  // One after the other, however many come: who waits behind 40 others takes long.
  let turn = Promise.resolve();
  slow.script((_request, response) => {
    turn = turn.then(
      () =>
        new Promise((resolve) => {
          setTimeout(() => {
            response.end("ok");
            resolve();
          }, 10);
        }),
    );
  });
  const burst = async (): Promise<number> =>
    (await Promise.all(Array.from({ length: 40 }, () => ask("slow")))).filter(({ status }) => status === 503)
      .length;
  let refused = 0;
  await eventually(async () => {
    refused += await burst();
    return refused > 40;
  }, 20_000);
  expect(await gauge("rq_blocked")).toBeGreaterThan(0);
  slow.script((_request, response) => void response.end("ok"));
  await eventually(async () => (await burst()) === 0, 20_000);
}, 60_000);

test("a sidecar whose heap is nearly full refuses a part of the requests, and tells its keepers all the same", async () => {
  const full = await mesh.sidecar({
    service: "full",
    args: ["overload.heapShedPercent=1", "overload.heapSaturatedPercent=100"]
      .flatMap((limit) => ["--limit", limit])
      .concat("--upstream", "failing:8080"),
    environment: { NODE_OPTIONS: "--max-old-space-size=64" },
  });
  await full.knows(clusterOf("failing"), 1);
  apps[2]!.script((_request, response) => void response.end("ok"));
  await eventually(async () =>
    /^envoy_overload_active\{action="stop_accepting_requests"\} 1$/m.test(await full.metrics()),
  );
  const answers = [];
  for (let request = 0; request < 60; request++)
    answers.push(await call(`${full.upstream("failing:8080")}/`));
  const refused = answers.filter(({ headers }) => headers["x-envoy-local-overloaded"] === "true");
  expect(refused.length).toBeGreaterThan(0);
  expect(refused.length).toBeLessThan(60);
  expect(new Set(refused.map(({ status }) => status))).toEqual(new Set([503]));
  expect(await full.metrics()).toMatch(
    new RegExp(`^envoy_http_downstream_rq_overload_close(?:\\{\\})? ${refused.length}$`, "m"),
  );
}, 30_000);

test("at a gateway policies hold by the host that clients name: hedging, admission control, paths", async () => {
  const port = await gateway.port(80);
  const at = (service: string, path = "/") =>
    call(`http://127.0.0.1:${port}${path}`, { headers: { host: `${service}.example.com` } });
  apps[0]!.script((_request, response) => void setTimeout(() => response.end("slow"), 1500));
  apps[1]!.script(({ url }, response) => void response.end(url));
  for (let request = 0; request < 8; request++) expect((await at("twins", "//a%2Fb")).body).toBe("/a/b");
  expect(apps[0]!.requests.length).toBeGreaterThan(0);
  const failing = apps[2]!;
  failing.script((_request, response) => {
    response.statusCode = 500;
    response.end("no");
  });
  for (let request = 0; request < 200; request++) await at("failing");
  expect(failing.requests.length).toBeLessThan(120);
}, 40_000);

test("while no instance is ready requests wait for one, and fail fast after they have waited in vain", async () => {
  const [app] = apps;
  app!.script((_request, response) => void response.end("here"));
  await mesh.client.registry.register({
    ID: "resting-1",
    Name: "resting",
    Address: "127.0.0.1",
    Port: app!.port,
    Meta: { "tulle-service-port": "8080", "tulle-protocol": "http" },
    Check: { CheckID: "resting", TTL: "10m", Status: "passing" },
  });
  await mesh.apply(POLICIES);
  const sidecar = await mesh.sidecar({ service: "patient", args: ["--upstream", "resting:8080"] });
  const ask = (): Promise<{ status: number; body: string }> => call(sidecar.upstream("resting:8080"));
  const health = async (status: "passing" | "critical", usable: number): Promise<void> => {
    await mesh.client.registry.updateCheck("resting", status);
    await sidecar.knows(clusterOf("resting"), usable);
  };
  const waiting = async (count: number): Promise<void> => {
    await eventually(async () =>
      (await sidecar.metrics()).includes(
        `tulle_endpoint_wait_active{cluster_name="${clusterOf("resting")}"} ${count}`,
      ),
    );
  };
  await eventually(async () => (await ask()).body === "here");
  await health("critical", 0);
  const waits = [ask(), ask()];
  await waiting(2);
  expect((await ask()).body).toContain("as many requests wait for one as may");
  await health("passing", 1);
  expect((await Promise.all(waits)).map(({ body }) => body)).toEqual(["here", "here"]);
  await health("critical", 0);
  expect((await ask()).body).toContain("was ready in the time that requests wait for one");
  const began = Date.now();
  const { status, body } = await ask();
  expect([status, body]).toEqual([503, expect.stringContaining("requests fail at once")]);
  expect(Date.now() - began).toBeLessThan(1000);
  await health("passing", 1);
  expect((await ask()).status).toBe(200);
}, 60_000);
