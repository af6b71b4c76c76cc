import type { IncomingMessage, ServerResponse } from "node:http";

import { create } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { createLogger } from "@tulle/base";
import { healthOf } from "@tulle/engine";
import { encodeGrpcMessage } from "@tulle/http";
import { createTestAuthority, eventually } from "@tulle/testkit";
import { RedisSchema } from "@tulle/xds/gen/envoy/extensions/health_checkers/redis/v3/redis_pb.js";
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
} from "../../test/harness.js";
import { http2App } from "../../test/http2.js";
import { CLUSTER, SNI, REVIEWS, startPair } from "../../test/pair.js";
import {
  apiListener,
  cluster,
  endpoints,
  ms,
  routes,
  routeTo,
  type ClusterOptions,
} from "../../test/resources.js";
import { clustersJson, clustersText } from "../admin/clusters.js";

afterEach(closeAll);

type Check = NonNullable<ClusterOptions["healthCheck"]>;

const TIMES = { timeout: ms(1000), interval: ms(30), noTrafficInterval: ms(30) };
const HTTP: Check = { ...TIMES, healthChecker: { case: "httpHealthCheck", value: { path: "/healthz" } } };

interface Checking {
  readonly proxy: TestProxy;
  readonly lines: string[];
  /** Whether each endpoint is up, in their order. */
  readonly up: () => boolean[];
  readonly apply: (check: Check | undefined) => void;
}

function checking(ports: readonly number[], check: Check, options: ClusterOptions = {}): Checking {
  const lines: string[] = [];
  const logger = createLogger({ level: "debug", write: (line) => lines.push(line), now: () => 0 });
  const proxy = createProxy({ logger });
  const apply = (healthCheck: Check | undefined): void =>
    proxy.apply(
      apiListener("reviews:9080", "routes"),
      routes("routes", [routeTo(CLUSTER, { retryPolicy: undefined })]),
      cluster(CLUSTER, { ...options, ...(healthCheck === undefined ? {} : { healthCheck }) }),
      endpoints(
        CLUSTER,
        ports.map((port) => ({ port })),
      ),
    );
  apply(check);
  const up = (): boolean[] =>
    proxy.configuration.current
      .cluster(CLUSTER)!
      .endpoints.map(({ slot }) => !healthOf(proxy.load, slot).checkFailed);
  return { proxy, lines, up, apply };
}

function attempts(proxy: TestProxy): number {
  const match = /envoy_cluster_health_check_attempt\{[^}]*\} (\d+)/.exec(proxy.metricsText());
  return Number(match?.[1] ?? 0);
}

