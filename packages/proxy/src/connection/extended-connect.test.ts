import { createHash } from "node:crypto";
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from "node:http2";

import { createTestAuthority, eventually, type TestAuthority } from "@tulle/testkit";
import { afterEach, beforeAll, expect, test } from "vitest";

import { closeAll, createProxy, rawBackend } from "../../test/harness.js";
import { dial, http2App } from "../../test/http2.js";
import { startPair } from "../../test/pair.js";
import { apiListener, cluster, endpoints, routes, routeTo, serviceAt } from "../../test/resources.js";
import { Wire } from "../../test/wire.js";

// Applications that ask for, or are asked for, a tunnel in HTTP/2's way (RFC 8441).

const CLUSTER = "outbound|9080||reviews.default.svc.cluster.local";
const KEY = "dGhlIHNhbXBsZSBub25jZQ==";

let authority: TestAuthority;

beforeAll(async () => {
  authority = await createTestAuthority();
});
afterEach(closeAll);

interface Asked {
  readonly stream: ClientHttp2Stream;
  readonly status: () => number;
  readonly received: () => string;
  readonly ended: () => boolean;
  readonly error: () => string;
}

async function askFor(session: ClientHttp2Session, protocol: string, early = ""): Promise<Asked> {
  await eventually(() => session.remoteSettings.enableConnectProtocol === true);
  const stream = session.request({
    ":method": "CONNECT",
    ":protocol": protocol,
    ":scheme": "http",
    ":authority": "reviews:9080",
    ":path": "/t",
  });
  let headers: IncomingHttpHeaders & { ":status"?: number | undefined } = {};
  let received = "";
  let ended = false;
  let error = "";
  stream.on("response", (given) => (headers = given));
  stream.on("data", (chunk: Buffer) => (received += chunk.toString()));
  stream.on("end", () => (ended = true));
  stream.on("error", (thrown: NodeJS.ErrnoException) => (error = thrown.message));
  if (early !== "") stream.write(early);
  return {
    stream,
    status: () => headers[":status"] ?? 0,
    received: () => received,
    ended: () => ended,
    error: () => error,
  };
}

/** A service that the test plays, and the port of an outbound listener for it. */
async function played(): Promise<{ port: number; app: Wire[] }> {
  const app: Wire[] = [];
  const { port } = await rawBackend((socket) => app.push(new Wire(socket)), true);
  const proxy = createProxy();
  proxy.apply(...serviceAt("reviews:9080", [port]));
  return { port: await proxy.listen("reviews:9080"), app };
}

