import { connect, Socket } from "node:net";

import { createTestAuthority, eventually } from "@tulle/testkit";
import { afterEach, expect, test, vi } from "vitest";

import {
  backend,
  call,
  closeAll,
  createProxy,
  rawBackend,
  TestIdentity,
  type TestProxy,
} from "../../test/harness.js";
import { http2App } from "../../test/http2.js";
import {
  apiListener,
  cluster,
  endpoints,
  ms,
  routes,
  routeTo,
  tcpListener,
  type ClusterOptions,
} from "../../test/resources.js";
import { clustersText } from "../admin/clusters.js";
import { addCircuitBreakerMetrics } from "../telemetry/circuit-breaker-metrics.js";

// How long connections to endpoints live, and how many there may be.

afterEach(async () => {
  vi.restoreAllMocks();
  await closeAll();
});

const CLUSTER = "outbound|9080||reviews.default.svc.cluster.local";

async function proxyTo(port: number, options: ClusterOptions): Promise<{ proxy: TestProxy; port: number }> {
  const proxy = createProxy();
  proxy.apply(
    apiListener("reviews:9080", "routes"),
    routes("routes", [routeTo(CLUSTER, { retryPolicy: undefined })]),
    cluster(CLUSTER, options),
    endpoints(CLUSTER, [{ port }]),
  );
  return { proxy, port: await proxy.listen("reviews:9080") };
}

test("an HTTP/1.1 connection is closed after idle_timeout, and not before", async () => {
  for (const [idleMs, closes] of [
    [400, true],
    [0, false],
  ] as const) {
    let closed = 0;
    const { port: app, server } = await backend((_request, response) => response.end());
    server.on("connection", (socket) => socket.on("close", () => closed++));
    const { port } = await proxyTo(app, { common: { idleTimeout: ms(idleMs) } });
    const startMs = performance.now();
    await call(port);
    if (closes) {
      await eventually(() => closed === 1);
      expect(performance.now() - startMs).toBeGreaterThan(350);
    } else {
      await call(port);
      expect(closed).toBe(0);
    }
  }
});

test("after max_connection_duration a connection takes no request any more, and one under way ends in peace", async () => {
  let connections = 0;
  const waiting: (() => void)[] = [];
  const { port: app, server } = await backend((request, response) => {
    if (request.url === "/wait") waiting.push(() => response.end("waited"));
    else response.end();
  });
  server.on("connection", () => connections++);
  const { port } = await proxyTo(app, { common: { maxConnectionDuration: ms(100) } });
  const slow = call(port, "/wait");
  await eventually(() => waiting.length === 1);
  const until = performance.now() + 150;
  await eventually(() => performance.now() > until);
  waiting[0]!();
  expect((await slow).body).toBe("waited");
  await call(port);
  expect(connections).toBe(2);
});

test("an HTTP/2 connection takes no request after max_connection_duration", async () => {
  let sessions = 0;
  const { port: app, server } = await http2App((stream) => {
    stream.respond({ ":status": 200 });
    stream.end();
  });
  server.on("session", () => sessions++);
  const { port } = await proxyTo(app, { http2: true, common: { maxConnectionDuration: ms(300) } });
  await call(port);
  await eventually(async () => {
    await call(port);
    return sessions > 1;
  });
});

test("max_concurrent_streams: more requests at once take more connections", async () => {
  let sessions = 0;
  const waiting: (() => void)[] = [];
  const { port: app, server } = await http2App((stream) => {
    waiting.push(() => {
      stream.respond({ ":status": 200 });
      stream.end();
    });
  });
  server.on("session", () => sessions++);
  const { port } = await proxyTo(app, { http2: true, http2Options: { maxConcurrentStreams: 2 } });
  const calls = Array.from({ length: 5 }, () => call(port));
  await eventually(() => waiting.length === 5);
  expect(sessions).toBe(3);
  for (const answer of waiting) answer();
  for (const { status } of await Promise.all(calls)) expect(status).toBe(200);
});

