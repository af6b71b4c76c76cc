import { eventually } from "@tulle/testkit";
import { afterEach, expect, test } from "vitest";

import { closeAll, createProxy, rawBackend, type TestProxy } from "../../test/harness.js";
import { cluster, endpoints, tcpListener } from "../../test/resources.js";
import { Wire } from "../../test/wire.js";

afterEach(closeAll);

const TARGET = "db.internal:5432";
const REQUEST = `CONNECT ${TARGET} HTTP/1.1\r\nHost: ${TARGET}\r\n\r\n`;
const YES = "HTTP/1.1 200 Connection established\r\n\r\n";

/** A proxy whose service `db:5432` is reached by way of a server that the test scripts. */
async function start(
  connectTimeoutMs?: number,
): Promise<{ readonly proxy: TestProxy; readonly client: Wire; readonly server: () => Promise<Wire> }> {
  const servers: Wire[] = [];
  const { port } = await rawBackend((socket) => servers.push(new Wire(socket)), true);
  const proxy = createProxy();
  proxy.apply(
    cluster("egress", connectTimeoutMs === undefined ? {} : { connectTimeoutMs }),
    endpoints("egress", [{ port }]),
    tcpListener("db:5432", "egress", { tunnelingConfig: { hostname: TARGET } }),
  );
  const client = Wire.to(await proxy.listen("db:5432"));
  return { proxy, client, server: () => eventually(() => servers[0]) };
}

test("a session is carried through the tunnel that its endpoint was asked for", async () => {
  const { client, server, proxy } = await start();
  client.send("early");
  const egress = await server();
  expect(await egress.until("\r\n\r\n")).toBe(REQUEST);
  // Nothing goes on before the answer, an interim one is none, and what comes with it is the other end's.
  for (const byte of "HTTP/1.1 103 Early Hints\r\n\r\n") egress.send(byte);
  expect(egress.received).toBe("");
  egress.send(`HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n220 db\r\n`);
  expect(await client.until("\r\n")).toBe("220 db\r\n");
  expect(await egress.until("early")).toBe("early");
  client.socket.end("bye");
  expect(await egress.until("bye")).toBe("bye");
  expect(await egress.end()).toBe("end");
  egress.socket.end("221");
  expect(await client.until("221")).toBe("221");
  expect(await client.end()).toBe("end");
  await eventually(() => proxy.log().length === 1);
  expect(proxy.log()[0]).toContain(" 0 - ");
});

test.each([
  ["407", "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407_Proxy_Authentication_Required"],
  ["503", "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno", "503_Service_Unavailable"],
  ["a redirect", "HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", "302_Found"],
  ["a change of protocol", "HTTP/1.1 101 Switching Protocols\r\n\r\n", "101_Switching_Protocols"],
  ["another protocol", "220 mail.example\r\n\r\n", "CONNECT"],
  ["a head without end", `HTTP/1.1 200 OK\r\nx: ${"x".repeat(100_000)}`, "CONNECT"],
  ["an end", "", "closed"],
])("%s instead of a tunnel ends the session with the flag UF and the reason", async (_what, answer, why) => {
  const { client, server, proxy } = await start();
  const egress = await server();
  await egress.until("\r\n\r\n");
  egress.send(answer);
  if (answer === "") egress.socket.end();
  expect(await client.end()).toMatch(/ECONNRESET|end/);
  expect(client.received).toBe("");
  await egress.end();
  await eventually(() => proxy.log().length === 1);
  expect(proxy.log()[0]).toContain(" UF");
  expect(proxy.log()[0]?.replaceAll(" ", "_")).toContain(why);
  // The proxy was reached: what it says of somebody else is not held against it.
  expect(proxy.metricsText()).not.toMatch(/outlier_detection_ejections_enforced_total\{[^}]*\} [1-9]/);
});

test("an egress proxy that does not answer is given up when the connect timeout is over", async () => {
  const { client, server, proxy } = await start(200);
  const egress = await server();
  await egress.until("\r\n\r\n");
  expect(await client.end()).toMatch(/ECONNRESET|end/);
  await eventually(() => proxy.log().length === 1);
  expect(proxy.log()[0]).toContain("no answer in time");
});

test("a client that leaves while the tunnel is asked for takes its connection along", async () => {
  const { client, server } = await start();
  const egress = await server();
  await egress.until("\r\n\r\n");
  client.socket.resetAndDestroy();
  expect(await egress.end()).toMatch(/end|ECONNRESET|close/);
  egress.send(YES);
});