test("an extended CONNECT becomes an Upgrade of HTTP/1.1, with a key for WebSocket, and nothing is carried before 101", async () => {
  const { port, app } = await played();
  const asked = await askFor(dial(port), "websocket", "early");
  const server = await eventually(() => app[0]);
  const head = await server.until("\r\n\r\n");
  expect(head).toMatch(/^GET \/t HTTP\/1\.1\r\n/);
  expect(head).toContain("\r\nUpgrade: websocket\r\n");
  const key = /^Sec-WebSocket-Key: (\S+)\r$/m.exec(head)?.[1] ?? "";
  expect(Buffer.from(key, "base64")).toHaveLength(16);
  expect(server.received).toBe("");
  const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  server.send(
    `HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  await server.until("early");
  expect(asked.status()).toBe(200);
  server.send("hello");
  await eventually(() => asked.received() === "hello");
  asked.stream.end("bye");
  await server.until("bye");
  expect(await server.end()).toBe("end");
  server.socket.end("ciao");
  await eventually(() => asked.ended());
  expect(asked.received()).toBe("hellociao");
});

test("a generic protocol keeps its version", async () => {
  const { port, app } = await played();
  await askFor(dial(port), "SPDY/3.1");
  const server = await eventually(() => app[0]);
  expect(await server.until("\r\n\r\n")).toContain("\r\nUpgrade: SPDY/3.1\r\n");
});

test.each([
  [403, 403],
  [200, 501],
])(
  "an extended CONNECT that is answered with %i is answered with %i: only a tunnel is a success",
  async (given, told) => {
    const { port, app } = await played();
    const session = dial(port);
    for (let i = 0; i < 2; i++) {
      const asked = await askFor(session, "websocket", "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n");
      const server = await eventually(() => app[0]);
      await server.until("\r\n\r\n");
      server.send(`HTTP/1.1 ${given} Told\r\nContent-Length: 4\r\n\r\nbody`);
      await eventually(() => asked.ended());
      expect([asked.status(), asked.received()]).toEqual([told, "body"]);
      expect(server.received).toBe("");
    }
    expect(app).toHaveLength(1);
  },
);

test("an extended CONNECT with a gRPC content type is no gRPC: its refusal is no 200", async () => {
  const proxy = createProxy();
  proxy.apply(...serviceAt("reviews:9080", []));
  const session = dial(await proxy.listen("reviews:9080"));
  await eventually(() => session.remoteSettings.enableConnectProtocol === true);
  const stream = session.request({
    ":method": "CONNECT",
    ":protocol": "websocket",
    ":scheme": "http",
    ":authority": "reviews:9080",
    ":path": "/",
    "content-type": "application/grpc",
  });
  let status = 0;
  stream.on("error", () => undefined);
  stream.on("response", (headers) => (status = headers[":status"] ?? 0));
  await eventually(() => status === 503);
});

test("a CONNECT without a protocol is refused, and the connection lives on", async () => {
  const { port, app } = await played();
  const session = dial(port);
  const stream = session.request({ ":method": "CONNECT", ":authority": "reviews:9080" });
  let status = 0;
  stream.on("error", () => undefined);
  stream.on("response", (headers) => (status = headers[":status"] ?? 0));
  stream.write("early");
  await eventually(() => status === 501);
  await askFor(session, "websocket");
  await eventually(() => app[0]);
});

/** A client with HTTP/1.1 of an application that speaks HTTP/2 behind two sidecars. */
async function toHttp2App(settings: { enableConnectProtocol?: boolean }): Promise<{
  client: Wire;
  asked: IncomingHttpHeaders[];
}> {
  const asked: IncomingHttpHeaders[] = [];
  const { port: appPort } = await http2App((stream, headers) => {
    asked.push(headers);
    stream.respond({ ":status": 200, "sec-websocket-protocol": "chat" });
    stream.on("data", (chunk: Buffer) => stream.write(chunk.toString().toUpperCase()));
    stream.on("end", () => stream.end());
  }, settings);
  const { port } = await startPair(authority, { appPort, http2: true });
  const client = Wire.to(port);
  client.send(
    `GET /t HTTP/1.1\r\nHost: reviews\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: ${KEY}\r\n\r\n`,
  );
  return { client, asked };
}

test("an application that speaks HTTP/2 is asked by extended CONNECT when it has announced that", async () => {
  const { client, asked } = await toHttp2App({ enableConnectProtocol: true });
  const answer = await client.until("\r\n\r\n");
  expect(answer).toMatch(/^HTTP\/1\.1 101 /);
  expect(answer).toContain("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n");
  expect(answer).toContain("\r\nsec-websocket-protocol: chat\r\n");
  expect(asked[0]).toMatchObject({ ":method": "CONNECT", ":protocol": "websocket", ":path": "/t" });
  expect(asked[0]).not.toHaveProperty("sec-websocket-key");
  client.send("hello");
  await client.until("HELLO");
  client.socket.end();
  expect(await client.end()).toBe("end");
});

test("an application that speaks HTTP/2 without extended CONNECT is not asked: 501 says why", async () => {
  const { client, asked } = await toHttp2App({});
  const answer = await client.until("http2\n");
  expect(answer).toMatch(/^HTTP\/1\.1 501 /);
  expect(answer).toContain("RFC 8441");
  expect(asked).toEqual([]);
});

test("many tunnels share one HTTP/2 connection between sidecars with ordinary requests", async () => {
  const { port: appPort } = await rawBackend((socket) => {
    socket.once("data", () => {
      socket.write("HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
      socket.on("data", (chunk: Buffer) => socket.write(chunk));
    });
  });
  const { port, client } = await startPair(authority, { appPort });
  const wires = Array.from({ length: 150 }, () => Wire.to(port));
  for (const wire of wires)
    wire.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
  await Promise.all(wires.map((wire) => wire.until("\r\n\r\n")));
  await Promise.all(
    wires.map((wire, i) => {
      wire.send(`<${i}>`);
      return wire.until(`<${i}>`);
    }),
  );
  expect(client.metricsText()).toMatch(/envoy_cluster_upstream_cx_total\{[^}]*\} 1\n/);
});

test("an application's word that it declines is none: only sidecars say so beside a 2xx", async () => {
  const { port } = await http2App(
    (stream) => {
      stream.respond({ ":status": 200, "x-tulle-upgrade": "declined" });
      stream.write("hello");
    },
    { enableConnectProtocol: true },
  );
  const proxy = createProxy();
  proxy.apply(
    cluster(CLUSTER, { http2: true }),
    endpoints(CLUSTER, [{ port }]),
    apiListener("reviews:9080", "r"),
    routes("r", [routeTo(CLUSTER)]),
  );
  const client = Wire.to(await proxy.listen("reviews:9080"));
  client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
  const answer = await client.until("hello");
  expect(answer).toMatch(/^HTTP\/1\.1 101 /);
  expect(answer).not.toContain("x-tulle");
});

test("a proxy speaks HTTP/2 to a service whose cluster says so", async () => {
  const { port } = await http2App(
    (stream) => {
      stream.respond({ ":status": 403 }, { endStream: true });
    },
    { enableConnectProtocol: true },
  );
  const proxy = createProxy();
  proxy.apply(
    cluster(CLUSTER, { http2: true }),
    endpoints(CLUSTER, [{ port }]),
    apiListener("reviews:9080", "r"),
    routes("r", [routeTo(CLUSTER)]),
  );
  const client = Wire.to(await proxy.listen("reviews:9080"));
  for (let i = 0; i < 2; i++) {
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
    expect(await client.until("\r\n\r\n")).toMatch(/^HTTP\/1\.1 403 /);
  }
});
