import { createTestAuthority, eventually, FakeClock } from "@tulle/testkit";
import { connect } from "node:net";
import { once } from "node:events";
import { afterEach, expect, test } from "vitest";

import {
  backend,
  call,
  closeAll,
  closedPort,
  createProxy,
  rawBackend,
  TestIdentity,
  type TestProxy,
  type TestProxyOptions,
} from "../../test/harness.js";
import { dial } from "../../test/http2.js";
import {
  apiListener,
  cluster,
  DEFAULT_RETRIES,
  endpoints,
  ms,
  routes,
  routeTo,
  tcpListener,
  type ClusterOptions,
} from "../../test/resources.js";
import { clustersJson, clustersText } from "../admin/clusters.js";

afterEach(closeAll);

const CLUSTER = "outbound|9080||reviews.default.svc.cluster.local";

async function proxyTo(
  ports: readonly number[],
  outlierDetection: NonNullable<ClusterOptions["outlierDetection"]>,
  action: Record<string, unknown> = { retryPolicy: undefined },
  options: TestProxyOptions = {},
): Promise<{ proxy: TestProxy; port: number; calls: (count: number) => Promise<string[]> }> {
  const proxy = createProxy(options);
  proxy.apply(
    apiListener("reviews:9080", "routes"),
    routes("routes", [routeTo(CLUSTER, action)]),
    cluster(CLUSTER, { outlierDetection }),
    endpoints(
      CLUSTER,
      ports.map((port) => ({ port })),
    ),
  );
  const port = await proxy.listen("reviews:9080");
  const calls = async (count: number): Promise<string[]> => {
    const answers: string[] = [];
    for (let i = 0; i < count; i++) answers.push((await call(port)).body);
    return answers;
  };
  return { proxy, port, calls };
}

const ejectedPorts = (proxy: TestProxy): string[] =>
  [
    ...clustersText(proxy.configuration.current, proxy.load).matchAll(
      /:(\d+)::health_flags::\/failed_outlier_check/g,
    ),
  ].map(([, port]) => port!);

test("an endpoint that answers 500 is ejected, others take all, and it comes back after its time", async () => {
  let broken = true;
  const { port: bad } = await backend((_request, response) => {
    response.statusCode = broken ? 500 : 200;
    response.end("bad");
  });
  const { port: good } = await backend((_request, response) => response.end("good"));
  const healthClock = new FakeClock();
  const { proxy, calls } = await proxyTo(
    [bad, good],
    { maxEjectionPercent: 50, interval: ms(10_000), baseEjectionTime: ms(30_000) },
    { retryPolicy: undefined },
    { healthClock },
  );
  await healthClock.advance(1000);
  await eventually(async () => {
    await calls(2);
    return ejectedPorts(proxy).includes(String(bad));
  });
  expect(await calls(20)).toEqual(Array.from({ length: 20 }, () => "good"));
  expect(proxy.metricsText()).toContain(
    `envoy_cluster_outlier_detection_ejections_active{cluster_name="${CLUSTER}"} 1`,
  );
  expect(proxy.metricsText()).toContain(
    `envoy_cluster_outlier_detection_ejections_enforced_consecutive_5xx{cluster_name="${CLUSTER}"} 1`,
  );
  const [status] = (clustersJson(proxy.configuration.current, proxy.load, () => undefined) as Dump)
    .cluster_statuses;
  expect(
    status!.host_statuses.find(({ address }) => address.socket_address.port_value === bad),
  ).toMatchObject({
    health_status: { failed_outlier_check: true },
    ejection: { active: true, reason: "consecutive_5xx", ejections: 1 },
  });
  broken = false;
  await healthClock.advance(29_000);
  expect(ejectedPorts(proxy)).toEqual([String(bad)]);
  await healthClock.advance(11_000);
  expect(ejectedPorts(proxy)).toEqual([]);
  await eventually(async () => (await calls(4)).includes("bad"));
});

interface Dump {
  readonly cluster_statuses: readonly {
    readonly host_statuses: readonly {
      readonly address: { readonly socket_address: { readonly port_value: number } };
    }[];
  }[];
}

test("an endpoint that refuses connections is ejected, and of less than 100 % one always stays", async () => {
  const dead = await closedPort();
  const other = await closedPort();
  const { proxy, calls } = await proxyTo(
    [dead, other],
    {
      splitExternalLocalOriginErrors: true,
      enforcingConsecutive5xx: 0,
      maxEjectionPercent: 99,
    },
    { retryPolicy: DEFAULT_RETRIES },
  );
  await calls(20);
  expect(ejectedPorts(proxy)).toHaveLength(1);
});

test("a try that takes too long, a broken connection and the route's own timeout count", async () => {
  const { port: slow } = await rawBackend((socket) => socket.resume());
  const { port: broken } = await rawBackend((socket) => socket.once("data", () => socket.destroy()));
  const only = {
    splitExternalLocalOriginErrors: true,
    consecutiveLocalOriginFailure: 2,
    maxEjectionPercent: 100,
  };
  for (const [port, action] of [
    [slow, { retryPolicy: undefined, timeout: ms(30) }],
    [slow, { retryPolicy: { retryOn: "5xx", numRetries: 1, perTryTimeout: ms(30) } }],
    [broken, { retryPolicy: undefined }],
  ] as const) {
    const { proxy, calls } = await proxyTo([port], only, action);
    await calls(2);
    expect(ejectedPorts(proxy)).toEqual([String(port)]);
  }
});

