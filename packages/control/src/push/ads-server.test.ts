import { status as GrpcStatus } from "@grpc/grpc-js";
import { systemClock } from "@tulle/base";
import { eventually, FakeClock, settle } from "@tulle/testkit";
import { CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ROUTE_TYPE } from "@tulle/xds";
import { afterEach, expect, test } from "vitest";

import { startTestMesh, texts, type TestMesh } from "./testdata/ads-mesh.js";

let mesh: TestMesh | undefined;

afterEach(async () => {
  await mesh?.close();
  mesh = undefined;
});

async function start(...args: Parameters<typeof startTestMesh>): Promise<TestMesh> {
  mesh = await startTestMesh(...args);
  return mesh;
}

/** Long enough for a message to cross loopback, short enough to wait for its absence. */
async function quiet(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await settle();
}

test("AdsServer serves state of the world: everything subscribed that exists, again when it changes", async () => {
  const { catalog, sotw } = await start(systemClock);
  catalog.set("a", ["h1"]);
  catalog.set("b", ["h1"]);
  const client = sotw();
  client.send({ typeUrl: ENDPOINT_TYPE, resourceNames: ["a", "b", "missing"] });
  const first = await eventually(() => client.received[0]);
  expect(texts(first)).toEqual(["a=h1", "b=h1"]);
  client.settle(first, { versionInfo: first.versionInfo, resourceNames: ["a", "b", "missing"] });
  await quiet();
  catalog.set("b", ["h1", "h2"]);
  const second = await eventually(() => client.received[1]);
  expect(texts(second)).toEqual(["a=h1", "b=h1,h2"]);
  expect(second.versionInfo).not.toBe(first.versionInfo);
  expect(second.nonce).not.toBe(first.nonce);
});

test("AdsServer serves delta: what was asked for, then only what changed", async () => {
  const { catalog, delta } = await start(systemClock);
  catalog.set("a", ["h1"]);
  catalog.set("b", ["h1"]);
  const client = delta();
  client.send({ typeUrl: ENDPOINT_TYPE, resourceNamesSubscribe: ["a", "b", "missing"] });
  const first = await eventually(() => client.received[0]);
  expect(texts(first)).toEqual(["a=h1", "b=h1"]);
  expect(first.removedResources).toEqual(["missing"]);
  client.settle(first);
  await quiet();
  catalog.set("missing", ["h9"]);
  const second = await eventually(() => client.received[1]);
  expect(texts(second)).toEqual(["missing=h9"]);
  expect(second.removedResources).toEqual([]);
});

test("AdsServer sends a reconnecting delta client nothing when nothing changed", async () => {
  const { catalog, delta } = await start(systemClock);
  catalog.set("a", ["h1"]);
  const before = delta();
  before.send({ typeUrl: ENDPOINT_TYPE, resourceNamesSubscribe: ["a"] });
  const [resource] = (await eventually(() => before.received[0])).resources;
  before[Symbol.dispose]();

  const client = delta();
  client.send({
    typeUrl: ENDPOINT_TYPE,
    resourceNamesSubscribe: ["a"],
    initialResourceVersions: { a: resource!.version },
  });
  client.send({ typeUrl: CLUSTER_TYPE, resourceNamesSubscribe: ["a"] });
  const first = await eventually(() => client.received[0]);
  expect(first.typeUrl).toBe(CLUSTER_TYPE);
  catalog.set("a", ["h2"]);
  expect(texts(await eventually(() => client.received[1]))).toEqual(["a=h2"]);
});

test("AdsServer tells a change of endpoints to 50 clients at once, without translating it 50 times", async () => {
  const { catalog, delta, calls, ads } = await start(systemClock);
  catalog.set("a", ["h1", "h2"]);
  const clients = Array.from({ length: 50 }, (_, number) => delta({ number }));
  for (const client of clients) {
    client.send({ typeUrl: ENDPOINT_TYPE, resourceNamesSubscribe: ["a"] });
    client.send({ typeUrl: ROUTE_TYPE, resourceNamesSubscribe: ["a"] });
  }
  await eventually(() => clients.every(({ received }) => received.length === 2));
  for (const client of clients) for (const response of client.received) client.settle(response);
  await eventually(() =>
    ads.ledger.proxies().every(({ types }) => types.every(({ state }) => state === "synced")),
  );
  calls.length = 0;

  const startedMs = performance.now();
  catalog.set("a", ["h1"]);
  await eventually(() => clients.every(({ received }) => received.length === 3));
  expect(performance.now() - startedMs).toBeLessThan(1_000);
  for (const client of clients) expect(texts(client.received[2])).toEqual(["a=h1"]);
  // The route does not depend on endpoints: nobody made or sent it again.
  expect(calls).toEqual(["ClusterLoadAssignment a"]);
});

