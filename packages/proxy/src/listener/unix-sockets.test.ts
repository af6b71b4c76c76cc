import { mkdtempSync, rmSync, statSync } from "node:fs";
import { createServer as createHttpServer, request } from "node:http";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { eventually } from "@tulle/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";

import { atEnd, call, closeAll, createProxy, rawBackend, type TestProxy } from "../../test/harness.js";
import {
  cluster,
  endpoints,
  serviceAt,
  socketCluster,
  tcpListener,
  apiListener,
  routes,
  routeTo,
} from "../../test/resources.js";
import { Wire } from "../../test/wire.js";
import { listenOutbound } from "./outbound-listener.js";

// Applications that listen, or call, on Unix sockets. In outbound listeners' clothes: who connects is the same code.

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tulle-sockets-"));
});
afterEach(async () => {
  await closeAll();
  rmSync(directory, { recursive: true, force: true });
});

/** A server on a Unix socket. */
async function listenAt(server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve) => server.listen(path, resolve));
  atEnd(() => server.close());
}

async function listenerAt(proxy: TestProxy, authority: string, path: string) {
  const listener = await listenOutbound({
    name: authority,
    host: "127.0.0.1",
    port: 0,
    path,
    authority,
    configuration: proxy.configuration,
    connection: proxy.stack.connection,
    tcp: proxy.stack.tcp,
    dropped: proxy.metrics.counter("dropped", "dropped").with([]),
    onUse: () => undefined,
  });
  atEnd(() => {
    listener.stopAccepting();
    listener.connections.destroy();
  });
  return listener;
}

function get(socketPath: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, path, agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (piece: string) => (body += piece));
      response.on("end", () => resolve(`${response.statusCode} ${body}`));
      response.on("error", reject);
    });
    outgoing.on("error", reject);
    outgoing.end();
  });
}

test("HTTP and bytes go to an application's Unix socket, over connections that are kept", async () => {
  const path = join(directory, "app.sock");
  const sockets = new Set<Socket>();
  const app = createHttpServer((asked, answer) => {
    sockets.add(asked.socket);
    answer.end(`app saw ${asked.url}`);
  });
  await listenAt(app, path);
  const proxy = createProxy();
  proxy.apply(
    apiListener("web:80", "web"),
    routes("web", [routeTo("web")]),
    socketCluster("web", path),
    tcpListener("bytes:1", "web"),
  );
  const port = await proxy.listen("web:80");
  for (let i = 0; i < 2; i++) expect((await call(port, "/x")).body).toBe("app saw /x");
  expect(sockets.size).toBe(1);
  await eventually(() => proxy.log().length === 2);
  expect(proxy.log()[0]).toContain(path);
  const client = Wire.to(await proxy.listen("bytes:1"));
  client.send("GET /bytes HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  expect(await client.until("app saw /bytes")).toContain("200 OK");
  expect(await client.end()).toBe("end");
});

test("an application that breaks off on its Unix socket is told as any, and harms nobody", async () => {
  const path = join(directory, "app.sock");
  await listenAt(
    createServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => socket.destroy());
    }),
    path,
  );
  const proxy = createProxy();
  proxy.apply(
    apiListener("web:80", "web"),
    routes("web", [routeTo("web")]),
    socketCluster("web", path),
    tcpListener("bytes:1", "web"),
    apiListener("gone:80", "gone"),
    routes("gone", [routeTo("gone")]),
    socketCluster("gone", join(directory, "nobody.sock")),
  );
  const { status, body } = await call(await proxy.listen("web:80"));
  expect(status, body).toBe(503);
  const gone = await call(await proxy.listen("gone:80"));
  expect(gone.status).toBe(503);
  expect(gone.body).toContain("nobody.sock");
  // A client that resets a session over a socket: that cannot be passed on as a reset.
  const client = Wire.to(await proxy.listen("bytes:1"));
  client.send("x");
  expect(await client.end()).toMatch(/end|ECONNRESET/);
});

test("an upstream's listener on a Unix socket carries HTTP and bytes, for its owner alone", async () => {
  const { port } = await rawBackend((socket) => {
    socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"));
  });
  const proxy = createProxy();
  proxy.apply(
    ...serviceAt("web:8080", [port]),
    cluster("db"),
    endpoints("db", [{ port }]),
    tcpListener("db:5432", "db"),
  );
  const path = join(directory, "web.sock");
  const listener = await listenerAt(proxy, "web:8080", path);
  expect(listener.tcp.address).toEqual({ host: path, port: 0 });
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(await get(path, "/")).toBe("200 hi");
  const bytes = join(directory, "db.sock");
  await listenerAt(proxy, "db:5432", bytes);
  const client = new Wire(connect(bytes));
  client.send("anything");
  expect(await client.until("hi")).toContain("200 OK");
  // One that is in use is not taken over; one that is left over is.
  await expect(listenerAt(proxy, "web:8080", path)).rejects.toMatchObject({ kind: "already-exists" });
  listener.stopAccepting();
  await eventually(async () => {
    const next = await listenerAt(proxy, "web:8080", path).catch(() => undefined);
    return next !== undefined;
  });
  expect(await get(path, "/")).toBe("200 hi");
});

test("a response that is cut cuts the client's Unix socket, too", async () => {
  const { port } = await rawBackend((socket) => {
    socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"));
  });
  const proxy = createProxy();
  proxy.apply(...serviceAt("web:8080", [port]));
  const path = join(directory, "web.sock");
  await listenerAt(proxy, "web:8080", path);
  await expect(get(path, "/")).rejects.toThrow(/aborted|hang up|ECONNRESET/);
});
