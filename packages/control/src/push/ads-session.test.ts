import { constants } from "node:http2";

import { status as GrpcStatus } from "@grpc/grpc-js";
import { systemClock } from "@tulle/base";
import { eventually, FakeClock, settle } from "@tulle/testkit";
import { ENDPOINT_TYPE } from "@tulle/xds";
import { afterEach, expect, test } from "vitest";

import { CERTIFICATE_TTL_MS, startTestMesh, type TestMesh } from "./testdata/ads-mesh.js";

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

test("AdsSession refuses a client whose certificate is of another account", async () => {
  const { delta, ads } = await start(systemClock);
  const client = delta({ account: "web", certificate: "intruder" });
  client.send({ typeUrl: ENDPOINT_TYPE, resourceNamesSubscribe: ["a"] });
  const ended = await eventually(() => client.ended);
  expect(ended.code).toBe(GrpcStatus.PERMISSION_DENIED);
  expect(ended.details).toContain("spiffe://cluster.local/ns/default/sa/intruder");
  expect(ads.ledger.proxies()).toEqual([]);
});

test("AdsSession lets clients without a certificate in only where told, and only for gRPC", async () => {
  const closed = await start(systemClock);
  const refused = closed.delta({ certificate: undefined, userAgentName: "gRPC Node" });
  // Before a word is read.
  expect((await eventually(() => refused.ended)).code).toBe(GrpcStatus.UNAUTHENTICATED);
  await closed.close();

  const { delta, catalog } = await start(systemClock, { anonymous: true });
  catalog.set("a", ["h1"]);
  const sidecar = delta({ certificate: undefined });
  sidecar.send({ typeUrl: ENDPOINT_TYPE, resourceNamesSubscribe: ["a"] });
  expect((await eventually(() => sidecar.ended)).code).toBe(GrpcStatus.UNAUTHENTICATED);
  const grpcClient = delta({ certificate: undefined, userAgentName: "gRPC Node" });
  grpcClient.send({ typeUrl: ENDPOINT_TYPE, resourceNamesSubscribe: ["a"] });
  const response = await eventually(() => grpcClient.received[0]);
  expect(response.resources[0]?.version).toBe("grpc:a=h1");
});

test("AdsSession ends a stream whose node is missing, wrong or changes", async () => {
  const { delta } = await start(systemClock);
  const bad = { id: "x", userAgentName: "tulle" };
  const cases = [[{ node: undefined }], [{ node: bad }], [{}, { node: bad }]] as const;
  for (const requests of cases) {
    const client = delta();
    for (const request of requests) client.send({ typeUrl: ENDPOINT_TYPE, ...request });
    expect((await eventually(() => client.ended)).code).toBe(GrpcStatus.INVALID_ARGUMENT);
  }
});

test("AdsSession ends a stream when the client's certificate expires", async () => {
  const clock = new FakeClock();
  const { delta, catalog } = await start(clock);
  catalog.set("a", ["h1"]);
  const client = delta();
  client.send({ typeUrl: ENDPOINT_TYPE, resourceNamesSubscribe: ["a"] });
  await eventually(() => client.received[0]);
  await clock.advance(CERTIFICATE_TTL_MS - 1);
  await quiet();
  expect(client.ended).toBeUndefined();
  await clock.advance(1);
  const ended = await eventually(() => client.ended);
  expect(ended.code).toBe(GrpcStatus.UNAVAILABLE);
  expect(ended.details).toContain("expired");
  expect(clock.pending).toBe(0);
});

test("AdsSession ends a stream on which nothing comes", async () => {
  const clock = new FakeClock();
  const { delta, catalog, ads } = await start(clock);
  catalog.set("a", ["h1"]);
  const silent = delta({ number: 1 });
  // A second stream shows when the first one has reached the server.
  const other = delta({ number: 2 });
  other.send({ typeUrl: ENDPOINT_TYPE, resourceNamesSubscribe: ["a"] });
  await eventually(() => other.received[0]);
  await eventually(() => clock.pending >= 2);
  await clock.advance(15_000);
  expect((await eventually(() => silent.ended)).code).toBe(GrpcStatus.DEADLINE_EXCEEDED);
  expect(ads.ledger.proxies()).toHaveLength(1);
});

test("AdsSession cuts a client that does not read", async () => {
  const clock = new FakeClock();
  const { catalog, ads, unread } = await start(clock);
  // Far more than the HTTP/2 window: the write cannot finish while the client reads nothing.
  catalog.set(
    "a",
    Array.from({ length: 40_000 }, (_, i) => `host-${i}.example`),
  );
  const client = unread(ENDPOINT_TYPE, ["a"]);
  await eventually(() => ads.ledger.proxies()[0]?.types[0]?.state === "stale");
  await quiet();
  await clock.advance(4_999);
  expect(ads.ledger.proxies()).toHaveLength(1);
  await clock.advance(1);
  expect(ads.ledger.proxies()).toEqual([]);
  expect(ads.metrics).toMatchObject({ connected: 0, writeTimeouts: 1 });
  await eventually(() => client.resetCode === constants.NGHTTP2_ENHANCE_YOUR_CALM);
});

test("AdsSession refuses more streams and names than its limits", async () => {
  const { delta, catalog } = await start(systemClock, { limits: { streams: 1, names: 2 } });
  catalog.set("a", ["h1"]);
  const one = delta({ number: 1 });
  one.send({ typeUrl: ENDPOINT_TYPE, resourceNamesSubscribe: ["a"] });
  await eventually(() => one.received[0]);
  const two = delta({ number: 2 });
  expect((await eventually(() => two.ended)).details).toContain("1 streams");
  one.send({ typeUrl: ENDPOINT_TYPE, resourceNamesSubscribe: ["b", "c"] });
  expect((await eventually(() => one.ended)).code).toBe(GrpcStatus.RESOURCE_EXHAUSTED);
});
