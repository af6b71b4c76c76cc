import { eventually } from "@tulle/testkit";
import { afterEach, describe, expect, test } from "vitest";

import { deliveries } from "../../../http/src/testing/record-events.js";
import { backend, closeAll, createProxy, rawBackend, type TestProxy } from "../../test/harness.js";
import { dial } from "../../test/http2.js";
import { cluster, endpoints, serviceAt, tcpListener } from "../../test/resources.js";
import { Wire } from "../../test/wire.js";

afterEach(closeAll);

const ACCEPTED = "HTTP/1.1 200 Connection established\r\n\r\n";
const connectTo = (authority: string): string =>
  `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`;
const GET = "GET /inside HTTP/1.1\r\nHost: web:8080\r\n\r\n";
const TCP = "outbound|5432||db.default.svc.cluster.local";

/** A proxy with an HTTP service `web:8080`, a TCP service `db:5432`, and nothing else. */
async function start(): Promise<{ proxy: TestProxy; port: number; web: string[]; db: Wire[] }> {
  const web: string[] = [];
  const db: Wire[] = [];
  const { port: webPort } = await backend((request, response) => {
    web.push(`${request.method} ${request.url} ${request.headers.host}`);
    response.end("from web");
  });
  const { port: dbPort } = await rawBackend((socket) => {
    db.push(new Wire(socket));
    socket.write("220 db\r\n");
  }, true);
  const proxy = createProxy();
  proxy.apply(
    ...serviceAt("web:8080", [webPort]),
    cluster(TCP),
    endpoints(TCP, [{ port: dbPort }]),
    tcpListener("db:5432", TCP),
  );
  return { proxy, port: await proxy.listen(""), web, db };
}

/** What the control plane says of authorities that there are none of. */
function without(proxy: TestProxy, ...authorities: string[]): void {
  proxy.apply(
    ...authorities.map((name) => ({
      typeUrl: "type.googleapis.com/envoy.config.listener.v3.Listener",
      name,
      version: "0",
      bytes: undefined,
    })),
  );
}

test("CONNECT gives a connection to an HTTP service, whose requests are routed as any", async () => {
  const { proxy, port, web } = await start();
  const client = Wire.to(port);
  client.send(connectTo("WEB:8080"));
  expect(await client.until("\r\n\r\n")).toBe(ACCEPTED);
  for (let i = 0; i < 2; i++) {
    client.send(GET);
    expect(await client.until("from web")).toMatch(/^HTTP\/1\.1 200 /);
  }
  // The service was named by CONNECT: Host cannot lead elsewhere.
  client.send("GET /else HTTP/1.1\r\nHost: other:80\r\n\r\n");
  await client.until("from web");
  expect(web).toEqual(["GET /inside web:8080", "GET /inside web:8080", "GET /else other:80"]);
  await eventually(() => proxy.log().length === 4);
  expect(proxy.log()[0]).toContain('"CONNECT - HTTP/1.1" 200 - connect_accepted ');
  expect(proxy.log()[1]).toContain('"GET /inside HTTP/1.1" 200 - via_upstream ');
});

test("CONNECT gives a connection to a TCP service, and a server that speaks first is heard", async () => {
  const { port, db } = await start();
  const client = Wire.to(port);
  client.send(connectTo("db:5432"));
  expect(await client.until("220 db\r\n")).toBe(`${ACCEPTED}220 db\r\n`);
  client.send("anything\0at all");
  const server = await eventually(() => db[0]);
  await server.until("anything\0at all");
  client.socket.end();
  expect(await server.end()).toBe("end");
  server.send("bye");
  server.socket.end();
  await client.until("bye");
  expect(await client.end()).toBe("end");
});

test("what comes with a CONNECT belongs to the connection that it asks for, however it is cut", async () => {
  const { port, db, web } = await start();
  for (const [what, text] of [
    ["web", `${connectTo("web:8080")}${GET}`],
    ["db", `${connectTo("db:5432")}early bird`],
  ] as const) {
    for (const [delivery, cuts] of deliveries(Buffer.from(text))) {
      const client = Wire.to(port);
      let from = 0;
      for (const to of [...cuts, text.length]) {
        await new Promise<void>((resolve) => client.socket.write(text.slice(from, to), () => resolve()));
        from = to;
      }
      if (what === "web") await client.until("from web");
      else await (await eventually(() => db.find(({ received }) => received === "early bird"))).until("bird");
      expect(
        web.every((line) => line.includes("/inside")),
        delivery,
      ).toBe(true);
      client.socket.destroy();
    }
  }
});

