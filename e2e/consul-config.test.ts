import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { call } from "./support/http.js";
import { Mesh } from "./support/mesh.js";
import { ScriptedApp } from "./support/scripted-app.js";
import { clusterOf, type Workload } from "./support/workload.js";

// A team's configuration entries, written as Consul's clients write them, and what real sidecars make of them.

let mesh: Mesh;
let caller: Workload;
let second: Workload;
const apps: ScriptedApp[] = [];

beforeAll(async () => {
  mesh = await Mesh.start();
  const serve = async (name: string, service: string, ...more: string[]): Promise<Workload> => {
    const app = await ScriptedApp.listen();
    apps.push(app);
    app.script((request, response) => {
      response.end(`${name} ${request.url} ${String(request.headers["x-split"] ?? "")}`);
    });
    return mesh.sidecar({
      service,
      name,
      args: ["--port", String(app.port), "--service-port", "8080", ...more],
    });
  };
  [, second, , caller] = await Promise.all([
    serve("web-v1", "web", "--version", "v1"),
    serve("web-v2", "web", "--version", "v2"),
    serve("backup", "backup"),
    mesh.sidecar({
      service: "caller",
      args: ["--upstream", "web:8080", "--upstream", "old-web:8080", "--upstream", "backup:8080"],
    }),
  ]);
  await caller.knows(clusterOf("web"), 2);
}, 90_000);

afterAll(async () => {
  await mesh?.end();
  for (const app of apps) app.close();
});

const MESH_TEST = `
apiVersion: tulle.dev/v1
kind: MeshServices
metadata: {name: services}
spec: {services: [{name: caller}, {name: web, port: 80}, {name: backup, port: 80}]}
---
apiVersion: tulle.dev/v1
kind: MeshTest
metadata: {name: entries}
spec:
  given: {files: [entries.yaml]}
  cases:
  - name: everything goes to the backup
    when: {from: caller, url: "http://web:80/"}
    expect: {rule: "web splits", destination: {host: backup}, timeout: 7s}
`;

async function write(entry: object): Promise<void> {
  const body = JSON.stringify(entry);
  const answer = await call(`${mesh.server}/v1/config`, { method: "PUT", body });
  expect([answer.status, answer.body]).toEqual([200, "true"]);
}

const ask = async (path = "/", upstream = "web:8080"): Promise<string> =>
  (await call(`${caller.upstream(upstream)}${path}`)).body;

async function share(): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {};
  for (let count = 0; count < 60; count++) {
    const body = await ask();
    counts[body] = (counts[body] ?? 0) + 1;
  }
  return counts;
}

test("subsets, a split and a router take effect, with their owners in what explains them", async () => {
  await write({ Kind: "service-defaults", Name: "web", Protocol: "http" });
  await write({
    Kind: "service-resolver",
    Name: "web",
    DefaultSubset: "v1",
    Subsets: {
      v1: { Filter: "Service.Meta.version == v1" },
      v2: { Filter: '"v2" in Service.Tags and Service.Meta.version != v1' },
    },
    Failover: { v2: { Targets: [{ Service: "backup" }] } },
  });
  await eventually(async () => Object.keys(await share()).join() === "web-v1 / ");
  await write({
    kind: "service-splitter",
    name: "web",
    splits: [
      { weight: 50, service_subset: "v1", request_headers: { set: { "x-split": "one" } } },
      { weight: 50, service_subset: "v2", request_headers: { set: { "x-split": "two" } } },
    ],
  });
  await eventually(async () => {
    const { "web-v1 / one": one = 0, "web-v2 / two": two = 0 } = await share();
    return one + two === 60 && one > 10 && two > 10;
  });
  await write({
    Kind: "service-router",
    Name: "web",
    Routes: [
      {
        Match: { HTTP: { PathPrefix: "/admin/" } },
        Destination: { Service: "backup", PrefixRewrite: "/", RequestTimeout: "5s" },
      },
    ],
  });
  await eventually(async () => (await ask("/admin/users")) === "backup /users ");
  const { explanation } = await mesh.client.explain({
    from: "caller",
    method: "GET",
    url: "http://web:8080/admin/users",
    headers: [],
  });
  expect(explanation).toMatchObject({ route: { owner: { kind: "ServiceRouter", rule: "routes[0]" } } });
  const { output } = await mesh.tulle(["get", "servicesplitters", "--server", mesh.server]);
  expect(output).toMatch(/web\s+50% web:v1,50% web:v2/);
}, 60_000);

