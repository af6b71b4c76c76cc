import { connect } from "node:net";

import { create } from "@bufbuild/protobuf";
import { Server, ServerCredentials, type ServerDuplexStream } from "@grpc/grpc-js";
import { silentLogger, systemClock } from "@tulle/base";
import {
  createLoadTable,
  createSnapshotSource,
  type ResourceChange,
  type SnapshotSource,
} from "@tulle/engine";
import { GrpcClient } from "@tulle/http/socket";
import { eventually } from "@tulle/testkit";
import { CLUSTER_TYPE, grpcServiceDefinition, LISTENER_TYPE, ROUTE_TYPE } from "@tulle/xds";
import { AggregatedDiscoveryService } from "@tulle/xds/gen/envoy/service/discovery/v3/ads_pb.js";
import {
  DeltaDiscoveryResponseSchema,
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
} from "@tulle/xds/gen/envoy/service/discovery/v3/discovery_pb.js";
import { afterEach, beforeEach, expect, test } from "vitest";

import { apiListener, cluster, routes, routeTo } from "../../test/resources.js";
import { MetricsRegistry } from "../telemetry/metrics.js";
import { AdsClient } from "./ads-client.js";

type Stream = ServerDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;

let server: Server;
let port: number;
let streams: Stream[];
let requests: DeltaDiscoveryRequest[];
let client: AdsClient;
let configuration: SnapshotSource;
let metrics: MetricsRegistry;
let changes: number;
let roots: string[];

beforeEach(async () => {
  streams = [];
  requests = [];
  changes = 0;
  roots = ["reviews:9080"];
  server = new Server();
  const { deltaAggregatedResources } = grpcServiceDefinition(AggregatedDiscoveryService);
  server.addService(
    { deltaAggregatedResources },
    {
      deltaAggregatedResources: (stream: Stream) => {
        streams.push(stream);
        stream.on("data", (request: DeltaDiscoveryRequest) => requests.push(request));
        stream.on("error", () => undefined);
      },
    },
  );
  port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  configuration = createSnapshotSource({ load: createLoadTable({ maxSlots: 64 }) });
  metrics = new MetricsRegistry();
  client = new AdsClient({
    connect: () =>
      new GrpcClient({
        socket: connect(port, "127.0.0.1"),
        scheme: "http",
        authority: "control",
        clock: systemClock,
      }),
    node: { id: "sidecar~127.0.0.1~a.default~default.svc.cluster.local", metadata: { NAMESPACE: "default" } },
    configuration,
    roots: () => roots,
    onChanged: () => changes++,
    clock: systemClock,
    random: () => 1,
    logger: silentLogger,
    metrics,
  });
  client.connect();
});

afterEach(() => {
  client[Symbol.dispose]();
  server.forceShutdown();
});

function send(nonce: string, resources: readonly ResourceChange[], removed: readonly string[] = []): void {
  const typeUrl = resources[0]?.typeUrl ?? LISTENER_TYPE;
  streams.at(-1)?.write(
    create(DeltaDiscoveryResponseSchema, {
      typeUrl,
      nonce,
      resources: resources.map(({ name, version, bytes }) => ({
        name,
        version,
        resource: { typeUrl, value: bytes ?? new Uint8Array() },
      })),
      removedResources: [...removed],
    }),
  );
}

async function request(index: number): Promise<DeltaDiscoveryRequest> {
  return eventually(() => requests[index]);
}

test("AdsClient subscribes by name, follows references and acknowledges each response", async () => {
  const first = await request(0);
  expect(first).toMatchObject({
    typeUrl: LISTENER_TYPE,
    resourceNamesSubscribe: ["reviews:9080"],
    responseNonce: "",
  });
  expect(first.node).toMatchObject({ userAgentName: "tulle", metadata: { NAMESPACE: "default" } });
  send("n1", [apiListener("reviews:9080", "r")]);
  expect(await request(1)).toMatchObject({ typeUrl: LISTENER_TYPE, responseNonce: "n1" });
  expect((await request(1)).node).toBeUndefined();
  expect((await request(1)).errorDetail).toBeUndefined();
  expect(await request(2)).toMatchObject({
    typeUrl: ROUTE_TYPE,
    resourceNamesSubscribe: ["r"],
    responseNonce: "",
  });
  send("n2", [routes("r", [routeTo("one")])]);
  expect(await request(4)).toMatchObject({ typeUrl: CLUSTER_TYPE, resourceNamesSubscribe: ["one"] });
  send("n3", [routes("r", [routeTo("two")])]);
  expect(await request(6)).toMatchObject({
    typeUrl: CLUSTER_TYPE,
    resourceNamesSubscribe: ["two"],
    resourceNamesUnsubscribe: ["one"],
  });
  expect(changes).toBe(3);
  expect(client.status()).toMatchObject({ connected: true });
});