async function app(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<number> {
  return (await backend(answer)).port;
}

test("an endpoint whose check fails gets no requests until it passes again", async () => {
  let status = 200;
  const sick = await app((request, response) => {
    response.statusCode = request.url === "/healthz" ? status : 200;
    response.end("sick");
  });
  const well = await app((_request, response) => response.end("well"));
  const { proxy, lines, up } = checking([sick, well], HTTP);
  const port = await proxy.listen("reviews:9080");
  await eventually(() => attempts(proxy) > 2);
  expect(up()).toEqual([true, true]);
  status = 503;
  await eventually(() => !up()[0]);
  for (let i = 0; i < 10; i++) expect((await call(port)).body).toBe("well");
  expect(clustersText(proxy.configuration.current, proxy.load)).toContain(
    `:${sick}::health_flags::/failed_active_hc\n`,
  );
  expect(
    JSON.stringify(
      clustersJson(proxy.configuration.current, proxy.load, (slot) => proxy.health.checkFailureOf(slot)),
    ),
  ).toContain('"failed_check":{"reason":"it answered 503"');
  expect(proxy.metricsText()).toContain(`envoy_cluster_health_check_healthy{cluster_name="${CLUSTER}"} 1`);
  status = 200;
  await eventually(() => up()[0]);
  await eventually(async () => (await call(port)).body === "sick");
  expect(lines.map((line) => (JSON.parse(line) as { message: string }).message)).toEqual([
    "endpoint is unhealthy",
    "endpoint is healthy again",
  ]);
  expect(lines[0]).toContain("it answered 503");
});

test("a check of Redis asks for a sign of life, or whether a key is absent", async () => {
  let maintenance = false;
  const heard: string[] = [];
  const { port } = await rawBackend((socket) => {
    socket.on("data", (chunk: Buffer) => {
      const text = chunk.toString();
      heard.push(text);
      if (text.includes("PING")) socket.write("+PONG\r\n");
      else socket.write(maintenance ? ":1\r\n" : ":0\r\n");
    });
  });
  const redis = (key: string): Check => ({
    ...TIMES,
    healthChecker: {
      case: "customHealthCheck",
      value: {
        name: "envoy.health_checkers.redis",
        configType: {
          case: "typedConfig",
          value: anyPack(RedisSchema, create(RedisSchema, { key })),
        },
      },
    },
  });
  const { proxy, lines, up, apply } = checking([port], redis(""));
  await eventually(() => attempts(proxy) > 2);
  expect(up()).toEqual([true]);
  expect(heard[0]).toBe("*1\r\n$4\r\nPING\r\n");
  apply(redis("maintenance"));
  await eventually(() => heard.some((text) => text.includes("EXISTS")));
  expect(up()).toEqual([true]);
  maintenance = true;
  await eventually(() => !up()[0]);
  expect(lines.at(-1)).toContain("it has the key maintenance");
  maintenance = false;
  await eventually(() => up()[0]);
});

test("a check sends what it is told to, to whom it is told to", async () => {
  const seen: IncomingMessage[] = [];
  const port = await app((request, response) => {
    seen.push(request);
    response.statusCode = 204;
    response.end();
  });
  const { up } = checking([port], {
    ...TIMES,
    healthChecker: {
      case: "httpHealthCheck",
      value: {
        path: "/up?deep=1",
        host: "db.internal",
        method: 2,
        requestHeadersToAdd: [{ header: { key: "x-probe", value: "1" } }],
        requestHeadersToRemove: ["user-agent"],
        expectedStatuses: [{ start: 200n, end: 300n }],
      },
    },
  });
  await eventually(() => seen.length > 2);
  expect(up()).toEqual([true]);
  const [{ method, url, headers } = {} as IncomingMessage] = seen;
  expect([method, url, headers.host, headers["x-probe"], headers["user-agent"]]).toEqual([
    "HEAD",
    "/up?deep=1",
    "db.internal",
    "1",
    undefined,
  ]);
  expect(new Set(seen.map(({ socket }) => socket)).size).toBe(1);
});

test("reuse_connection false: each check has a connection of its own", async () => {
  const sockets = new Set<unknown>();
  const port = await app((request, response) => {
    sockets.add(request.socket);
    response.end();
  });
  checking([port], { ...HTTP, reuseConnection: false });
  await eventually(() => sockets.size > 2);
});

test("a status that may be retried counts towards the threshold, another turns at once", async () => {
  const statuses: number[] = [];
  const port = await app((_request, response) => {
    response.statusCode = statuses.shift() ?? 200;
    response.end();
  });
  const { proxy, up, lines } = checking([port], {
    ...TIMES,
    unhealthyThreshold: 3,
    alwaysLogHealthCheckFailures: true,
    healthChecker: {
      case: "httpHealthCheck",
      value: { path: "/", retriableStatuses: [{ start: 500n, end: 501n }] },
    },
  });
  await eventually(() => attempts(proxy) > 1);
  statuses.push(500, 500);
  await eventually(() => lines.length === 2);
  const after = attempts(proxy);
  await eventually(() => attempts(proxy) > after + 1);
  expect(up()).toEqual([true]);
  statuses.push(503);
  await eventually(() => !up()[0]);
  expect(lines.filter((line) => line.includes("health check failed"))).toHaveLength(2);
});

test("an endpoint that cannot be reached, or takes too long, is down after as many checks as the threshold says", async () => {
  const dead = await closedPort();
  const { port: slow } = await rawBackend((socket) => socket.resume());
  const { up, lines } = checking([dead, slow], { ...HTTP, timeout: ms(60) });
  await eventually(() => up().every((one) => !one));
  expect(lines.join("\n")).toContain("ECONNREFUSED");
  expect(lines.join("\n")).toContain("there was no answer within 60 ms");
});

test("an answer must contain what is expected, in that order", async () => {
  let body = "db ok, cache ok";
  const port = await app((_request, response) => response.end(body));
  const hex = (text: string) => ({
    payload: { case: "text" as const, value: Buffer.from(text).toString("hex") },
  });
  const { up, proxy } = checking([port], {
    ...TIMES,
    healthChecker: {
      case: "httpHealthCheck",
      value: { path: "/", receive: [hex("db ok"), hex("cache ok")] },
    },
  });
  await eventually(() => attempts(proxy) > 2);
  expect(up()).toEqual([true]);
  body = "cache ok, db ok";
  await eventually(() => !up()[0]);
});

test("x-envoy-degraded makes an endpoint the last choice", async () => {
  let degraded = true;
  const tired = await app((_request, response) => {
    if (degraded) response.setHeader("x-envoy-degraded", "");
    response.end("tired");
  });
  const fresh = await app((_request, response) => response.end("fresh"));
  const { proxy } = checking([tired, fresh], HTTP);
  const port = await proxy.listen("reviews:9080");
  await eventually(() =>
    clustersText(proxy.configuration.current, proxy.load).includes("health_flags::/degraded_active_hc"),
  );
  for (let i = 0; i < 10; i++) expect((await call(port)).body).toBe("fresh");
  degraded = false;
  await eventually(async () => (await call(port)).body === "tired");
});

test("an endpoint that answers a request with x-envoy-immediate-health-check-fail is down at once", async () => {
  let leaves = true;
  const leaving = await app((request, response) => {
    if (leaves && request.url !== "/healthz")
      response.setHeader("x-envoy-immediate-health-check-fail", "true");
    response.statusCode = leaves && request.url === "/healthz" ? 503 : 200;
    response.end("leaving");
  });
  const { proxy, up, lines } = checking([leaving], { ...HTTP, interval: ms(100), unhealthyThreshold: 100 });
  await eventually(() => attempts(proxy) > 0);
  leaves = true;
  const port = await proxy.listen("reviews:9080");
  await call(port);
  await eventually(() => !up()[0]);
  expect(lines.join("\n")).toMatch(/x-envoy-immediate-health-check-fail|it answered 503/);
  leaves = false;
  await eventually(() => up()[0]);
});

test("TCP: a connection is enough, and with a payload the answer to it", async () => {
  const { port: silent } = await rawBackend((socket) => socket.resume());
  const { port: redis } = await rawBackend((socket) => {
    socket.on("data", (bytes: Buffer) => {
      if (bytes.toString() === "PING\r\n") socket.write("+PONG\r\n");
    });
  });
  const connect = checking([silent, await closedPort()], {
    ...TIMES,
    healthChecker: { case: "tcpHealthCheck", value: {} },
  });
  await eventually(() => !connect.up()[1]);
  expect(connect.up()).toEqual([true, false]);
  const bytes = (text: string) => ({ payload: { case: "binary" as const, value: Buffer.from(text) } });
  const speak = checking([silent, redis], {
    ...TIMES,
    timeout: ms(80),
    healthChecker: { case: "tcpHealthCheck", value: { send: bytes("PING\r\n"), receive: [bytes("+PONG")] } },
  });
  await eventually(() => !speak.up()[0]);
  expect(speak.up()).toEqual([false, true]);
});

test("gRPC: the health service's status decides", async () => {
  let status = 1;
  const asked: unknown[] = [];
  const { port } = await http2App((stream, headers) => {
    const parts: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => parts.push(chunk));
    stream.on("end", () => {
      asked.push([
        headers[":path"],
        headers[":authority"],
        headers["x-token"],
        Buffer.concat(parts).toString("hex"),
      ]);
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end(encodeGrpcMessage(Buffer.of(0x08, status)));
    });
  });
  const check: Check = {
    ...TIMES,
    healthChecker: {
      case: "grpcHealthCheck",
      value: {
        serviceName: "chat",
        authority: "chat.internal",
        initialMetadata: [{ header: { key: "x-token", value: "t" } }],
      },
    },
  };
  const { up, lines } = checking([port], check);
  await eventually(() => asked.length > 1);
  expect(asked[0]).toEqual(["/grpc.health.v1.Health/Check", "chat.internal", "t", "00000000060a0463686174"]);
  expect(up()).toEqual([true]);
  status = 2;
  await eventually(() => !up()[0]);
  expect(lines.join("\n")).toContain("its status is NOT_SERVING");
  status = 1;
  await eventually(() => up()[0]);
});

