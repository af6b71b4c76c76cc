import { connect, type Socket } from "node:net";

import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { silentLogger, systemClock } from "@tulle/base";
import { ListenerSchema } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { TcpProxySchema } from "@tulle/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import type { ResourceChange } from "@tulle/engine";
import { eventually } from "@tulle/testkit";
import { afterEach, expect, test } from "vitest";

import { clientHello } from "../../test/client-hello.js";
import {
  backend,
  call,
  closeAll,
  createProxy,
  exchangeBytes,
  rawBackend,
  type TestProxy,
} from "../../test/harness.js";
import {
  apiListener,
  cluster,
  detectedListener,
  endpoints,
  originalDestinationCluster,
  routes,
  routeTo,
  tcpListener,
} from "../../test/resources.js";
import type { Names } from "../dns/names.js";
import type { ListenAddress } from "../options.js";
import { descriptorOf } from "../socket-descriptor.js";
import { Interception } from "./interception.js";
import { loadOriginalDestination, type OriginalDestination } from "./original-destination.js";
import { OutboundPolicy } from "./outbound-policy.js";
import { OwnListeners } from "./own-listeners.js";

afterEach(closeAll);

const HOST = "reviews.default.svc.cluster.local";
const names = {
  hostOf: (address: string) => (address === "240.240.0.1" ? HOST : undefined),
  hostNamed: (name: string) => (name === "reviews" || name === HOST ? HOST : undefined),
} as Names;
/** A service has an address of its own, which is a backend's. */
const withLoopback = { hostOf: () => HOST, hostNamed: () => undefined } as unknown as Names;

function policyBytes(target: string): Uint8Array {
  const proxy = create(TcpProxySchema, { clusterSpecifier: { case: "cluster", value: target } });
  const configType = { case: "typedConfig", value: anyPack(TcpProxySchema, proxy) } as const;
  const defaultFilterChain = { filters: [{ name: "tcp", configType }] };
  return toBinary(ListenerSchema, create(ListenerSchema, { defaultFilterChain }));
}

async function intercepting(
  originalDestination: OriginalDestination,
  target = "PassthroughCluster",
  known = names,
): Promise<{ readonly proxy: TestProxy; readonly port: number; readonly interception: Interception }> {
  const proxy = createProxy();
  const policy = new OutboundPolicy();
  policy.replace(policyBytes(target));
  const { metrics } = proxy;
  const own = new OwnListeners();
  own.add({ host: "127.0.0.1", port: 15_000 });
  const parts = {
    originalDestination,
    own,
    names: known,
    policy,
    metrics,
    clock: systemClock,
    logger: silentLogger,
  };
  const interception = new Interception(parts);
  const listener = await proxy.listener("", interception);
  return { proxy, port: listener.tcp.address.port, interception };
}

const to = (host: string, port: number) => (): ListenAddress => ({ host, port });
const counted = (proxy: TestProxy, where: string): string =>
  proxy
    .metricsText()
    .match(new RegExp(`tulle_redirected_connections_total\\{to="${where}"\\} (\\d+)`))?.[1] ?? "0";

async function serveReviews(proxy: TestProxy, authority: string): Promise<void> {
  const name = `outbound|9080||${HOST}`;
  const { port } = await backend((request, response) => response.end(`reviews as ${request.headers.host}`));
  proxy.apply(
    cluster(name),
    endpoints(name, [{ port }]),
    apiListener(authority, "r"),
    routes("r", [routeTo(name)]),
  );
}

test("Interception leads a request to the service that its Host names", async () => {
  const { proxy, port } = await intercepting(to("240.240.0.1", 1234));
  proxy.apply({ ...apiListener(`${HOST}:1234`, "r"), bytes: undefined });
  await serveReviews(proxy, "reviews:9080");
  const { body } = await call(port, "/", { headers: { host: "reviews:9080" } });
  expect(body).toBe("reviews as reviews:9080");
  expect(counted(proxy, "service")).toBe("1");
});

test("Interception leads a request with a Host that nobody knows to where it was sent", async () => {
  const { proxy, port } = await intercepting(to("240.240.0.1", 9080));
  await serveReviews(proxy, `${HOST}:9080`);
  proxy.apply({ ...apiListener("nobody.example", "r"), bytes: undefined });
  const { body } = await call(port, "/", { headers: { host: "nobody.example" } });
  expect(body).toBe("reviews as nobody.example");
  // HTTP/1.0 may name nobody at all.
  expect(await exchangeBytes(port, "GET / HTTP/1.0\r\n\r\n")).toContain("200 OK");
});