test("gRPC's UNAVAILABLE counts, in a head as in trailers, and its OK does not", async () => {
  const statuses = ["14", "0", "14", "14"];
  const { port } = await backend((request, response) => {
    const status = statuses.shift() ?? "0";
    request.resume();
    if (statuses.length % 2 === 0) {
      response.writeHead(200, { "content-type": "application/grpc", "grpc-status": status });
      response.end();
      return;
    }
    response.writeHead(200, { "content-type": "application/grpc", trailer: "grpc-status" });
    response.write("x");
    response.addTrailers({ "grpc-status": status });
    response.end();
  });
  const { proxy, port: listener } = await proxyTo([port], { consecutive5xx: 2, maxEjectionPercent: 100 });
  const session = dial(listener);
  const grpc = async (): Promise<void> => {
    const headers = {
      ":method": "POST",
      ":path": "/a.B/C",
      "content-type": "application/grpc",
      te: "trailers",
    };
    const stream = session.request(headers);
    stream.on("error", () => undefined);
    stream.resume();
    stream.end();
    await once(stream, "close");
  };
  for (let i = 0; i < 3; i++) await grpc();
  expect(ejectedPorts(proxy)).toEqual([]);
  await grpc();
  expect(ejectedPorts(proxy)).toEqual([String(port)]);
});

test("connections that cannot be made count for TCP, too", async () => {
  const dead = await closedPort();
  const { port: app } = await rawBackend((socket) => socket.end("hello"));
  const proxy = createProxy();
  proxy.apply(
    tcpListener("db:5432", CLUSTER, { maxConnectAttempts: 3 }),
    cluster(CLUSTER, { outlierDetection: { maxEjectionPercent: 50 } }),
    endpoints(CLUSTER, [{ port: dead }, { port: app }]),
  );
  const port = await proxy.listen("db:5432");
  await eventually(async () => {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.resume();
    await once(socket, "close");
    return ejectedPorts(proxy).length > 0;
  });
  expect(ejectedPorts(proxy)).toEqual([String(dead)]);
});

test("without outlier detection nothing is counted", async () => {
  const { port } = await backend((_request, response) => {
    response.statusCode = 500;
    response.end();
  });
  const proxy = createProxy();
  proxy.apply(
    apiListener("reviews:9080", "routes"),
    routes("routes", [routeTo(CLUSTER, { retryPolicy: undefined })]),
    cluster(CLUSTER),
    endpoints(CLUSTER, [{ port }]),
  );
  const listener = await proxy.listen("reviews:9080");
  for (let i = 0; i < 8; i++) await call(listener);
  expect(clustersText(proxy.configuration.current, proxy.load)).toContain("health_flags::healthy");
});

test("an endpoint that swallows connections is ejected, though the route's timeout ends before that of the connection", async () => {
  const { port: silent } = await rawBackend((socket) => socket.resume());
  const identity = new TestIdentity(
    await (await createTestAuthority()).issue({ serviceAccount: "frontend" }),
  );
  const proxy = createProxy({ identity });
  proxy.apply(
    apiListener("reviews:9080", "routes"),
    routes("routes", [routeTo(CLUSTER, { retryPolicy: undefined, timeout: ms(40) })]),
    cluster(CLUSTER, {
      connectTimeoutMs: 10_000,
      tls: { sni: "a", spiffeId: "spiffe://cluster.local/ns/a/sa/b" },
      outlierDetection: { consecutive5xx: 2, maxEjectionPercent: 100 },
    }),
    endpoints(CLUSTER, [{ port: silent, mtls: true }]),
  );
  const port = await proxy.listen("reviews:9080");
  expect([(await call(port)).status, (await call(port)).status]).toEqual([504, 504]);
  expect(ejectedPorts(proxy)).toEqual([String(silent)]);
});

test("nobody is ejected for want of a certificate of our own", async () => {
  const { port: app } = await rawBackend((socket) => socket.resume());
  const proxy = createProxy();
  proxy.apply(
    apiListener("reviews:9080", "routes"),
    routes("routes", [routeTo(CLUSTER, { retryPolicy: undefined })]),
    cluster(CLUSTER, {
      tls: { sni: "a", spiffeId: "spiffe://cluster.local/ns/a/sa/b" },
      outlierDetection: { consecutive5xx: 2, maxEjectionPercent: 100 },
    }),
    endpoints(CLUSTER, [{ port: app, mtls: true }]),
  );
  const port = await proxy.listen("reviews:9080");
  for (let i = 0; i < 4; i++) expect((await call(port)).body).toContain("no certificate yet");
  expect(ejectedPorts(proxy)).toEqual([]);
});
