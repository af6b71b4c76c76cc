import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { call } from "./support/http.js";
import { Mesh } from "./support/mesh.js";
import { register, Servers } from "./support/servers.js";
import { clusterOf, urlOf, type Workload } from "./support/workload.js";

// Endpoints that fail are ejected by the sidecar of their caller, whatever the registry says of them.

const SERVICES = ["answers500", "refuses", "unreachable", "percent", "listed"] as const;
const servers = new Servers();
let mesh: Mesh;
let caller: Workload;

beforeAll(async () => {
  mesh = await Mesh.start();
  const upstreams = SERVICES.flatMap((service) => ["--upstream", `${service}:8080`]);
  caller = await mesh.sidecar({ service: "caller", args: upstreams });
}, 60_000);

afterAll(async () => {
  servers.close();
  await mesh.end();
});

async function rule(host: string, outlierDetection: string): Promise<void> {
  await mesh.apply(`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ${host}}
spec:
  host: ${host}
  trafficPolicy:
    outlierDetection: {${outlierDetection}}
`);
}

/** Instances of a service that answer with their name, or with 500 as long as they are told to. */
async function instances(
  service: string,
  count: number,
): Promise<{ names: readonly string[]; broken: Set<string> }> {
  const names = Array.from({ length: count }, (_, index) => `${service}-${index}`);
  const broken = new Set<string>();
  const ports = await Promise.all(
    names.map((name) =>
      servers.http((_request, response) => {
        response.statusCode = broken.has(name) ? 500 : 200;
        response.end(name);
      }),
    ),
  );
  await register(mesh, service, ports);
  await caller.knows(clusterOf(service), count);
  return { names, broken };
}

const ask = (service: string): Promise<{ status: number; body: string }> =>
  call(caller.upstream(`${service}:8080`));

async function askTimes(service: string, times: number): Promise<readonly string[]> {
  const bodies: string[] = [];
  for (let i = 0; i < times; i++) bodies.push((await ask(service)).body);
  return bodies;
}

async function ejected(service: string): Promise<number> {
  const { cluster_statuses } = (await caller.admin("/clusters?format=json")) as ClusterDump;
  const hosts = cluster_statuses.find(({ name }) => name === clusterOf(service))?.host_statuses ?? [];
  return hosts.filter(({ health_status }) => health_status.failed_outlier_check === true).length;
}

interface ClusterDump {
  readonly cluster_statuses: readonly {
    readonly name: string;
    readonly host_statuses: readonly {
      readonly health_status: { readonly failed_outlier_check?: boolean };
    }[];
  }[];
}

test("an instance that answers 500 is ejected, the others take all, and it comes back after its time", async () => {
  const { names, broken } = await instances("answers500", 3);
  await rule(
    "answers500",
    "consecutive5xxErrors: 3, interval: 200ms, baseEjectionTime: 1s, maxEjectionPercent: 50",
  );
  broken.add(names[0]!);
  await eventually(async () => {
    await ask("answers500");
    return (await ejected("answers500")) === 1;
  });
  expect(new Set(await askTimes("answers500", 30))).toEqual(new Set([names[1]!, names[2]!]));
  expect(caller.process.output).toMatch(
    /warn  endpoint ejected .*answers500.*3 failures \(5xx\) one after the other/,
  );
  expect(await caller.metrics()).toMatch(
    /envoy_cluster_outlier_detection_ejections_enforced_total\{cluster_name="[^"]*answers500[^"]*"\} 1/,
  );
  broken.clear();
  await eventually(async () => (await ask("answers500")).body === names[0]!);
  expect(caller.process.output).toContain("ejected endpoint returned");
}, 30_000);

test("the statuses that a rule lists are what counts", async () => {
  const { names, broken } = await instances("listed", 2);
  await rule(
    "listed",
    "consecutive5xxErrors: 3, interval: 200ms, baseEjectionTime: 1s, maxEjectionPercent: 50, outlierDetectionHttpErrorCodes: [500]",
  );
  broken.add(names[0]!);
  await eventually(async () => {
    await ask("listed");
    return (await ejected("listed")) === 1;
  });
  expect(caller.process.output).toMatch(/listed.*3 failures \(500\) one after the other/);
  broken.clear();
  await rule(
    "listed",
    "consecutive5xxErrors: 3, interval: 200ms, baseEjectionTime: 300ms, maxEjectionPercent: 50, outlierDetectionHttpErrorCodes: [404]",
  );
  await eventually(async () => new Set(await askTimes("listed", 10)).size === 2);
  broken.add(names[0]!);
  await askTimes("listed", 40);
  expect(await ejected("listed")).toBe(0);
}, 30_000);

test("an instance that refuses connections is left out without any rule", async () => {
  const { names } = await instances("refuses", 1);
  const dead = await servers.closedPort();
  await mesh.client.registry.register({
    ID: "refuses-dead",
    Name: "refuses",
    Address: "127.0.0.1",
    Port: dead,
    Meta: { "tulle-service-port": "8080", "tulle-protocol": "http" },
    Check: { CheckID: "check-refuses-dead", TTL: "10m", Status: "passing" },
  });
  await caller.knows(clusterOf("refuses"), 2);
  await eventually(async () => {
    expect((await ask("refuses")).body).toBe(names[0]!);
    return (await ejected("refuses")) === 1;
  });
}, 30_000);

