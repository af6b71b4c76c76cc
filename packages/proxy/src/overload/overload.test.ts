import { Agent } from "node:http";
import { connect } from "node:http2";
import { connect as tcpConnect } from "node:net";

import { eventually } from "@tulle/testkit";
import { afterEach, expect, test } from "vitest";

import { atEnd, backend, call, closeAll, createProxy, type TestProxy } from "../../test/harness.js";
import { apiListener, cluster, endpoints, routes, routeTo } from "../../test/resources.js";
import { refusingUnderOverload } from "./refused-connections.js";
import { isHealthCheck } from "./health-check-request.js";
import { listenTcp } from "../listener/tcp-listener.js";
import { CALM } from "./overload-manager.js";

afterEach(closeAll);

const MAIN = "outbound|80||main";
const memory = { heap: 0, memory: 0 };

async function proxied(): Promise<[TestProxy, number]> {
  memory.heap = 0;
  const { port: main } = await backend((_request, response) => response.end("ok"));
  const proxy = createProxy({ readMemory: () => memory });
  proxy.apply(
    cluster(MAIN),
    endpoints(MAIN, [{ port: main }]),
    apiListener("main:80", "r"),
    routes("r", [routeTo(MAIN)]),
  );
  return [proxy, await proxy.listen("main:80")];
}

test("an overloaded proxy refuses requests, says so, closes connections, and is well again", async () => {
  const [proxy, port] = await proxied();
  expect((await call(port)).status).toBe(200);
  memory.heap = 1;
  await eventually(() => proxy.stack.overload.pressure === 1);
  const agent = new Agent({ keepAlive: true });
  const refused = await call(port, "/", { agent });
  agent.destroy();
  expect(refused.status).toBe(503);
  expect(refused.headers).toMatchObject({ "x-envoy-local-overloaded": "true", connection: "close" });
  expect(refused.body).toContain("overloaded");
  const grpc = await call(port, "/a/B", { method: "POST", headers: { "content-type": "application/grpc" } });
  expect(grpc.status).toBe(503);
  await eventually(() => / 503 OM overload /.test(proxy.log().join("\n")));
  expect(proxy.metricsText()).toMatch(/^envoy_http_downstream_rq_overload_close(?:\{\})? 2$/m);
  expect(proxy.metricsText()).toContain('tulle_limit_exceeded_total{limit="overload.heapShedPercent"} 1');
  memory.heap = 0;
  await eventually(() => proxy.stack.overload.pressure === 0);
  expect((await call(port)).status).toBe(200);
});

/** Between its thresholds: four in ten requests are refused, and no connection is closed. */
const HALF_FULL = 0.944;

test("beyond twenty a second a refusal is told to its client alone, whose connection goes on", async () => {
  const [proxy, port] = await proxied();
  memory.heap = HALF_FULL;
  await eventually(() => proxy.stack.overload.pressure > 0.3);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  atEnd(() => agent.destroy());
  const answers = [];
  for (let request = 0; request < 200; request++) answers.push(await call(port, "/", { agent }));
  const refused = answers.filter(({ status }) => status === 503);
  expect(Math.abs(refused.length - 80)).toBeLessThanOrEqual(1);
  expect(refused.every(({ headers }) => headers["x-envoy-local-overloaded"] === "true")).toBe(true);
  const quiet = refused.filter(({ body }) => body === "");
  expect(quiet.length).toBeGreaterThan(0);
  expect(answers.filter(({ status, body }) => status === 200 && body === "ok").length).toBe(
    200 - refused.length,
  );
  expect(answers.every(({ headers }) => headers.connection !== "close")).toBe(true);
  expect(proxy.log().filter((line) => line.includes(" 503 OM overload ")).length).toBe(
    refused.length - quiet.length,
  );
  expect(proxy.metricsText()).toMatch(
    new RegExp(`^envoy_http_downstream_rq_overload_close(?:\\{\\})? ${refused.length}$`, "m"),
  );
});

