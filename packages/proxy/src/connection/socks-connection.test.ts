import { systemClock } from "@tulle/base";
import { eventually } from "@tulle/testkit";
import { afterEach, expect, test } from "vitest";

import { deliveries } from "../../../http/src/testing/record-events.js";
import { backend, closeAll, createProxy, rawBackend, type TestProxy } from "../../test/harness.js";
import { cluster, endpoints, serviceAt, tcpListener } from "../../test/resources.js";
import { Wire } from "../../test/wire.js";
import { OutsideHosts } from "../listener/outside-hosts.js";

afterEach(closeAll);

const GREETING = "\x05\x01\0";
const GET = "GET /inside HTTP/1.1\r\nHost: elsewhere\r\n\r\n";
const SERVED = "\x05\0\x05\0\0\x01\0\0\0\0\0\0";
const reply = (code: number): string => `\x05\0\x05${String.fromCharCode(code)}\0\x01\0\0\0\0\0\0`;

function asks(name: string, port: number, command = 1): string {
  const bytes = [5, command, 0, 3, name.length, ...Buffer.from(name), port >> 8, port & 0xff];
  return Buffer.from(bytes).toString("latin1");
}

/** A proxy with an HTTP service `web:8080` and a TCP service `db:5432`. Outside, all of loopback is reached. */
async function start(passthrough = true): Promise<{ proxy: TestProxy; port: number; web: string[] }> {
  const web: string[] = [];
  const { port: webPort } = await backend((request, response) => {
    web.push(`${request.method} ${request.url}`);
    response.end("from web");
  });
  const { port: dbPort } = await rawBackend((socket) => {
    socket.write("220 db\r\n");
    socket.on("data", (bytes: Buffer) => socket.write(bytes));
  });
  const proxy = createProxy();
  const outside = new OutsideHosts({
    clock: systemClock,
    metrics: proxy.metrics,
    policy: { passthrough },
    lookUp: () => Promise.resolve({ addresses: ["127.0.0.1"], ttlMs: undefined }),
    wake: () => proxy.stack.tcp.parking.wake(),
    isReached: (address) => address === "127.0.0.1",
  });
  proxy.apply(
    ...serviceAt("web:8080", [webPort]),
    cluster("db"),
    endpoints("db", [{ port: dbPort }]),
    tcpListener("db:5432", "db"),
  );
  const listener = await proxy.listener("", undefined, outside);
  return { proxy, port: listener.tcp.address.port, web };
}

function without(proxy: TestProxy, name: string): void {
  proxy.apply({
    typeUrl: "type.googleapis.com/envoy.config.listener.v3.Listener",
    name,
    version: "0",
    bytes: undefined,
  });
}

test("SOCKS gives a connection to a service by its name, whose HTTP is routed as any", async () => {
  const { proxy, port, web } = await start();
  const client = Wire.to(port);
  client.send(GREETING);
  expect(await client.until("\x05\0")).toBe("\x05\0");
  client.send(asks("WEB", 8080));
  await client.until(SERVED.slice(2));
  for (let i = 0; i < 2; i++) {
    client.send(GET);
    expect(await client.until("from web")).toContain("HTTP/1.1 200 ");
  }
  expect(web).toEqual(["GET /inside", "GET /inside"]);
  await eventually(() => proxy.log().length === 3);
  expect(proxy.log()[0]).toContain('"CONNECT - SOCKS5" 200 - connect_accepted ');
});

test("what comes with a request belongs to the connection that it asks for, however it is cut", async () => {
  const { port } = await start();
  const text = `${GREETING}${asks("db", 5432)}early bird`;
  for (const [delivery, cuts] of deliveries(Buffer.from(text, "latin1"))) {
    const client = Wire.to(port);
    let from = 0;
    for (const to of [...cuts, text.length]) {
      const piece = Buffer.from(text.slice(from, to), "latin1");
      await new Promise<void>((resolve) => client.socket.write(piece, () => resolve()));
      from = to;
    }
    const heard = await client.until("early bird");
    expect(heard.startsWith(SERVED), delivery).toBe(true);
    expect(heard, delivery).toContain("220 db\r\n");
    client.socket.destroy();
  }
});

test("hosts outside of the mesh are reached under ALLOW_ANY, by name and by address, and not allowed under REGISTRY_ONLY", async () => {
  const server = await rawBackend((socket) => socket.write("220 outside\r\n"));
  const byAddress = Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, server.port >> 8, server.port & 0xff]);
  for (const passthrough of [true, false]) {
    const { port, proxy } = await start(passthrough);
    for (const [host, request] of [
      ["api.example", asks("api.example", server.port)],
      ["127.0.0.1", byAddress.toString("latin1")],
    ] as const) {
      without(proxy, `${host}:${server.port}`);
      const client = Wire.to(port);
      client.send(GREETING + request);
      if (passthrough) expect(await client.until("220 outside\r\n")).toBe(`${SERVED}220 outside\r\n`);
      else {
        expect(await client.until(reply(2))).toBe(reply(2));
        expect(await client.end()).toBe("end");
      }
    }
  }
});

test("a request waits for the configuration of its service", async () => {
  const { proxy, port } = await start();
  const { port: late } = await rawBackend((socket) => socket.write("220 late\r\n"));
  const client = Wire.to(port);
  client.send(GREETING + asks("late", 1));
  await client.until("\x05\0");
  await eventually(() => proxy.demanded.includes("late:1"));
  expect(client.received).toBe("");
  proxy.apply(cluster("late"), endpoints("late", [{ port: late }]), tcpListener("late:1", "late"));
  expect(await client.until("220 late\r\n")).toBe(`${reply(0).slice(2)}220 late\r\n`);
});

test.each([
  ["a name that nobody knows", GREETING + asks("nobody", 80), reply(4)],
  ["BIND", GREETING + asks("db", 5432, 2), reply(7)],
  ["UDP ASSOCIATE", GREETING + asks("db", 5432, 3), reply(7)],
  ["an unknown type of address", `${GREETING}\x05\x01\0\x02`, reply(8)],
  ["a malformed name", GREETING + asks("a b", 80), reply(1)],
  ["passwords alone", "\x05\x01\x02", "\x05\xff"],
])("%s is answered as RFC 1928 says, and the connection ends", async (_what, bytes, answer) => {
  const { proxy, port } = await start();
  without(proxy, "nobody:80");
  const client = Wire.to(port);
  client.send(bytes);
  expect(await client.end()).toBe("end");
  expect(client.received).toBe(answer);
});

test("what is malformed is counted and not answered, and the sidecar itself is not reached", async () => {
  const { proxy, port } = await start();
  const malformed = Wire.to(port);
  malformed.send("\x05\0");
  expect(await malformed.end()).toMatch(/ECONNRESET|end/);
  expect(malformed.received).toBe("");
  expect(proxy.metricsText()).toContain('tulle_socks_refused_total{reason="malformed"} 1');
  const own = Wire.to(port);
  own.send(GREETING + asks("localhost", port));
  expect(await own.end()).toBe("end");
  expect(own.received).toBe(reply(2));
});

test("a client that leaves while it waits is forgotten", async () => {
  const { proxy, port } = await start();
  const client = Wire.to(port);
  client.send(GREETING + asks("late", 1));
  await eventually(() => proxy.stack.tcp.parking.size === 1);
  client.socket.destroy();
  await eventually(() => proxy.stack.tcp.parking.size === 0);
});

test("SOCKS is none where no connection can be asked for", async () => {
  const { proxy } = await start();
  const client = Wire.to(await proxy.listen("web:8080"));
  client.send(GREETING);
  expect(await client.until("\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 /);
});
