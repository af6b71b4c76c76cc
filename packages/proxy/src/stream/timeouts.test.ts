import { connect, type Socket } from "node:net";

import { createTestAuthority, eventually, FakeClock } from "@tulle/testkit";
import { afterEach, beforeAll, expect, test } from "vitest";

import {
  backend,
  call,
  closeAll,
  createProxy,
  exchangeBytes,
  rawBackend,
  type TestProxy,
} from "../../test/harness.js";
import { dial, http2App } from "../../test/http2.js";
import { startPair } from "../../test/pair.js";
import {
  apiListener,
  cluster,
  DEFAULT_RETRIES,
  endpoints,
  ms,
  routes,
  routeTo,
  serviceAt,
} from "../../test/resources.js";

let authority: Awaited<ReturnType<typeof createTestAuthority>>;

beforeAll(async () => {
  authority = await createTestAuthority();
});

afterEach(closeAll);

async function proxyTo(
  ports: readonly number[],
  action: Record<string, unknown> = {},
  manager: Parameters<typeof apiListener>[2] = {},
): Promise<{ proxy: TestProxy; port: number }> {
  const proxy = createProxy();
  proxy.apply(
    ...serviceAt("reviews:9080", ports, action).slice(0, 2),
    apiListener("reviews:9080", "r", manager),
    routes("r", [routeTo("outbound|9080||reviews.default.svc.cluster.local", action)]),
  );
  return { proxy, port: await proxy.listen("reviews:9080") };
}

/** Takes requests and never answers. */
const silent = () => rawBackend((socket) => socket.resume());

/** Answers with the fields of its request. */
const mirror = () => backend((request, response) => response.end(JSON.stringify(request.headers)));

function fieldsOf(answer: { readonly body: string }): Record<string, string> {
  return JSON.parse(answer.body) as Record<string, string>;
}

test("a route's timeout ends a request with 504, UT and response_timeout, and its server is told", async () => {
  let gone = false;
  const { port: app } = await backend((request) => void request.socket.on("close", () => (gone = true)));
  const { port, proxy } = await proxyTo([app], { timeout: ms(60) });
  const answer = await call(port);
  expect(answer.status).toBe(504);
  expect(answer.body).toContain("within the route's timeout of 60 ms");
  expect(proxy.log()[0]).toContain(" 504 UT response_timeout ");
  await eventually(() => gone);
});

test("the calling application's own headers set timeouts and retries, and go no further", async () => {
  const { port: slow } = await silent();
  const { port } = await proxyTo([slow]);
  const answer = await call(port, "/", { headers: { "x-envoy-upstream-rq-timeout-ms": "50" } });
  expect(answer.status).toBe(504);
  expect(answer.body).toContain("of 50 ms");

  let tries = 0;
  const { port: failing } = await backend((request, response) => {
    tries++;
    response.statusCode = 500;
    response.end(JSON.stringify(request.headers));
  });
  const { port: second } = await proxyTo([failing], { retryPolicy: undefined });
  const headers = { "x-envoy-retry-on": "5xx", "x-envoy-max-retries": "3", "x-custom": "kept" };
  const fields = fieldsOf(await call(second, "/", { method: "POST", headers }));
  expect(tries).toBe(4);
  expect(fields["x-custom"]).toBe("kept");
  expect(Object.keys(fields).filter((name) => /x-envoy-(?:retry|max)/.test(name))).toEqual([]);
});

test("the next hop is told how long it has: what is left of all tries, and no more than one may take", async () => {
  const { port: app } = await mirror();
  const plain = await proxyTo([app]);
  expect(fieldsOf(await call(plain.port))).not.toHaveProperty("x-envoy-expected-rq-timeout-ms");
  const limited = await proxyTo([app], { timeout: ms(5000) });
  const told = Number(fieldsOf(await call(limited.port))["x-envoy-expected-rq-timeout-ms"]);
  expect(told).toBeGreaterThan(4000);
  expect(told).toBeLessThanOrEqual(5000);
  const retryPolicy = { ...DEFAULT_RETRIES, perTryTimeout: ms(700) };
  const perTry = await proxyTo([app], { timeout: ms(5000), retryPolicy });
  expect(fieldsOf(await call(perTry.port))["x-envoy-expected-rq-timeout-ms"]).toBe("700");
});