test("AdsServer pushes only to the clients that a change concerns", async () => {
  const { catalog, delta } = await start(systemClock);
  catalog.set("a", ["h1"]);
  catalog.set("b", ["h1"]);
  const one = delta({ number: 1 });
  const two = delta({ number: 2 });
  one.send({ typeUrl: ENDPOINT_TYPE, resourceNamesSubscribe: ["a"] });
  two.send({ typeUrl: ENDPOINT_TYPE, resourceNamesSubscribe: ["b"] });
  one.settle(await eventually(() => one.received[0]));
  two.settle(await eventually(() => two.received[0]));
  await quiet();
  catalog.set("a", ["h2"]);
  await eventually(() => one.received[1]);
  await quiet();
  expect(two.received).toHaveLength(1);
});

test("AdsServer holds changes while a response is in flight and then sends the newest state once", async () => {
  const { catalog, delta } = await start(systemClock);
  catalog.set("a", ["h1"]);
  const client = delta();
  client.send({ typeUrl: ENDPOINT_TYPE, resourceNamesSubscribe: ["a"] });
  const first = await eventually(() => client.received[0]);
  for (const host of ["h2", "h3", "h4"]) catalog.set("a", [host]);
  await quiet();
  expect(client.received).toHaveLength(1);
  client.settle(first);
  expect(texts(await eventually(() => client.received[1]))).toEqual(["a=h4"]);
});

test("AdsServer sends clusters, endpoints, listeners, routes in that order, and takes referrers away first", async () => {
  const { catalog, delta } = await start(systemClock);
  const client = delta();
  for (const typeUrl of [ROUTE_TYPE, LISTENER_TYPE, ENDPOINT_TYPE, CLUSTER_TYPE]) {
    client.send({ typeUrl, resourceNamesSubscribe: ["a"] });
  }
  await eventually(() => client.received.length === 4);
  for (const response of client.received.splice(0)) client.settle(response);
  await quiet();
  catalog.set("a", ["h1"]);
  await eventually(() => client.received.length === 4);
  expect(client.received.map(({ typeUrl }) => typeUrl)).toEqual([
    CLUSTER_TYPE,
    ENDPOINT_TYPE,
    LISTENER_TYPE,
    ROUTE_TYPE,
  ]);
  for (const response of client.received.splice(0)) client.settle(response);
  await quiet();
  catalog.set("a", undefined);
  await eventually(() => client.received.length === 4);
  expect(client.received.map(({ typeUrl, removedResources }) => [typeUrl, ...removedResources])).toEqual([
    [LISTENER_TYPE, "a"],
    [ROUTE_TYPE, "a"],
    [ENDPOINT_TYPE, "a"],
    [CLUSTER_TYPE, "a"],
  ]);
});

test("AdsServer keeps a route back while the cluster that it may refer to waits", async () => {
  const clock = new FakeClock();
  const { catalog, delta, apply } = await start(clock);
  catalog.set("a", ["h1"]);
  const client = delta();
  client.send({ typeUrl: CLUSTER_TYPE, resourceNamesSubscribe: ["a", "b"] });
  client.send({ typeUrl: ROUTE_TYPE, resourceNamesSubscribe: ["a"] });
  await eventually(() => client.received.length === 2);
  const [clusters, routes] = client.received;
  client.settle(routes!);
  await quiet();
  catalog.set("b", ["h1"]);
  await apply("vs", "to-b");
  await clock.advance(100);
  await quiet();
  expect(client.received).toHaveLength(2);
  client.settle(clusters!);
  await eventually(() => client.received.length === 4);
  expect(client.received.slice(2).map(texts)).toEqual([["cluster b b"], ["route a to-b"]]);
});