test("over HTTP/2 as well, with a body or without, and a gRPC caller gets its status", async () => {
  const [proxy, port] = await proxied();
  memory.heap = HALF_FULL;
  await eventually(() => proxy.stack.overload.pressure > 0.3);
  const session = connect(`http://127.0.0.1:${port}`);
  atEnd(() => session.destroy());
  const ask = (headers: Record<string, string>, body?: string) =>
    new Promise<Record<string, unknown>>((resolve, reject) => {
      const stream = session.request(headers, { endStream: body === undefined });
      stream.on("response", (head) => {
        stream.resume();
        stream.on("close", () => resolve(head));
      });
      stream.on("error", reject);
      if (body !== undefined) stream.end(body);
    });
  const gets: Record<string, unknown>[] = [];
  const posts: Record<string, unknown>[] = [];
  const grpcs: Record<string, unknown>[] = [];
  const grpc = { ":path": "/a/B", ":method": "POST", "content-type": "application/grpc", te: "trailers" };
  // One after the other, so that the share of each is known; the first twenty refusals are told at length.
  for (let i = 0; i < 70; i++) gets.push(await ask({ ":path": "/" }));
  for (let i = 0; i < 10; i++) posts.push(await ask({ ":path": "/", ":method": "POST" }, "x".repeat(20_000)));
  for (let i = 0; i < 10; i++) grpcs.push(await ask(grpc, `${i}`));
  for (const [some, refused] of [
    [gets, 28],
    [posts, 4],
  ] as const) {
    const those = some.filter((head) => head[":status"] === 503);
    expect(Math.abs(those.length - refused)).toBeLessThanOrEqual(1);
    expect(those.every((head) => head["x-envoy-local-overloaded"] === "true")).toBe(true);
  }
  const unavailable = grpcs.filter((head) => head["grpc-status"] === "14");
  expect(Math.abs(unavailable.length - 4)).toBeLessThanOrEqual(1);
  expect(unavailable.every((head) => head[":status"] === 200)).toBe(true);
  memory.heap = 0;
  await eventually(() => proxy.stack.overload.pressure === 0);
  expect((await ask({ ":path": "/" }))[":status"]).toBe(200);
});

const BULK_BYTES = 64 * 1024 * 1024;

/** A proxy in front of an application that sends much at once; what one request may hold is little. */
async function bulky(): Promise<[TestProxy, number]> {
  memory.heap = 0;
  const { port: main } = await backend((request, response) => {
    if (request.url === "/little") response.end("ok");
    else response.end(Buffer.alloc(BULK_BYTES));
  });
  const proxy = createProxy({
    readMemory: () => memory,
    limits: ["overload.resetStreamBytes=16384", "overload.heapShedPercent=92"],
  });
  proxy.apply(
    cluster(MAIN),
    endpoints(MAIN, [{ port: main }]),
    apiListener("main:80", "r"),
    routes("r", [routeTo(MAIN)]),
  );
  return [proxy, await proxy.listen("main:80")];
}

const RESETS = /^envoy_overload_reset_high_memory_stream_count(?:\{\})? (\d+)$/m;
const resetsOf = (proxy: TestProxy): number => Number(RESETS.exec(proxy.metricsText())?.[1] ?? 0);

test("without memory an HTTP/1 client that does not read its answer loses it, and the one beside it does not", async () => {
  const [proxy, port] = await bulky();
  const slow = tcpConnect(port, "127.0.0.1");
  atEnd(() => slow.destroy());
  let closed = "";
  slow.on("error", ({ message }) => (closed = message));
  slow.on("close", () => (closed ||= "closed"));
  slow.pause();
  slow.write("GET /bulk HTTP/1.1\r\nhost: main\r\n\r\n");
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  atEnd(() => agent.destroy());
  expect((await call(port, "/little", { agent })).body).toBe("ok");
  memory.heap = 0.93;
  await eventually(() => resetsOf(proxy) === 1);
  slow.resume();
  await eventually(() => closed !== "");
  await eventually(() => / 200 OM overload_reset /.test(proxy.log().join("\n")));
  expect(proxy.metricsText()).toContain('tulle_limit_exceeded_total{limit="overload.resetStreamBytes"} 1');
  memory.heap = 0;
  await eventually(() => proxy.stack.overload.pressure === 0);
  expect((await call(port, "/little", { agent })).body).toBe("ok");
});

