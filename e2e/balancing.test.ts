import { findKind } from "@tulle/api";
import type { Explanation } from "@tulle/engine";
import { eventually } from "@tulle/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

import { call, type Answer } from "./support/http.js";
import { Mesh } from "./support/mesh.js";
import { clusterOf, type Workload } from "./support/workload.js";

// How requests find their endpoint: by hash, by session, by place, and slowly where it is new. One service, whose
// instances ask for sessions in zones of their own; each test says by a DestinationRule what it is about.

const SESSION = ["--label", "istio.io/persistent-session=home"];

let mesh: Mesh;
let caller: Workload;
let near: Workload;
/** By instance id. */
const instances = new Map<string, Workload>();

beforeAll(async () => {
  mesh = await Mesh.start();
  caller = await mesh.sidecar({
    service: "caller",
    args: ["--upstream", "web:8080", "--label", "istio-locality=eu.a"],
  });
  [near] = await Promise.all([
    start("web-near", "eu.a"),
    start("web-far", "eu.b"),
    start("web-else", "us.a"),
  ]);
  await caller.knows(clusterOf("web"), 3);
}, 90_000);

afterAll(() => mesh.end());

async function start(name: string, locality: string, environment = {}): Promise<Workload> {
  const args = [...SESSION, "--label", `istio-locality=${locality}`];
  const started = await mesh.run({ service: "web", name, args, environment });
  instances.set(name, started);
  return started;
}

function rule(policy: string, metadata = "annotations: {}"): Promise<void> {
  return mesh.apply(`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, ${metadata}}
spec: {host: web, trafficPolicy: {${policy}}}
`);
}

function ask(headers: Record<string, string> = {}): Promise<Answer> {
  return call(caller.upstream("web:8080"), { headers });
}

/** The instances that answered so many requests, with how many each. */
async function answered(
  count: number,
  headers: Record<string, string> = {},
): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let index = 0; index < count; index++) {
    const answer = await ask(headers);
    expect(answer.status).toBe(200);
    const { instance } = JSON.parse(answer.body) as { instance: string };
    counts[instance] = (counts[instance] ?? 0) + 1;
  }
  return counts;
}

/** The cookie of that name that an answer sets, as a client sends it. */
function cookieOf({ headers }: Answer, name: string): string | undefined {
  return headers["set-cookie"]?.find((value) => value.startsWith(`${name}=`))?.split(";")[0];
}

test("a header finds the same instance every time, and other values others", async () => {
  await rule("loadBalancer: {consistentHash: {httpHeaderName: x-user}}");
  await eventually(async () => Object.keys(await answered(12, { "x-user": "ann" })).length === 1);
  const owners = new Set<string>();
  for (let user = 0; user < 40; user++) {
    const found = Object.keys(await answered(2, { "x-user": `user-${user}` }));
    expect(found).toHaveLength(1);
    owners.add(found[0]!);
  }
  expect(owners.size).toBe(3);
  const [owner] = Object.keys(await answered(1, { "x-user": "ann" }));
  const { explanation } = await mesh.client.explain({
    from: "caller",
    method: "GET",
    url: "http://web:8080/",
    headers: ["x-user: ann"],
  });
  const { endpoints } = explanation as Explanation;
  const chosen = endpoints.find((endpoint) => endpoint.chosen);
  expect(chosen?.share).toBe(1);
  expect(chosen?.address).toBe(addressOf(owner!));
}, 60_000);

function addressOf(instance: string): string {
  const { host, port } = instances.get(instance)!.ready.addresses.inbound;
  return `${host}:${port}`;
}

test("a client without the cookie is given one, and comes back with it to the same instance", async () => {
  await rule("loadBalancer: {consistentHash: {httpCookie: {name: track, path: /, ttl: 1h}, maglev: {}}}");
  await eventually(async () => cookieOf(await ask(), "track") !== undefined);
  for (let client = 0; client < 8; client++) {
    const first = await ask();
    const { instance } = JSON.parse(first.body) as { instance: string };
    expect(first.headers["set-cookie"]?.join()).toMatch(
      /track=[0-9a-f]{16}; Max-Age=3600; Path=\/; HttpOnly/,
    );
    const cookie = cookieOf(first, "track")!;
    expect(await answered(5, { cookie })).toEqual({ [instance]: 5 });
    expect(cookieOf(await ask({ cookie }), "track")).toBeUndefined();
  }
}, 60_000);

test("a session stays where it is while instances come, and while its own is in maintenance", async () => {
  await rule("loadBalancer: {simple: ROUND_ROBIN}");
  await eventually(async () => Object.keys(await answered(9)).length === 3);
  const first = await ask();
  const { instance } = JSON.parse(first.body) as { instance: string };
  const cookie = cookieOf(first, "home")!;
  const added = await start("web-added", "eu.b");
  await caller.knows(clusterOf("web"), 4);
  expect(await answered(20, { cookie })).toEqual({ [instance]: 20 });
  expect(cookieOf(await ask({ cookie }), "home")).toBeUndefined();
  await maintain(instance, true);
  await caller.knows(clusterOf("web"), 3);
  expect(await answered(20, { cookie })).toEqual({ [instance]: 20 });
  expect(await answered(20)).not.toHaveProperty(instance);
  await maintain(instance, false);
  await added.process.stop();
  await caller.knows(clusterOf("web"), 3);
}, 60_000);