test("AdsClient refuses a response with the reason and keeps the last good configuration", async () => {
  await request(0);
  send("n1", [apiListener("reviews:9080", "r")]);
  await request(2);
  const bad: ResourceChange = {
    ...apiListener("reviews:9080", "r"),
    bytes: new Uint8Array([0xff]),
  };
  send("n2", [bad]);
  const nack = await request(3);
  expect(nack.responseNonce).toBe("n2");
  expect(nack.errorDetail?.message).toContain("reviews:9080: ");
  expect(configuration.current.outbound("reviews:9080")).toBeDefined();
  expect(client.status().types.get(LISTENER_TYPE)).toMatchObject({ acked: 1, nacked: 1 });
});

test("AdsClient connects again when its stream ends and tells which versions it has", async () => {
  await request(0);
  const listener = apiListener("reviews:9080", "r");
  send("n1", [listener]);
  send("n2", [routes("r", [routeTo("one")])]);
  send("n3", [cluster("one")]);
  // Four subscriptions, the endpoints' last, and three acknowledgements.
  await eventually(() => requests.length === 7);
  requests.length = 0;
  streams.at(-1)?.end();
  await eventually(() => streams.length === 2);
  const again = await eventually(() => requests.find(({ typeUrl }) => typeUrl === LISTENER_TYPE));
  expect(again.initialResourceVersions).toEqual({ "reviews:9080": listener.version });
  expect(requests[0]?.node?.userAgentName).toBe("tulle");
  await eventually(() => requests.some(({ typeUrl }) => typeUrl === CLUSTER_TYPE));
  const clusters = requests.find(({ typeUrl }) => typeUrl === CLUSTER_TYPE);
  expect(Object.keys(clusters?.initialResourceVersions ?? {})).toEqual(["one"]);
});

test("AdsClient learns that a service does not exist, and drops names that are no longer wanted", async () => {
  await request(0);
  send("n1", [], ["reviews:9080"]);
  await eventually(() => configuration.current.outbound("reviews:9080") === null);
  roots = [];
  client.refresh();
  expect(await request(2)).toMatchObject({ resourceNamesUnsubscribe: ["reviews:9080"] });
  expect(configuration.current.outbound("reviews:9080")).toBeUndefined();
});

test("AdsClient tries again and again while nobody listens, with delays that grow and differ", async () => {
  await request(0);
  const delays: number[] = [];
  const retrying = new AdsClient({
    connect: () =>
      new GrpcClient({ socket: connect(1, "127.0.0.1"), scheme: "http", authority: "x", clock: systemClock }),
    node: { id: "n", metadata: {} },
    configuration,
    roots: () => roots,
    onChanged: () => undefined,
    clock: {
      ...systemClock,
      setTimeout: (callback, delayMs) => {
        delays.push(delayMs);
        return systemClock.setTimeout(callback, 0);
      },
    },
    random: () => (delays.length % 2 === 0 ? 0 : 0.5),
    logger: silentLogger,
    metrics: new MetricsRegistry(),
  });
  retrying.connect();
  await eventually(() => delays.length >= 8);
  retrying[Symbol.dispose]();
  expect(delays.slice(0, 8)).toEqual([200, 300, 800, 1200, 3200, 3750, 5000, 3750]);
  expect(retrying.status().lastError).toContain("14 cannot connect: connect ECONNREFUSED");
});

test("AdsClient keeps the configuration, and says why it is alone, when the control plane is killed", async () => {
  await request(0);
  const listener = apiListener("reviews:9080", "r");
  send("n1", [listener]);
  await request(2);
  requests.length = 0;
  server.forceShutdown();
  await eventually(() => /^(?:1|13|14) /.test(client.status().lastError));
  expect(configuration.current.outbound("reviews:9080")).toBeDefined();
});

test("AdsClient connects anew at once with a new certificate, and nothing of the old stream is taken", async () => {
  await request(0);
  const old = streams[0];
  client.connect();
  await eventually(() => streams.length === 2);
  old?.write(create(DeltaDiscoveryResponseSchema, { typeUrl: LISTENER_TYPE, nonce: "old" }));
  send("n1", [apiListener("reviews:9080", "r")]);
  await eventually(() => requests.some(({ responseNonce }) => responseNonce === "n1"));
  expect(requests.some(({ responseNonce }) => responseNonce === "old")).toBe(false);
  expect(client.status()).toMatchObject({ connected: true, lastError: "" });
});

test("AdsClient forgets on a new stream what it holds and does not ask for: it would never hear of it again", async () => {
  await request(0);
  send("1", [apiListener("reviews:9080", "routes")]);
  await eventually(() => configuration.version(LISTENER_TYPE, "reviews:9080") !== "");
  configuration.apply([cluster("stray")]);
  expect(configuration.version(CLUSTER_TYPE, "stray")).not.toBe("");
  client.connect();
  await eventually(() => streams.length === 2);
  expect(configuration.version(CLUSTER_TYPE, "stray")).toBe("");
  expect(configuration.version(LISTENER_TYPE, "reviews:9080")).not.toBe("");
});