test("Interception leads to a service without endpoints at the address that the connection was made to", async () => {
  const web = await backend((request, response) => response.end(`outside as ${request.headers.host}`));
  const http = await intercepting(to("127.0.0.1", web.port), "BlackHoleCluster", withLoopback);
  http.proxy.apply(
    apiListener(`${HOST}:${web.port}`, "r"),
    routes("r", [routeTo("none")]),
    originalDestinationCluster("none"),
    { ...apiListener("own.example", "r"), bytes: undefined },
  );
  const { body } = await call(http.port, "/", { headers: { host: "own.example" } });
  expect(body).toBe("outside as own.example");
  const banner = await rawBackend((socket) => socket.write("220 outside"));
  const tcp = await intercepting(to("127.0.0.1", banner.port), "BlackHoleCluster", withLoopback);
  tcp.proxy.apply(tcpListener(`${HOST}:${banner.port}`, "none"), originalDestinationCluster("none"));
  expect(await exchangeBytes(tcp.port, "", (received) => received === "220 outside")).toBe("220 outside");
});

/** A service that carries bytes, with a server that speaks first. */
async function serveBytes(proxy: TestProxy, listener: (cluster: string) => ResourceChange): Promise<void> {
  const name = `outbound|9080||${HOST}`;
  const app = await rawBackend((socket) => {
    socket.write("ready ");
    socket.on("data", (chunk: Buffer) => socket.end(`got ${chunk.length}`));
  }, true);
  proxy.apply(cluster(name), endpoints(name, [{ port: app.port }]), listener(name));
}

test("Interception carries the bytes of a connection to a service's virtual IP, also of a server that speaks first", async () => {
  for (const listener of [
    (name: string) => tcpListener(`${HOST}:9080`, name),
    (name: string) => detectedListener(`${HOST}:9080`, { cluster: name }),
  ]) {
    const { proxy, port } = await intercepting(to("240.240.0.1", 9080));
    const waiting = exchangeBytes(port, "", (received) => received === "ready ");
    // Nobody has named the service before: it is asked for.
    await eventually(() => proxy.demanded.includes(`${HOST}:9080`));
    await serveBytes(proxy, listener);
    expect(await waiting).toBe("ready ");
    expect(await exchangeBytes(port, "*1\r\n")).toBe("ready got 4");
    await eventually(() => expect(proxy.log().join("\n")).toContain(" 240.240.0.1:9080 "));
    expect(counted(proxy, "service")).toBe("2");
  }
});

test("Interception leads TLS to an unknown address to the service that it names", async () => {
  const { proxy, port } = await intercepting(to("127.0.0.1", 9080), "BlackHoleCluster");
  await serveBytes(proxy, (name) => tcpListener(`${HOST}:9080`, name));
  const hello = clientHello("reviews");
  expect(await exchangeBytes(port, "").catch(() => "")).toBe("");
  const socket = connect(port, "127.0.0.1");
  let received = "";
  socket.on("data", (chunk: Buffer) => (received += chunk.toString()));
  socket.write(hello);
  await eventually(() => received.endsWith(`got ${hello.length}`));
  socket.destroy();
  expect(counted(proxy, "service")).toBe("1");
});

test.each([
  ["PassthroughCluster", "passthrough", `got ${clientHello("else.example").length}`],
  ["BlackHoleCluster", "refused", ""],
])("Interception takes TLS that names nobody known by the policy (%s)", async (target, where, answer) => {
  const server = await rawBackend((socket) =>
    socket.once("data", (chunk: Buffer) => socket.end(`got ${chunk.length}`)),
  );
  const { proxy, port } = await intercepting(to("127.0.0.1", server.port), target);
  // A service that the mesh knows, at a port that it does not have.
  proxy.apply({ ...apiListener(`${HOST}:${server.port}`, "r"), bytes: undefined });
  for (const name of ["else.example", HOST]) {
    const socket = connect({ port, host: "127.0.0.1" });
    let received = "";
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => (received += chunk.toString()));
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.write(clientHello(name));
    await closed;
    expect(received.slice(0, 4)).toBe(answer.slice(0, 4));
  }
  expect(counted(proxy, where)).toBe("2");
});

test("Interception hears an unknown server that speaks first at once after the first time", async () => {
  const server = await rawBackend((socket) => socket.end("hello"));
  const { proxy, port } = await intercepting(to("127.0.0.1", server.port));
  for (let time = 0; time < 2; time++) expect(await exchangeBytes(port, "")).toBe("hello");
  expect(proxy.stack.tcp.detection.ports.all()).toEqual([
    { port: `127.0.0.1:${server.port}`, verdict: "server-first", silenceMs: 0 },
  ]);
  expect(proxy.metricsText()).toContain(
    'tulle_protocol_detections_total{port="unknown",verdict="server-first"} 2',
  );
});