test("over HTTP/2 only the stream that holds much is reset", async () => {
  const [proxy, port] = await bulky();
  const session = connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 65_535 } });
  atEnd(() => session.destroy());
  const slow = session.request({ ":path": "/bulk" });
  let code: number | undefined;
  slow.on("error", () => undefined);
  slow.on("close", () => (code = slow.rstCode));
  await new Promise((resolve) => slow.once("response", resolve));
  memory.heap = 0.93;
  await eventually(() => resetsOf(proxy) === 1);
  memory.heap = 0;
  await eventually(() => proxy.stack.overload.pressure === 0);
  const little = session.request({ ":path": "/little" });
  const status = await new Promise((resolve) => little.once("response", (head) => resolve(head[":status"])));
  expect(status).toBe(200);
  slow.resume();
  await eventually(() => code !== undefined);
  // INTERNAL_ERROR: its answer is cut.
  expect(code).toBe(2);
});

test("while memory gets short idle connections are let go, and busy ones are not", async () => {
  memory.heap = 0;
  let answer: (() => void) | undefined;
  const { port: main } = await backend((request, response) => {
    if (request.url === "/slow") answer = () => response.end("slow");
    else response.end("ok");
  });
  const limits = ["connection.idleTimeoutMs=60000", "overload.leastTimeoutPercent=1"];
  const proxy = createProxy({ readMemory: () => memory, limits });
  proxy.apply(
    cluster(MAIN),
    endpoints(MAIN, [{ port: main }]),
    apiListener("main:80", "r"),
    routes("r", [routeTo(MAIN)]),
  );
  const { tcp, connections } = await proxy.listener("main:80");
  const { port } = tcp.address;
  const agent = new Agent({ keepAlive: true });
  const session = connect(`http://127.0.0.1:${port}`);
  const silent = tcpConnect(port, "127.0.0.1");
  silent.on("error", () => undefined);
  atEnd(() => {
    agent.destroy();
    session.destroy();
    silent.destroy();
  });
  const busy = call(port, "/slow", { agent });
  await eventually(() => answer);
  expect((await call(port, "/", { agent })).status).toBe(200);
  const stream = session.request({ ":path": "/" });
  stream.resume();
  await new Promise((resolve) => stream.once("close", resolve));
  await eventually(() => connections.size === 4);
  // Nothing is refused yet: idle timeouts are down to 0.6 s.
  memory.heap = 0.92;
  await eventually(() => connections.size === 1);
  expect(proxy.metricsText()).toContain(
    'tulle_limit_exceeded_total{limit="overload.reduceTimeoutsPercent"} 3',
  );
  answer?.();
  expect((await busy).body).toBe("slow");
});

test("health checks of the mesh get through, and nobody else who says to be one", () => {
  const check = ["host", "a", "user-agent", "Tulle/HC"];
  expect(isHealthCheck(check, "spiffe://cluster.local/ns/a/sa/b")).toBe(true);
  expect(isHealthCheck(check, "")).toBe(false);
  expect(isHealthCheck(["user-agent", "curl"], "spiffe://a/b")).toBe(false);
});

test("a listener closes new connections while there is no memory for them", async () => {
  const state = { ...CALM, refusesConnections: true };
  const [proxy] = await proxied();
  const listen = refusingUnderOverload(listenTcp, state, proxy.metrics);
  let taken = 0;
  const listener = await listen({
    name: "test",
    host: "127.0.0.1",
    port: 0,
    maxConnections: 10,
    onDrop: () => undefined,
    onConnection: (socket) => {
      taken++;
      socket.end("HTTP/1.1 204 No Content\r\n\r\n");
    },
  });
  await expect(call(listener.address.port)).rejects.toThrow();
  expect(taken).toBe(0);
  state.refusesConnections = false;
  expect((await call(listener.address.port)).status).toBe(204);
  listener.stopAccepting();
  expect(proxy.metricsText()).toMatch(/^envoy_listener_downstream_cx_overload_reject(?:\{\})? 1$/m);
});