test("connection_keepalive: a server that says nothing is asked, and given up when it does not answer", async () => {
  const { port: app } = await rawBackend((socket) => {
    // SETTINGS, and nothing else ever.
    socket.write(Buffer.from("000000040000000000", "hex"));
    socket.resume();
  });
  const { port } = await proxyTo(app, {
    http2: true,
    http2Options: { connectionKeepalive: { interval: ms(300), timeout: ms(300) } },
  });
  const answer = await call(port);
  expect(answer.status).toBe(503);
  expect(answer.body).toContain("HTTP2_PING_TIMEOUT");
});

test("tcp_keepalive is set on connections of HTTP and of bytes", async () => {
  const set = vi.spyOn(Socket.prototype, "setKeepAlive");
  const { port: app } = await backend((_request, response) => response.end());
  const { proxy, port } = await proxyTo(app, { keepAliveSeconds: 77 });
  await call(port);
  expect(set.mock.calls).toContainEqual([true, 77_000]);
  set.mockClear();
  proxy.apply(tcpListener("db:5432", CLUSTER));
  const socket = connect(await proxy.listen("db:5432"), "127.0.0.1");
  await eventually(() => set.mock.calls.some(([, delayMs]) => delayMs === 77_000));
  socket.destroy();
});

test("a TCP connection is closed after max_connection_duration, busy or not", async () => {
  const { port: app } = await rawBackend((socket) => socket.pipe(socket));
  const proxy = createProxy();
  proxy.apply(
    cluster(CLUSTER, { common: { maxConnectionDuration: ms(200) } }),
    endpoints(CLUSTER, [{ port: app }]),
    tcpListener("db:5432", CLUSTER),
  );
  const socket = connect(await proxy.listen("db:5432"), "127.0.0.1");
  socket.on("error", () => undefined);
  const beat = setInterval(() => socket.write("x"), 20);
  await new Promise((resolve) => socket.once("close", resolve));
  clearInterval(beat);
  await eventually(() => proxy.log().some((line) => line.includes(" DT - max_connection_duration ")));
});

test("connect_timeout bounds the handshake, too", async () => {
  const { port: silent } = await rawBackend((socket) => socket.resume());
  const identity = new TestIdentity(
    await (await createTestAuthority()).issue({ serviceAccount: "frontend" }),
  );
  const proxy = createProxy({ identity });
  proxy.apply(
    apiListener("reviews:9080", "routes"),
    routes("routes", [routeTo(CLUSTER, { retryPolicy: undefined })]),
    cluster(CLUSTER, {
      connectTimeoutMs: 150,
      tls: { sni: "a", spiffeId: "spiffe://cluster.local/ns/a/sa/b" },
    }),
    endpoints(CLUSTER, [{ port: silent, mtls: true }]),
  );
  const port = await proxy.listen("reviews:9080");
  const startMs = performance.now();
  const answer = await call(port);
  expect(performance.now() - startMs).toBeGreaterThan(140);
  expect(answer.body).toContain("timed out");
  expect(proxy.log()[0]).toContain(" 503 UF upstream_reset_before_response_started{connection_timeout} ");
});

test("a full circuit breaker answers with x-envoy-overloaded, and its gauges say so", async () => {
  const waiting: (() => void)[] = [];
  const { port: app } = await backend((_request, response) => {
    waiting.push(() => response.end());
  });
  const { proxy, port } = await proxyTo(app, { thresholds: { maxRequests: 2, trackRemaining: true } });
  addCircuitBreakerMetrics(proxy.metrics, proxy.configuration, proxy.load);
  const gauge = (name: string): string | undefined =>
    new RegExp(`envoy_cluster_circuit_breakers_default_${name}\\{[^}]*\\} (\\d+)`).exec(
      proxy.metricsText(),
    )?.[1];
  const first = call(port);
  await eventually(() => waiting.length === 1);
  expect([gauge("rq_open"), gauge("remaining_rq"), gauge("cx_open")]).toEqual(["0", "1", "0"]);
  const second = call(port);
  await eventually(() => waiting.length === 2);
  expect([gauge("rq_open"), gauge("remaining_rq")]).toEqual(["1", "0"]);
  const refused = await call(port);
  expect([refused.status, refused.headers["x-envoy-overloaded"]]).toEqual([503, "true"]);
  expect(proxy.log()[0]).toContain(" 503 UO upstream_reset_before_response_started{overflow} ");
  for (const answer of waiting) answer();
  expect([(await first).status, (await second).headers["x-envoy-overloaded"]]).toEqual([200, undefined]);
});