test("when the subset's last instance goes, the next target takes over", async () => {
  await write({ Kind: "service-splitter", Name: "web", Splits: [{ Weight: 100, ServiceSubset: "v2" }] });
  await eventually(async () => Object.keys(await share()).join() === "web-v2 / ");
  await second.process.stop();
  await eventually(async () => (await ask()) === "backup / ");
  const bodies = new Set<string>();
  for (let count = 0; count < 20; count++) bodies.add(await ask());
  expect([...bodies]).toEqual(["backup / "]);
}, 60_000);

test("a redirect makes a service of a name that nobody has registered; a deletion takes it away again", async () => {
  await write({ Kind: "service-resolver", Name: "old-web", Redirect: { Service: "backup" } });
  await eventually(async () => (await ask("/", "old-web:8080")) === "backup / ");
  const chain = await call(`${mesh.server}/v1/discovery-chain/old-web`);
  expect(JSON.parse(chain.body)).toMatchObject({
    Chain: { StartNode: "resolver:backup.default.default.dc1" },
  });
  await call(`${mesh.server}/v1/config/service-resolver/old-web`, { method: "DELETE" });
  await eventually(async () => (await call(caller.upstream("old-web:8080"))).status !== 200);
}, 60_000);

test("an instance is limited by its service's defaults", async () => {
  await write({
    Kind: "service-defaults",
    Name: "backup",
    RateLimits: {
      InstanceLevel: { RequestsPerSecond: 1000, Routes: [{ PathPrefix: "/limited", RequestsPerSecond: 1 }] },
    },
  });
  const statuses = async (path: string): Promise<readonly number[]> => {
    const url = `${caller.upstream("backup:8080")}${path}`;
    return (await Promise.all(Array.from({ length: 10 }, () => call(url)))).map(({ status }) => status);
  };
  await eventually(
    async () => (await statuses("/limited/a?b")).filter((status) => status === 429).length >= 8,
  );
  expect(await statuses("/free")).toEqual(Array.from({ length: 10 }, () => 200));
}, 60_000);

test("files in Consul's own form are applied, analysed and explained offline", async () => {
  const file = join(mesh.directory, "entries.yaml");
  writeFileSync(
    file,
    `Kind: service-resolver
Name: backup
RequestTimeout: 7s
---
Kind: service-defaults
Name: backup
MaxInboundConnections: 9
---
Kind: service-splitter
Name: web
Splits: [{Weight: 100, Service: backup}]
`,
  );
  const applied = await mesh.tulle(["apply", "-f", file, "--server", mesh.server]);
  expect(applied.output).toContain("serviceresolver.consul.hashicorp.com/backup created");
  expect(applied.output).toContain("servicesplitter.consul.hashicorp.com/web configured");
  const analyzed = await mesh.tulle(["analyze", file]);
  expect(analyzed.output).toContain("spec.maxInboundConnections");
  const tests = join(mesh.directory, "entries.test.yaml");
  writeFileSync(tests, MESH_TEST);
  const from = ["--from", "caller", "-f", file, "-f", tests];
  const explained = await mesh.tulle(["explain", "http://web:80/", ...from]);
  expect(explained.output).toContain("ServiceSplitter default/web splits");
  expect(await mesh.tulle(["test", tests])).toMatchObject({ code: 0 });
  const status = await call(
    `${mesh.server}/apis/consul.hashicorp.com/v1alpha1/namespaces/default/servicedefaults/backup`,
  );
  expect(status.body).toContain("TUL0001");
}, 60_000);