test("gRPC: a server that does not have the health service is down", async () => {
  const { port } = await http2App((stream) => {
    stream.respond(
      { ":status": 200, "content-type": "application/grpc", "grpc-status": "12" },
      { endStream: true },
    );
  });
  const { up, lines } = checking([port], { ...TIMES, healthChecker: { case: "grpcHealthCheck", value: {} } });
  await eventually(() => !up()[0]);
  expect(lines.join("\n")).toContain("it answered UNIMPLEMENTED");
});

test("a check that is taken away holds nobody back any more", async () => {
  const { up, apply } = checking([await closedPort()], HTTP);
  await eventually(() => !up()[0]);
  apply(undefined);
  await eventually(() => up()[0]);
});

test("another port may be asked", async () => {
  const well = await app((_request, response) => response.end());
  const { up, proxy } = checking([await closedPort()], { ...HTTP, altPort: well });
  await eventually(() => attempts(proxy) > 2);
  expect(up()).toEqual([true]);
});

test("an endpoint that was ejected returns when its check passes", async () => {
  const port = await app((request, response) => {
    response.statusCode = request.url === "/healthz" ? 200 : 500;
    response.end();
  });
  const { proxy, lines } = checking(
    [port],
    { ...HTTP, interval: ms(200) },
    {
      outlierDetection: { consecutive5xx: 2, maxEjectionPercent: 100 },
    },
  );
  const listener = await proxy.listen("reviews:9080");
  await call(listener);
  await call(listener);
  await eventually(() => lines.some((line) => line.includes("its health check passed")));
  expect(lines.some((line) => line.includes("endpoint ejected"))).toBe(true);
});