test("of instances that all refuse connections the last one is not ejected", async () => {
  await register(mesh, "unreachable", [await servers.closedPort(), await servers.closedPort()]);
  await caller.knows(clusterOf("unreachable"), 2);
  await eventually(async () => {
    await ask("unreachable");
    return (await ejected("unreachable")) === 1;
  });
  for (let i = 0; i < 10; i++) expect((await ask("unreachable")).body).toContain("ECONNREFUSED");
  expect(await ejected("unreachable")).toBe(1);
}, 30_000);

test("with worker threads they count together, and all leave out what is ejected or fails its check", async () => {
  const threads = await mesh.sidecar({
    service: "threads",
    args: ["--workers", "2", "--upstream", "shared:8080", "--upstream", "checked:8080"],
  });
  const names = ["shared-bad", "shared-good"];
  const [bad, good, sick] = await Promise.all([
    servers.http((_request, response) => {
      response.statusCode = 500;
      response.end(names[0]);
    }),
    servers.http((_request, response) => response.end(names[1])),
    servers.http((request, response) => {
      response.statusCode = request.url === "/healthz" ? 503 : 200;
      response.end("sick");
    }),
  ]);
  await register(mesh, "shared", [bad, good]);
  await register(mesh, "checked", [sick, good]);
  await threads.knows(clusterOf("shared"), 2);
  await rule(
    "shared",
    "consecutive5xxErrors: 7, interval: 1s, baseEjectionTime: 60s, maxEjectionPercent: 50",
  );
  await mesh.apply(`
apiVersion: tulle.dev/v1
kind: HealthCheck
metadata: {name: checked}
spec: {host: checked, interval: 100ms, noTrafficInterval: 100ms, http: {path: /healthz}}
`);
  await eventually(async () => {
    await Promise.all(Array.from({ length: 8 }, () => call(threads.upstream("shared:8080"))));
    return threads.process.output.includes("endpoint ejected");
  });
  await eventually(() => threads.process.output.includes("endpoint is unhealthy"));
  for (let i = 0; i < 40; i++) {
    expect((await call(threads.upstream("shared:8080"))).body).toBe(names[1]);
    expect((await call(threads.upstream("checked:8080"))).body).toBe(names[1]);
  }
  await threads.process.stop();
}, 30_000);

test("with failure accrual an instance is away for its penalty, and then one request decides", async () => {
  const threads = await mesh.sidecar({
    service: "accrual",
    args: ["--workers", "2", "--upstream", "accrues:8080"],
  });
  const seen: number[] = [];
  let broken = true;
  const bad = await servers.http((_request, response) => {
    seen.push(Date.now());
    response.statusCode = broken ? 500 : 200;
    // Others would come in the meantime.
    setTimeout(() => response.end("bad"), 50);
  });
  const good = await servers.http((_request, response) => response.end("good"));
  await register(mesh, "accrues", [bad, good], "http", {
    "balancer.linkerd.io/failure-accrual": "consecutive",
    "balancer.linkerd.io/failure-accrual-consecutive-max-failures": "3",
    "balancer.linkerd.io/failure-accrual-consecutive-min-penalty": "400ms",
    "balancer.linkerd.io/failure-accrual-consecutive-max-penalty": "800ms",
    "balancer.linkerd.io/failure-accrual-consecutive-jitter-ratio": "0",
  });
  await threads.knows(clusterOf("accrues"), 2);
  const ask8 = (): Promise<{ status: number; body: string }[]> =>
    Promise.all(Array.from({ length: 8 }, () => call(threads.upstream("accrues:8080"))));
  await eventually(async () => {
    await ask8();
    return threads.process.output.includes("endpoint ejected");
  });
  const ejections = (): number => (threads.process.output.match(/endpoint ejected/g) ?? []).length;
  const before = seen.length;
  await eventually(async () => {
    await ask8();
    return ejections() >= 3;
  });
  // Each time that its penalty was over, one request of a round of eight. What is logged comes a little later than the answers.
  const probes = seen.length - before;
  expect(probes).toBeGreaterThanOrEqual(2);
  await eventually(() => ejections() === probes + 1);
  expect(seen[before + 1]! - seen[before]!).toBeGreaterThanOrEqual(800);
  expect(threads.process.output).toMatch(/endpoint ejected .*accrues.*the request on probation failed/);
  expect(threads.process.output).toMatch(/ejected endpoint on probation .*accrues/);
  // Without requests it stays so.
  await eventually(async () => {
    const { body } = await call(`${urlOf(threads.ready.addresses.admin)}/clusters`);
    return body.includes("/failed_outlier_check/on_probation");
  });
  broken = false;
  await eventually(async () => (await ask8()).some(({ body }) => body === "bad"));
  await eventually(() => threads.process.output.includes("the request on probation succeeded"));
  await eventually(async () => (await ask8()).filter(({ body }) => body === "bad").length > 1);
  await threads.process.stop();
}, 30_000);

test("no more than maxEjectionPercent are ejected", async () => {
  const { names, broken } = await instances("percent", 4);
  await rule(
    "percent",
    "consecutive5xxErrors: 2, interval: 1s, baseEjectionTime: 60s, maxEjectionPercent: 50",
  );
  for (const name of names) broken.add(name);
  await eventually(async () => {
    await ask("percent");
    return (await ejected("percent")) === 2;
  });
  await askTimes("percent", 40);
  expect(await ejected("percent")).toBe(2);
  expect(await caller.metrics()).toMatch(
    /envoy_cluster_outlier_detection_ejections_overflow\{cluster_name="[^"]*percent[^"]*"\} [1-9]/,
  );
}, 30_000);