test("Interception asks for a service that was called by address before anybody named it", async () => {
  const { proxy, port } = await intercepting(to("240.240.0.1", 9080));
  proxy.apply({ ...apiListener("nobody.example", "r"), bytes: undefined });
  const asking = call(port, "/", { headers: { host: "nobody.example" } });
  await eventually(() => proxy.demanded.includes(`${HOST}:9080`));
  await serveReviews(proxy, `${HOST}:9080`);
  expect((await asking).status).toBe(200);
});

test("Interception serves a connection that was not redirected as any other", async () => {
  const { proxy, port } = await intercepting(() => undefined);
  await serveReviews(proxy, "reviews:9080");
  expect((await call(port, "/", { headers: { host: "reviews:9080" } })).status).toBe(200);
  // The listener's own address is nobody's service.
  expect((await call(port)).status).toBeGreaterThanOrEqual(400);
});

test("Interception carries bytes to an unknown destination, and half-closes as they were", async () => {
  const echo = await rawBackend((socket) => {
    const chunks: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("end", () => socket.end(Buffer.concat([Buffer.from("all: "), ...chunks])));
    socket.write("first ");
  }, true);
  const { proxy, port } = await intercepting(to("127.0.0.1", echo.port));
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  let received = "";
  socket.on("data", (chunk: Buffer) => (received += chunk.toString()));
  // The server speaks first: nothing is read before it is carried.
  await eventually(() => received === "first ");
  socket.end("x".repeat(300_000));
  await new Promise((resolve) => socket.once("end", resolve));
  expect(received).toBe(`first all: ${"x".repeat(300_000)}`);
  socket.destroy();
  expect(counted(proxy, "passthrough")).toBe("1");
});

test("Interception closes connections to unknown destinations under REGISTRY_ONLY", async () => {
  const server = await rawBackend((socket) => socket.end("hello"));
  const { proxy, port } = await intercepting(to("127.0.0.1", server.port), "BlackHoleCluster");
  expect(await exchangeBytes(port, "").catch(() => "")).toBe("");
  expect(server.connections()).toBe(0);
  expect(counted(proxy, "refused")).toBe("1");
});

test("Interception closes connections to a virtual IP whose service is gone", async () => {
  const { proxy, port } = await intercepting(to("240.240.0.9", 9080));
  expect(await exchangeBytes(port, "").catch(() => "")).toBe("");
  expect(counted(proxy, "refused")).toBe("1");
});

test("AZ-14: Interception ends a connection whose way leads back to itself", async () => {
  let port = 0;
  // As rules would that redirect the sidecar's own connections: whoever connects comes back here.
  const { proxy, port: own } = await intercepting(() => ({ host: "127.0.0.1", port }));
  port = own;
  expect(await exchangeBytes(own, "hello").catch(() => "")).toBe("");
  await eventually(() => counted(proxy, "loop") !== "0");
  expect(Number(counted(proxy, "passthrough"))).toBeLessThan(20);
});

test("AZ-14: Interception refuses a connection that was made to one of the sidecar's own listeners", async () => {
  for (const host of ["127.0.0.1", "::ffff:127.0.0.1", "::ffff:7f00:1"]) {
    const { proxy, port } = await intercepting(to(host, 15_000));
    expect(await exchangeBytes(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").catch(() => "")).toBe("");
    expect(counted(proxy, "loop")).toBe("1");
    expect(counted(proxy, "passthrough")).toBe("0");
  }
});

test("OutboundPolicy passes nothing through until it is told to, and refuses what it cannot read", () => {
  const policy = new OutboundPolicy();
  expect(policy.passthrough).toBe(false);
  policy.replace(policyBytes("PassthroughCluster"));
  expect(policy.passthrough).toBe(true);
  for (const bytes of [policyBytes("elsewhere"), new Uint8Array([0xff]), new Uint8Array()]) {
    expect(() => policy.replace(bytes)).toThrow("virtualOutbound");
  }
  expect(policy.passthrough).toBe(true);
  policy.clear();
  expect(policy.passthrough).toBe(false);
});

test.runIf(process.platform === "linux")(
  "loadOriginalDestination takes a direct connection for what it is",
  async () => {
    const originalDestination = await loadOriginalDestination();
    const sockets: Socket[] = [];
    const server = await rawBackend((socket) => sockets.push(socket));
    const client = connect(server.port, "127.0.0.1");
    const [socket] = await eventually(() => (sockets.length > 0 ? sockets : undefined));
    expect(descriptorOf(socket as Socket)).toBeGreaterThan(2);
    expect(originalDestination(socket as Socket)).toBeUndefined();
    client.destroy();
    (socket as Socket).destroy();
    expect(descriptorOf(socket as Socket)).toBeUndefined();
  },
);