test("nobody is held to be down for want of a certificate of our own", async () => {
  const authority = await createTestAuthority();
  const identity = new TestIdentity();
  const proxy = createProxy({ identity });
  const { port: dead } = await rawBackend((socket) => socket.destroy());
  proxy.apply(
    cluster(CLUSTER, { tls: { sni: SNI, spiffeId: REVIEWS }, healthCheck: HTTP }),
    endpoints(CLUSTER, [{ port: dead, mtls: true }]),
  );
  const { slot } = proxy.configuration.current.cluster(CLUSTER)!.endpoints[0]!;
  const until = performance.now() + 400;
  await eventually(() => performance.now() > until);
  expect([attempts(proxy), proxy.load.unhealthy(slot)]).toEqual([0, 0]);
  identity.rotate(await authority.issue({ serviceAccount: "frontend" }));
  await eventually(() => proxy.load.unhealthy(slot) !== 0);
});

test("an endpoint in the mesh is asked over mutual TLS, through its sidecar", async () => {
  const authority = await createTestAuthority();
  const seen: IncomingMessage[] = [];
  let status = 200;
  const { client, inboundPort } = await startPair(authority, {
    app: (request, response) => {
      seen.push(request);
      response.statusCode = status;
      response.end();
    },
  });
  client.apply(
    cluster(CLUSTER, { tls: { sni: SNI, spiffeId: REVIEWS }, healthCheck: HTTP }),
    endpoints(CLUSTER, [{ port: inboundPort, mtls: true }]),
  );
  await eventually(() => seen.length > 2);
  expect(seen[0]!.headers["x-forwarded-client-cert"]).toContain("sa/frontend");
  const { slot } = client.configuration.current.cluster(CLUSTER)!.endpoints[0]!;
  expect(client.load.unhealthy(slot)).toBe(0);
  status = 500;
  await eventually(() => client.load.unhealthy(slot) !== 0);
});

test("the connection of checks to an endpoint that is removed is closed, however long it might wait", async () => {
  let open = 0;
  const { port, server } = await backend((_request, response) => response.end());
  server.on("connection", (socket) => {
    open++;
    socket.on("close", () => open--);
  });
  const { proxy } = checking([port], HTTP, { common: { idleTimeout: ms(0) } });
  await eventually(() => attempts(proxy) > 2 && open === 1);
  proxy.apply(endpoints(CLUSTER, []));
  await eventually(() => open === 0);
});