test("AdsServer gathers a burst of configuration changes, and waits no longer than its limit", async () => {
  const clock = new FakeClock();
  const { catalog, delta, apply, calls } = await start(clock);
  catalog.set("a", ["h1"]);
  const client = delta();
  client.send({ typeUrl: ROUTE_TYPE, resourceNamesSubscribe: ["a"] });
  client.settle(await eventually(() => client.received[0]));
  await quiet();
  calls.length = 0;
  for (let i = 0; i < 5; i++) await apply("vs", `v${i}`);
  await clock.advance(9);
  expect(calls).toEqual([]);
  await clock.advance(1);
  expect(calls).toEqual(["RouteConfiguration a"]);
  const second = await eventually(() => client.received[1]);
  expect(texts(second)).toEqual(["route a v4"]);
  client.settle(second);
  await quiet();

  calls.length = 0;
  for (let i = 0; i < 19; i++) {
    await apply("vs", `w${i}`);
    await clock.advance(5);
  }
  expect(calls).toEqual([]);
  await apply("vs", "last");
  await clock.advance(5);
  expect(calls).toEqual(["RouteConfiguration a"]);
});

test("AdsServer shows a NACK in the ledger and in the object's status, and does not push it again", async () => {
  const { catalog, delta, apply, ads } = await start(systemClock);
  const key = { group: "networking.istio.io", kind: "VirtualService", namespace: "default", name: "vs" };
  catalog.set("a", ["h1"]);
  await apply("vs", "v1");
  expect(ads.ledger.statusOf(key).conditions).toMatchObject([{ status: "Unknown", reason: "NoProxies" }]);
  const client = delta();
  client.send({ typeUrl: ROUTE_TYPE, resourceNamesSubscribe: ["a"] });
  const first = await eventually(() => client.received[0]);
  expect(ads.ledger.statusOf(key).conditions).toMatchObject([{ status: "False", reason: "InProgress" }]);
  client.settle(first);
  await eventually(() => ads.ledger.statusOf(key).conditions[0]?.status === "True");

  await apply("vs", "v2");
  client.settle(await eventually(() => client.received[1]), {}, "a: unknown cluster");
  const [proxy] = await eventually(() => {
    const proxies = ads.ledger.proxies();
    return proxies[0]?.types[0]?.state === "nack" && proxies;
  });
  expect(proxy).toMatchObject({
    id: "sidecar~127.0.0.1~web-1.default~default.svc.cluster.local",
    dialect: "tulle",
    identity: "spiffe://cluster.local/ns/default/sa/web",
    types: [{ typeUrl: ROUTE_TYPE, state: "nack", subscribed: 1, error: "a: unknown cluster" }],
  });
  expect(ads.ledger.statusOf(key).conditions).toEqual([
    {
      type: "Reconciled",
      status: "False",
      reason: "Refused",
      message: `0/1 proxies up to date; refused by ${proxy!.id}: a: unknown cluster`,
    },
  ]);
  expect(ads.metrics.rejects).toBe(1);
  await quiet();
  expect(client.received).toHaveLength(2);

  await apply("vs", "v3");
  client.settle(await eventually(() => client.received[2]));
  await eventually(() => ads.ledger.statusOf(key).conditions[0]?.status === "True");
});

test("AdsServer keeps the last good resource when translation fails", async () => {
  const { catalog, delta, apply } = await start(systemClock);
  catalog.set("a", ["h1"]);
  await apply("vs", "v1");
  const client = delta();
  client.send({ typeUrl: ROUTE_TYPE, resourceNamesSubscribe: ["a"] });
  client.settle(await eventually(() => client.received[0]));
  await apply("vs", "explode");
  await quiet();
  const late = delta({ number: 2 });
  late.send({ typeUrl: ROUTE_TYPE, resourceNamesSubscribe: ["a"] });
  expect(texts(await eventually(() => late.received[0]))).toEqual(["route a v1"]);
  await apply("vs", "v2");
  expect(texts(await eventually(() => client.received[1]))).toEqual(["route a v2"]);
});

test("AdsServer answers nothing before it is warm", async () => {
  let warm = (): void => undefined;
  const { catalog, delta } = await start(systemClock, {
    warm: () => new Promise((resolve) => (warm = resolve)),
  });
  const client = delta();
  client.send({ typeUrl: ENDPOINT_TYPE, resourceNamesSubscribe: ["a"] });
  await quiet();
  catalog.set("a", ["h1"]);
  await quiet();
  expect(client.received).toEqual([]);
  warm();
  expect(texts(await eventually(() => client.received[0]))).toEqual(["a=h1"]);
});