test("what a caller has left bounds its request when it is a workload of the mesh, and is not believed otherwise", async () => {
  const { port: slow } = await silent();
  const { port, server } = await startPair(authority, {
    appPort: slow,
    route: { timeout: ms(150) },
    permissive: true,
  });
  expect((await call(port)).status).toBe(504);
  // The inbound side has no timeout of its own: the caller's bounds it, whoever of the two notices first.
  await eventually(() => server.log().length > 0);
  expect(server.log()[0]).toMatch(/ (?:504 UT response_timeout|0 DC downstream_remote_disconnect) /);
});

test("a plaintext caller cannot tell a workload's sidecar anything of timeouts and retries", async () => {
  const { port: app } = await mirror();
  const { inboundPort } = await startPair(authority, { appPort: app, permissive: true });
  const received = await exchangeBytes(
    inboundPort,
    "GET / HTTP/1.1\r\nHost: reviews:9080\r\nx-envoy-expected-rq-timeout-ms: 7\r\nx-envoy-retry-on: 5xx\r\n\r\n",
    (text) => text.endsWith("}"),
  );
  expect(received).toContain("200 OK");
  expect(received).not.toContain("x-envoy-expected");
  expect(received).not.toContain("x-envoy-retry-on");
});

test("a try on which nothing moves for its idle time is given up", async () => {
  const { port: stuck } = await silent();
  const { port: fast } = await backend((_request, response) => response.end("fast"));
  const retryPolicy = { ...DEFAULT_RETRIES, retryOn: "5xx", numRetries: 5, perTryIdleTimeout: ms(60) };
  const both = await proxyTo([stuck, fast], { retryPolicy });
  for (let i = 0; i < 4; i++) expect((await call(both.port)).body).toBe("fast");
  const alone = await proxyTo([stuck], { retryPolicy: { ...retryPolicy, numRetries: 1 } });
  expect((await call(alone.port)).status).toBe(504);
  expect(alone.proxy.log()[0]).toContain(" 504 URX,UT upstream_per_try_idle_timeout ");
});

