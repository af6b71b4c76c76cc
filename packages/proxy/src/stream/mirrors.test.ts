import { eventually } from "@tulle/testkit";
import { afterEach, expect, test } from "vitest";

import {
  atEnd,
  backend,
  call,
  closeAll,
  createProxy,
  rawBackend,
  type TestProxy,
} from "../../test/harness.js";
import { apiListener, cluster, endpoints, routes, type RouteInit } from "../../test/resources.js";

afterEach(closeAll);

const MAIN = "outbound|80||main";
const COPY = "outbound|80||copy";

function mirrored(percent = 100): RouteInit {
  return {
    name: "mirrored",
    match: { pathSpecifier: { case: "prefix", value: "/" } },
    action: {
      case: "route",
      value: {
        clusterSpecifier: { case: "cluster", value: MAIN },
        requestMirrorPolicies: [{ cluster: COPY, runtimeFraction: { defaultValue: { numerator: percent } } }],
      },
    },
  };
}

async function proxyTo(main: number, copy: number, percent?: number): Promise<[TestProxy, number]> {
  const proxy = createProxy();
  proxy.apply(
    cluster(MAIN),
    endpoints(MAIN, [{ port: main }]),
    cluster(COPY),
    endpoints(COPY, [{ port: copy }]),
    apiListener("main:80", "r"),
    routes("r", [mirrored(percent)]),
  );
  return [proxy, await proxy.listen("main:80")];
}

const dropped = (proxy: TestProxy): boolean =>
  /^tulle_mirrored_requests_dropped_total(?:\{\})? 1$/m.test(proxy.metricsText());

test("a copy is marked as one, has the body, and its answer is thrown away", async () => {
  const { port: main } = await backend((_request, response) => response.end("main"));
  const copies: string[] = [];
  const { port: copy } = await backend((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      copies.push(`${request.method} ${request.headers.host} ${body}`);
      response.writeHead(500).end("copy");
    });
  });
  const [proxy, port] = await proxyTo(main, copy);
  const answer = await call(port, "/", { method: "POST", body: "hello" });
  expect(answer).toMatchObject({ status: 200, body: "main" });
  await eventually(() => copies.length === 1);
  expect(copies).toEqual(["POST main-shadow:80 hello"]);
  await eventually(() => proxy.load.inFlight(1) === 0);
  for (let slot = 0; slot < 8; slot++) expect(proxy.load.inFlight(slot)).toBe(0);
});

test("a copy that does not take its body is dropped, and the request goes on", async () => {
  let received = 0;
  const { port: main } = await backend((request, response) => {
    request.on("data", (chunk: Buffer) => (received += chunk.length));
    request.on("end", () => response.end("main"));
  });
  const deaf = await rawBackend((socket) => {
    socket.pause();
    socket.on("error", () => {});
    atEnd(() => void socket.destroy());
  });
  const [proxy, port] = await proxyTo(main, deaf.port);
  const answer = await call(port, "/", { method: "POST", body: "x".repeat(24 * 1024 * 1024) });
  expect(answer.body).toBe("main");
  expect(received).toBe(24 * 1024 * 1024);
  expect(dropped(proxy)).toBe(true);
});

test("a copy that cannot be sent is dropped", async () => {
  const { port: main } = await backend((_request, response) => response.end("main"));
  const [proxy, port] = await proxyTo(main, 1);
  expect((await call(port)).body).toBe("main");
  await eventually(() => dropped(proxy));
});

test("a share of the requests is copied", async () => {
  const { port: main } = await backend((_request, response) => response.end("main"));
  let copies = 0;
  const { port: copy } = await backend((_request, response) => {
    copies++;
    response.end();
  });
  const [, port] = await proxyTo(main, copy, 30);
  for (let i = 0; i < 100; i++) await call(port);
  await eventually(() => copies > 10);
  expect(copies).toBeLessThan(55);
});