async function maintain(id: string, enable: boolean): Promise<void> {
  const url = `${mesh.server}/v1/agent/service/maintenance/${id}?enable=${enable}`;
  expect((await call(url, { method: "PUT" })).status).toBe(200);
}

test("a new instance is warmed up: it begins with a small part of the requests", async () => {
  await rule("loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 600s}}");
  await eventually(async () => {
    const counts = Object.values(await answered(30));
    return counts.length === 3 && counts.every((count) => count === 10);
  });
  const fresh = await start("web-fresh", "eu.b");
  await caller.knows(clusterOf("web"), 4);
  const counts = await answered(124);
  // A tenth of its part: one of 31 requests, where the others get ten each.
  expect(counts["web-fresh"]).toBeGreaterThan(0);
  expect(counts["web-fresh"]).toBeLessThan(12);
  await fresh.process.stop();
  await caller.knows(clusterOf("web"), 3);
}, 60_000);

test("peak EWMA leaves an instance that is slow, though nothing else is under way", async () => {
  await rule("loadBalancer: {simple: ROUND_ROBIN}");
  const slow = await start("web-slow", "eu.b", { DELAY_MS: "250" });
  await caller.knows(clusterOf("web"), 4);
  await eventually(async () => ((await answered(8))["web-slow"] ?? 0) > 0);
  await rule("loadBalancer: {simple: LEAST_REQUEST}", "annotations: {tulle.dev/load-balancer: PEAK_EWMA}");
  await eventually(async () => ((await answered(40))["web-slow"] ?? 0) <= 1);
  await slow.process.stop();
  await caller.knows(clusterOf("web"), 3);
}, 60_000);

test("a split by hash sends a user to the same version every time, and users to both", async () => {
  await mesh.apply(`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec:
  host: web
  trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user}}}
  subsets:
  - {name: near, labels: {istio-locality: eu.a}}
  - {name: far, labels: {istio-locality: eu.b}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, annotations: {tulle.dev/split: hash}}
spec:
  hosts: [web]
  http:
  - route:
    - {destination: {host: web, subset: near}, weight: 50}
    - {destination: {host: web, subset: far}, weight: 50}
`);
  await eventually(async () => !("web-else" in (await answered(30))));
  await eventually(async () => Object.keys(await answered(12, { "x-user": "ann" })).length === 1);
  const owners: string[] = [];
  for (let user = 0; user < 24; user++) {
    const found = Object.keys(await answered(3, { "x-user": `user-${user}` }));
    expect(found).toHaveLength(1);
    owners.push(found[0]!);
  }
  expect(new Set(owners)).toEqual(new Set(["web-near", "web-far"]));
  await mesh.client.resources.delete(findKind("networking.istio.io", "VirtualService")!, { name: "web" });
}, 60_000);

test("another subset takes the requests of one that has no usable endpoint, and gives them back", async () => {
  const gone = await start("web-gone", "eu.c");
  await mesh.apply(`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, annotations: {tulle.dev/subset-fallback: far}}
spec:
  host: web
  subsets:
  - {name: gone, labels: {istio-locality: eu.c}}
  - {name: far, labels: {istio-locality: eu.b}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http:
  - retries: {attempts: 2, retryRemoteLocalities: true}
    route: [{destination: {host: web, subset: gone}}]
`);
  await eventually(async () => (await answered(10))["web-gone"] === 10, 20_000);
  const { explanation } = await mesh.client.explain({
    from: "caller",
    method: "GET",
    url: "http://web:8080/",
  });
  expect((explanation as Explanation).endpoints.map(({ share }) => share).toSorted((a, b) => a - b)).toEqual([
    0, 1,
  ]);
  gone.process.kill9();
  // Its sidecar is gone: the caller finds out by itself, and with such retries no request fails for it.
  expect(await answered(20)).toEqual({ "web-far": 20 });
  await start("web-back", "eu.c");
  await eventually(async () => (await answered(10))["web-back"] === 10, 20_000);
  await mesh.client.resources.delete(findKind("networking.istio.io", "VirtualService")!, { name: "web" });
  await instances.get("web-back")!.process.stop();
}, 60_000);

test("requests stay in their zone, then in their region, and leave it when nobody is left there", async () => {
  await rule("loadBalancer: {simple: ROUND_ROBIN}, outlierDetection: {consecutive5xxErrors: 5}");
  await eventually(async () => (await answered(20))["web-near"] === 20);
  near.process.kill9();
  await eventually(async () => (await answered(20))["web-far"] === 20, 20_000);
  await maintain("web-far", true);
  await eventually(async () => (await answered(20))["web-else"] === 20, 20_000);
}, 60_000);
