// What proxies have, beside what is registered: seen when it differs, and put right.
import { readFileSync, writeFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { join } from "node:path";

import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { eventually } from "@tulle/testkit";
import { ClusterLoadAssignmentSchema } from "@tulle/xds/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import { afterAll, beforeAll, expect, test } from "vitest";

import { call } from "./support/http.js";
import { Mesh } from "./support/mesh.js";
import { register, Servers } from "./support/servers.js";
import { clusterOf, type Workload } from "./support/workload.js";

const UPSTREAMS = ["--upstream", "api:8080"];

const servers = new Servers();
const waiting: { readonly name: string; readonly response: ServerResponse }[] = [];
/** Open connections by instance. */
const connections = new Map<string, number>();
let ports: readonly number[];
let mesh: Mesh;
let steady: Workload;

beforeAll(async () => {
  mesh = await Mesh.start(["--reconcile-interval", "3s"]);
  ports = await Promise.all(
    ["api-0", "api-1"].map((name) =>
      servers.http((request, response) => {
        count(name, request.socket);
        if (request.url === "/wait") waiting.push({ name, response });
        else response.end(name);
      }),
    ),
  );
  await register(mesh, "api", ports);
  steady = await mesh.sidecar({ service: "steady", args: UPSTREAMS });
  await steady.knows(clusterOf("api"), 2);
}, 60_000);

afterAll(async () => {
  servers.close();
  await mesh?.end();
});

const counted = new WeakSet<Socket>();

function count(name: string, socket: Socket): void {
  if (counted.has(socket)) return;
  counted.add(socket);
  connections.set(name, (connections.get(name) ?? 0) + 1);
  socket.once("close", () => connections.set(name, (connections.get(name) ?? 0) - 1));
}

async function controlMetric(name: string): Promise<number> {
  const { body } = await call(`${mesh.server}/metrics`);
  const [line = ""] = body.split("\n").filter((each) => each.startsWith(name));
  return Number(line.slice(line.lastIndexOf(" ")));
}

test("tulle endpoints shows what is registered and what each proxy has of it", async () => {
  const { code, out } = await mesh.ask("endpoints", "api");
  expect(code).toBe(0);
  expect(out).toContain("api.default, as it is registered");
  expect(out).toMatch(new RegExp(`api-0 +127\\.0\\.0\\.1:${ports[0]} +passing .*check-api-0 passing`));
  expect(out).toMatch(
    /steady\.default +outbound\|8080\|\|api\.default\.svc\.cluster\.local +synced +\w+ +\S+ +2$/m,
  );
  expect(await mesh.ask("endpoints", "api", "--diff")).toMatchObject({
    code: 0,
    out: "No differences: 1 proxy compared with the registry.\n",
  });
  const json = JSON.parse((await mesh.ask("endpoints", "--proxy", "steady.default", "-o", "json")).out) as {
    proxies: { sets: { endpoints: { address: string }[] }[] }[];
  };
  expect(json.proxies[0]?.sets[0]?.endpoints.map(({ address }) => address).sort()).toEqual(
    ports.map((port) => `127.0.0.1:${port}`).sort(),
  );
});

test("tulle endpoints says when there is no such service or proxy", async () => {
  const nothing = await mesh.ask("endpoints", "nowhere");
  expect(nothing).toMatchObject({ code: 4, err: expect.stringContaining("no service nowhere") as string });
  const nobody = await mesh.ask("endpoints", "api", "--proxy", "nobody");
  expect(nobody).toMatchObject({ code: 4, err: expect.stringContaining("no proxy nobody") as string });
});

test("a sidecar that stands still while an instance leaves is seen to be stale, and clean once it goes on", async () => {
  const frozen = await mesh.sidecar({ service: "frozen", args: UPSTREAMS });
  await frozen.knows(clusterOf("api"), 2);
  process.kill(-frozen.process.pid, "SIGSTOP");
  try {
    await mesh.client.registry.deregister("api-1");
    const { code, out } = await mesh.ask("endpoints", "api", "--diff");
    expect(code).toBe(1);
    expect(out).toMatch(
      /frozen\.default +outbound\|8080\S+ +- +unknown +it has not acknowledged the newest endpoints/,
    );
    expect(out).not.toContain("steady.default");
  } finally {
    process.kill(-frozen.process.pid, "SIGCONT");
  }
  await eventually(async () => (await mesh.ask("endpoints", "api", "--diff")).code === 0);
  expect(await frozen.endpoints(clusterOf("api"))).toEqual([`127.0.0.1:${ports[0]}`]);
  await register(mesh, "api", ports);
  await frozen.knows(clusterOf("api"), 2);
  await frozen.process.stop();
}, 60_000);

test("endpoints that a sidecar has wrong, though it tells the right version, are seen and put right", async () => {
  const options = { service: "altered", args: UPSTREAMS };
  const before = await mesh.sidecar(options);
  await before.knows(clusterOf("api"), 2);
  const file = join(mesh.directory, "state", "altered", "configuration.json");
  await before.process.stop();
  alterPort(file, ports[0]!, 1);

  const altered = await mesh.sidecar(options);
  expect(await altered.endpoints(clusterOf("api"))).toContain("127.0.0.1:1");
  const mismatches = await controlMetric('tulle_reconcile_mismatch_total{at="proxy"}');
  const { code, out } = await mesh.ask("endpoints", "api", "--diff");
  expect(code).toBe(1);
  expect(out).toMatch(/altered\.default +\S+ +127\.0\.0\.1:1 +stale/);
  expect(out).toMatch(new RegExp(`altered\\.default +\\S+ +127\\.0\\.0\\.1:${ports[0]} +missing`));

  await eventually(async () => !(await altered.endpoints(clusterOf("api"))).includes("127.0.0.1:1"), 20_000);
  expect(await altered.endpoints(clusterOf("api"))).toEqual(ports.map((port) => `127.0.0.1:${port}`).sort());
  expect(await mesh.ask("endpoints", "api", "--diff")).toMatchObject({ code: 0 });
  expect(await controlMetric('tulle_reconcile_mismatch_total{at="proxy"}')).toBe(mismatches + 1);
  expect(mesh.control.output).toMatch(
    /warn {2}a proxy does not hold what it was sent; it is sent again .*altered/,
  );
  await eventually(async () => (await controlMetric("tulle_reconcile_mismatched_proxies")) === 0, 10_000);
  const confirmed = /^tulle_resources_confirmed_timestamp_seconds\{type="ClusterLoadAssignment"\} \d/m;
  await eventually(async () => confirmed.test(await altered.metrics()), 10_000);
  expect(await altered.metrics()).toMatch(
    /^tulle_endpoint_set_changed_timestamp_seconds\{cluster_name="outbound\|8080\|\|api\.default[^}]*\} \d/m,
  );
  await altered.process.stop();
}, 60_000);

/** Moves an endpoint to another port in what a sidecar keeps on disk. The version stays. */
function alterPort(file: string, from: number, to: number): void {
  const kept = JSON.parse(readFileSync(file, "utf8")) as {
    resources: { typeUrl: string; name: string; bytes: string }[];
  };
  for (const resource of kept.resources) {
    if (resource.name !== clusterOf("api") || !resource.typeUrl.endsWith("ClusterLoadAssignment")) continue;
    const message = fromBinary(ClusterLoadAssignmentSchema, Buffer.from(resource.bytes, "base64"));
    for (const { hostIdentifier } of message.endpoints.flatMap(({ lbEndpoints }) => lbEndpoints)) {
      const at = hostIdentifier.case === "endpoint" ? hostIdentifier.value.address?.address : undefined;
      if (at?.case !== "socketAddress" || at.value.portSpecifier.value !== from) continue;
      at.value.portSpecifier = { case: "portValue", value: to };
    }
    resource.bytes = Buffer.from(toBinary(ClusterLoadAssignmentSchema, message)).toString("base64");
  }
  writeFileSync(file, JSON.stringify(kept));
}

test("an instance that leaves ends what it has begun, gets nothing new, and is back at once when it returns", async () => {
  const url = steady.upstream("api:8080");
  const slow = call(`${url}/wait`);
  await eventually(() => waiting.length === 1);
  const { name, response } = waiting[0]!;
  response.write("begun at ");
  const other = name === "api-0" ? "api-1" : "api-0";
  await mesh.client.registry.deregister(name);
  await steady.knows(clusterOf("api"), 1);
  for (let i = 0; i < 20; i++) expect((await call(url)).body).toBe(other);
  // Its idle connections are closed, the one in use is not.
  await eventually(() => connections.get(name) === 1);
  response.end(name);
  expect((await slow).body).toBe(`begun at ${name}`);
  await eventually(() => connections.get(name) === 0);

  await register(mesh, "api", ports);
  await steady.knows(clusterOf("api"), 2);
  await eventually(async () => (await call(url)).body === name);
}, 30_000);