test("AdsServer ends streams when its configuration does not load", async () => {
  const { delta } = await start(systemClock, { warm: () => Promise.reject(new Error("no store")) });
  const client = delta();
  client.send({ typeUrl: ENDPOINT_TYPE, resourceNamesSubscribe: ["a"] });
  expect((await eventually(() => client.ended)).code).toBe(GrpcStatus.UNAVAILABLE);
});

test("AdsServer says of types that it does not serve that nothing exists", async () => {
  const { delta, calls } = await start(systemClock);
  const client = delta();
  client.send({ typeUrl: "type.googleapis.com/unheard.Of", resourceNamesSubscribe: ["x"] });
  expect((await eventually(() => client.received[0])).removedResources).toEqual(["x"]);
  expect(calls).toEqual([]);
});

test("AdsServer counts streams, pushes and the time until a change is acknowledged", async () => {
  const { catalog, delta, ads } = await start(systemClock);
  catalog.set("a", ["h1"]);
  const client = delta();
  client.send({ typeUrl: ENDPOINT_TYPE, resourceNamesSubscribe: ["a"] });
  client.settle(await eventually(() => client.received[0]));
  await eventually(() => ads.ledger.proxies()[0]?.types[0]?.state === "synced");
  expect(ads.metrics.convergence.count).toBe(0);
  catalog.set("a", ["h2"]);
  client.settle(await eventually(() => client.received[1]));
  await eventually(() => ads.metrics.convergence.count === 1);
  expect(ads.metrics.connected).toBe(1);
  expect([...ads.metrics.pushes]).toEqual([["eds", 2]]);
  client[Symbol.dispose]();
  await eventually(() => ads.metrics.connected === 0);
});

test("AdsServer knows what a client has acknowledged, and sends it again when it is told to", async () => {
  const { catalog, delta, ads } = await start(systemClock);
  catalog.set("a", ["h1"]);
  const client = delta();
  client.send({ typeUrl: ENDPOINT_TYPE, resourceNamesSubscribe: ["a", "missing"] });
  const first = await eventually(() => client.received[0]);
  const { id } = ads.ledger.proxies()[0]!;
  expect(ads.ledger.checksums(id).size).toBe(0);
  client.settle(first);
  const checksum = await eventually(() => ads.ledger.checksums(id).get(ENDPOINT_TYPE));
  expect([...ads.ledger.acknowledged(id, ENDPOINT_TYPE)!.keys()]).toEqual(["a"]);

  expect(ads.resend(id, ENDPOINT_TYPE, ["a", "missing"])).toBe(true);
  const again = await eventually(() => client.received[1]);
  expect(texts(again)).toEqual(["a=h1"]);
  // What a client may still have although there is none goes, too.
  expect(again.removedResources).toEqual(["missing"]);
  client.settle(again);
  await eventually(() => ads.ledger.checksums(id).get(ENDPOINT_TYPE) === checksum);
  expect(ads.resend(id, ENDPOINT_TYPE, ["never asked for"])).toBe(false);

  const expected = ads.ledger.expected(ENDPOINT_TYPE, (name) => name === "a").get(id);
  expect(expected).toMatchObject([{ name: "a", state: "synced", resource: { version: "tulle:a=h1" } }]);
  catalog.set("a", ["h2"]);
  client.settle(await eventually(() => client.received[2]));
  await eventually(() => ads.ledger.checksums(id).has(ENDPOINT_TYPE));
  expect(ads.ledger.checksums(id).get(ENDPOINT_TYPE)).not.toBe(checksum);
});

test("AdsServer ends the streams of a proxy that is to begin anew, and nobody else's", async () => {
  const { catalog, delta, ads } = await start(systemClock);
  catalog.set("a", ["h1"]);
  const clients = [delta({ number: 1 }), delta({ number: 2 })];
  for (const client of clients) client.send({ typeUrl: ENDPOINT_TYPE, resourceNamesSubscribe: ["a"] });
  await eventually(() => clients.every(({ received }) => received.length === 1));
  const [first, second] = ads.ledger.proxies();
  ads.restart(first!.id);
  await eventually(() => ads.ledger.proxies().length === 1);
  expect(ads.ledger.proxies()[0]!.id).toBe(second!.id);
});