test("routes of priority HIGH have limits of their own", async () => {
  const waiting: (() => void)[] = [];
  const { port: app } = await backend((_request, response) => {
    waiting.push(() => response.end());
  });
  const proxy = createProxy();
  const high = routeTo(CLUSTER, { retryPolicy: undefined, priority: 1 });
  proxy.apply(
    apiListener("reviews:9080", "routes"),
    routes("routes", [
      { ...high, match: { pathSpecifier: { case: "prefix", value: "/high" } } },
      routeTo(CLUSTER, { retryPolicy: undefined }),
    ]),
    cluster(CLUSTER, { thresholds: { maxRequests: 1 }, highThresholds: { maxRequests: 2 } }),
    endpoints(CLUSTER, [{ port: app }]),
  );
  addCircuitBreakerMetrics(proxy.metrics, proxy.configuration, proxy.load);
  const port = await proxy.listen("reviews:9080");
  const begun = [call(port, "/"), call(port, "/high"), call(port, "/high")];
  await eventually(() => waiting.length === 3);
  expect([(await call(port, "/")).status, (await call(port, "/high")).status]).toEqual([503, 503]);
  expect(proxy.metricsText()).toContain(
    `envoy_cluster_circuit_breakers_high_rq_open{cluster_name="${CLUSTER}"} 1`,
  );
  expect(clustersText(proxy.configuration.current, proxy.load)).toContain(
    "::high_priority::max_requests::2\n",
  );
  for (const answer of waiting) answer();
  for (const { status } of await Promise.all(begun)) expect(status).toBe(200);
  expect([proxy.load.clusterInFlight(proxy.configuration.current.cluster(CLUSTER)!.high!.slot)]).toEqual([0]);
});

test("per_host_thresholds bound the connections to each endpoint; who comes later waits for one", async () => {
  const waiting: (() => void)[] = [];
  const { port: app, server } = await backend((_request, response) => {
    waiting.push(() => response.end());
  });
  let connections = 0;
  server.on("connection", () => connections++);
  const { proxy, port } = await proxyTo(app, { maxConnectionsPerHost: 2 });
  const calls = [call(port), call(port), call(port)];
  await eventually(() => waiting.length === 2);
  expect(clustersText(proxy.configuration.current, proxy.load)).toContain("::cx_active::2\n");
  waiting.shift()!();
  await eventually(() => waiting.length === 2);
  expect(connections).toBe(2);
  for (const answer of waiting) answer();
  expect((await Promise.all(calls)).map(({ status }) => status)).toEqual([200, 200, 200]);
  expect(proxy.metricsText()).toMatch(/envoy_cluster_upstream_cx_overflow\{[^}]*\} [1-9]/);
});

test("max_connection_pools bounds pools: an idle one makes room, and without any a request is refused", async () => {
  const waiting: (() => void)[] = [];
  const { port: app } = await backend((request, response) => {
    if (request.url === "/wait") waiting.push(() => response.end());
    else response.end();
  });
  const { proxy, port } = await proxyTo(app, {
    thresholds: { maxConnectionPools: 1, trackRemaining: true },
    more: { connectionPoolPerDownstreamConnection: true },
  });
  addCircuitBreakerMetrics(proxy.metrics, proxy.configuration, proxy.load);
  // Each call is a client's connection of its own: its pool takes the place of the one before.
  expect([(await call(port)).status, (await call(port)).status]).toEqual([200, 200]);
  const slow = call(port, "/wait");
  await eventually(() => waiting.length === 1);
  const refused = await call(port);
  expect([refused.status, refused.headers["x-envoy-overloaded"]]).toEqual([503, "true"]);
  const text = proxy.metricsText();
  expect(text).toMatch(/envoy_cluster_upstream_cx_pool_overflow\{[^}]*\} 1/);
  expect(text).toMatch(/circuit_breakers_default_cx_pool_open\{[^}]*\} 1/);
  waiting[0]!();
  expect((await slow).status).toBe(200);
  expect((await call(port)).status).toBe(200);
  expect(clustersText(proxy.configuration.current, proxy.load)).toContain("::max_connection_pools::1\n");
});