test("a CONNECT waits for the configuration of its service, and what came early with it", async () => {
  const { proxy, port } = await start();
  const { port: late } = await rawBackend((socket) =>
    socket.on("data", (chunk: Buffer) => socket.write(chunk)),
  );
  const client = Wire.to(port);
  client.send(`${connectTo("late:1")}early`);
  await eventually(() => proxy.demanded.includes("late:1"));
  expect(client.received).toBe("");
  proxy.apply(cluster("late"), endpoints("late", [{ port: late }]), tcpListener("late:1", "late"));
  expect(await client.until("early")).toBe(`${ACCEPTED}early`);
});

test("CONNECT to an unknown name is refused; what came early reaches nobody, and the connection ends", async () => {
  const { proxy, port, web } = await start();
  const unknown = [
    "nobody:80",
    "127.0.0.1:15000",
    "169.254.169.254:80",
    "[::1]:80",
    "2130706433:80",
    "0177.0.0.1:80",
  ];
  without(proxy, ...unknown);
  for (const authority of unknown) {
    const client = Wire.to(port);
    client.send(`${connectTo(authority)}${GET}`);
    const answer = await client.until("\r\n\r\n");
    expect(answer, authority).toMatch(/^HTTP\/1\.1 404 /);
    expect(answer).toContain("connection: close");
    expect(await client.end()).toBe("end");
  }
  expect(web).toEqual([]);
});

test("CONNECT to the listener itself is refused", async () => {
  const { port } = await start();
  for (const host of ["127.0.0.1", "localhost", "[::1]"]) {
    const client = Wire.to(port);
    client.send(connectTo(`${host}:${port}`));
    expect(await client.until("\r\n\r\n")).toMatch(/^HTTP\/1\.1 508 /);
    expect(await client.end()).toBe("end");
  }
});

describe("CONNECT is refused where it would be of no use:", () => {
  test("on the listener of an upstream", async () => {
    const { proxy } = await start();
    const client = Wire.to(await proxy.listen("web:8080"));
    client.send(`${connectTo("web:8080")}${GET}`);
    expect(await client.until("\r\n\r\n")).toMatch(/^HTTP\/1\.1 501 /);
    expect(await client.end()).toBe("end");
  });

  test("on a connection that CONNECT asked for", async () => {
    const { port } = await start();
    const client = Wire.to(port);
    client.send(connectTo("web:8080") + connectTo("db:5432"));
    await client.until(ACCEPTED);
    expect(await client.until("\r\n\r\n")).toMatch(/^HTTP\/1\.1 501 /);
    expect(await client.end()).toBe("end");
  });

  test("over HTTP/2", async () => {
    const { port } = await start();
    const session = dial(port);
    const stream = session.request({ ":method": "CONNECT", ":authority": "db:5432" });
    let status = 0;
    stream.on("error", () => undefined);
    stream.on("response", (headers) => (status = headers[":status"] ?? 0));
    await eventually(() => status === 501);
    expect(session.destroyed).toBe(false);
  });
});

test("a keep-alive connection may ask for another one in the end", async () => {
  const { port } = await start();
  const client = Wire.to(port);
  client.send(GET);
  await client.until("from web");
  client.send(connectTo("db:5432"));
  await client.until("220 db\r\n");
});

test("a TCP connection that CONNECT asked for ends with its listener", async () => {
  const { proxy } = await start();
  const listener = await proxy.listener("");
  const client = Wire.to(listener.tcp.address.port);
  client.send(connectTo("db:5432"));
  await client.until("220 db\r\n");
  expect(listener.connections.busy).toBe(1);
  listener.connections.destroy();
  expect(await client.end()).toMatch(/ECONNRESET|end/);
});