test("a try's idle time holds in the answer too, and any byte begins it anew", async () => {
  const clock = new FakeClock();
  let app: Socket | undefined;
  const { port: appPort } = await rawBackend((socket) => {
    app = socket;
    socket.on("data", () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"));
  });
  const proxy = createProxy({ clock });
  const retryPolicy = { ...DEFAULT_RETRIES, perTryIdleTimeout: ms(1000) };
  proxy.apply(...serviceAt("reviews:9080", [appPort], { retryPolicy }));
  const client = connect(await proxy.listen("reviews:9080"), "127.0.0.1");
  let received = "";
  let closed = false;
  client.on("data", (chunk: Buffer) => (received += chunk.toString()));
  client.on("close", () => (closed = true));
  client.on("error", () => undefined);
  client.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await eventually(() => received.endsWith("\r\n\r\n"));
  for (let i = 1; i <= 5; i++) {
    await clock.advance(900);
    app!.write("x");
    await eventually(() => received.endsWith("x".repeat(i)));
  }
  await clock.advance(1100);
  await eventually(() => closed);
  expect(proxy.log()[0]).toContain(" 200 UT upstream_per_try_idle_timeout ");
});

test("a request takes no longer than the longest duration, whatever moves on it", async () => {
  const { port: app } = await backend((_request, response) => {
    const timer = setInterval(() => response.write("x"), 20);
    response.on("close", () => clearInterval(timer));
  });
  const { port, proxy } = await proxyTo([app], { maxStreamDuration: { maxStreamDuration: ms(120) } });
  await expect(call(port)).rejects.toThrow();
  expect(proxy.log()[0]).toContain(" 200 DT max_duration_timeout ");
  const { port: slow } = await silent();
  const manager = { commonHttpProtocolOptions: { maxStreamDuration: ms(60) } };
  const byListener = await proxyTo([slow], {}, manager);
  expect((await call(byListener.port)).status).toBe(504);
  expect(byListener.proxy.log()[0]).toContain(" 504 DT max_duration_timeout ");
});

test("a request that does not come whole in its time is answered with 408", async () => {
  const { port: app } = await silent();
  const { port, proxy } = await proxyTo([app], {}, { requestTimeout: ms(60) });
  const received = await exchangeBytes(
    port,
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf",
    (text) => text.includes("in time") || text.includes("request timeout of 60 ms"),
  );
  expect(received).toMatch(/^HTTP\/1\.1 408 /);
  expect(proxy.log()[0]).toContain(" 408 - request_overall_timeout ");
});

test("an idle request is answered with 408 before it has come whole, and with 504 after", async () => {
  const { port: app } = await silent();
  const { port, proxy } = await proxyTo([app], { idleTimeout: ms(100) });
  const half = await exchangeBytes(
    port,
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf",
    (text) => text.includes("nothing moved"),
  );
  expect(half).toMatch(/^HTTP\/1\.1 408 /);
  expect((await call(port)).status).toBe(504);
  expect(proxy.log()[0]).toContain(" 408 SI stream_idle_timeout ");
  expect(proxy.log()[1]).toContain(" 504 SI stream_idle_timeout ");
});

test("the number of tries is told in the response where the route says so, and what a try is to its server", async () => {
  let tries = 0;
  const { port: app } = await rawBackend((socket) => {
    socket.on("data", (chunk: Buffer) => {
      if (++tries === 1) return;
      const again = chunk.toString().includes("x-envoy-is-timeout-retry: true");
      const body = again ? "again" : "first";
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n${body}`);
    });
  });
  const proxy = createProxy();
  const retryPolicy = { ...DEFAULT_RETRIES, retryOn: "5xx", perTryTimeout: ms(50) };
  proxy.apply(
    cluster("c"),
    endpoints("c", [{ port: app }]),
    apiListener("reviews:9080", "r"),
    routes("r", [routeTo("c", { retryPolicy })], ["*"], {
      includeAttemptCountInResponse: true,
      includeIsTimeoutRetryHeader: true,
    }),
  );
  const port = await proxy.listen("reviews:9080");
  const answer = await call(port, "/", { headers: { "x-envoy-is-timeout-retry": "forged" } });
  expect(answer.body).toBe("again");
  expect(answer.headers["x-envoy-attempt-count"]).toBe("2");
  expect((await call(port, "/", { headers: { "x-envoy-is-timeout-retry": "true" } })).body).toBe("first");
});

test("a gRPC call's deadline reaches the application with what is left of it, and ends the call at every hop", async () => {
  const seen: string[] = [];
  const app = await http2App((stream, headers) => {
    seen.push(String(headers["grpc-timeout"]), String(headers["x-envoy-expected-rq-timeout-ms"]));
    if (headers[":path"] === "/hangs") return;
    stream.respond({ ":status": 200, "content-type": "application/grpc", "grpc-status": "0" });
    stream.end();
  });
  const { port, server } = await startPair(authority, { appPort: app.port, http2: true });
  const session = dial(port);
  const ask = (path: string, timeout: string) =>
    new Promise<string>((resolve, reject) => {
      const stream = session.request({
        ":method": "POST",
        ":path": path,
        "content-type": "application/grpc",
        te: "trailers",
        "grpc-timeout": timeout,
      });
      stream.on("response", (headers) => resolve(String(headers["grpc-status"])));
      stream.on("error", reject);
      stream.end();
    });
  expect(await ask("/answers", "5S")).toBe("0");
  const [grpcTimeout = "", expected = ""] = seen;
  expect(grpcTimeout).toMatch(/^\d+m$/);
  expect(Number.parseInt(grpcTimeout)).toBeLessThanOrEqual(5000);
  expect(Number.parseInt(grpcTimeout)).toBeGreaterThan(3000);
  expect(Number(expected)).toBe(Number.parseInt(grpcTimeout));
  // DEADLINE_EXCEEDED
  expect(await ask("/hangs", "150m")).toBe("4");
  await eventually(() => server.log().length === 2);
  expect(server.log()[1]).toMatch(/ (?:UT response_timeout|DC downstream_remote_disconnect) /);
});
