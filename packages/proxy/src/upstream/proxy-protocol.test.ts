import { Agent } from "node:http";
import { connect } from "node:net";

import { eventually } from "@tulle/testkit";
import { afterEach, expect, test } from "vitest";

import { call, closeAll, createProxy, rawBackend } from "../../test/harness.js";
import { apiListener, cluster, endpoints, routes, routeTo, tcpListener } from "../../test/resources.js";
import { ProxyHeaderReader, type Beginning } from "../proxy-protocol/reader.js";

afterEach(closeAll);

const NAME = "outbound|80||a.default.svc.cluster.local";

/** A server that reads PROXY headers, and answers every request on a connection with the client that its header named. */
async function server() {
  const beginnings: Beginning[] = [];
  const { port } = await rawBackend((socket) => {
    const reader = new ProxyHeaderReader();
    let client: string | undefined;
    const answer = (requests: Buffer): void => {
      for (const _request of requests.toString().matchAll(/\r\n\r\n/g)) {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${client?.length ?? 0}\r\n\r\n${client ?? ""}`);
      }
    };
    socket.on("data", (piece: Buffer) => {
      if (client !== undefined) {
        answer(piece);
        return;
      }
      const beginning = reader.push(piece);
      if (beginning === undefined) return;
      beginnings.push(beginning);
      client = String(beginning.header?.addresses?.source.port);
      answer(beginning.rest);
    });
  });
  return { port, beginnings };
}

test.each([1, 2] as const)(
  "connections begin with a header of version %d, each with its own client",
  async (proxyProtocol) => {
    const { port, beginnings } = await server();
    const proxy = createProxy();
    proxy.apply(
      cluster(NAME, { proxyProtocol }),
      endpoints(NAME, [{ port }]),
      apiListener("a:80", "r"),
      routes("r", [routeTo(NAME)]),
    );
    const at = await proxy.listen("a:80");
    const clients = [
      new Agent({ keepAlive: true, maxSockets: 1 }),
      new Agent({ keepAlive: true, maxSockets: 1 }),
    ];
    const named: string[][] = [];
    for (const agent of clients) {
      const answers = [];
      for (let i = 0; i < 3; i++) answers.push((await call(at, "/", { agent })).body);
      named.push(answers);
    }
    for (const agent of clients) agent.destroy();
    const [first, second] = named;
    // Every request of a client names that client, whoever came before.
    expect(new Set(first).size).toBe(1);
    expect(new Set(second).size).toBe(1);
    expect(first?.[0]).not.toBe(second?.[0]);
    expect(beginnings).toHaveLength(2);
    for (const { header } of beginnings) {
      expect(header).toMatchObject({
        version: proxyProtocol,
        addresses: { source: { host: "127.0.0.1" }, destination: { host: "127.0.0.1", port: at } },
      });
    }
  },
);

test("a TCP connection begins with a header before its first byte", async () => {
  const { port, beginnings } = await server();
  const proxy = createProxy();
  proxy.apply(cluster(NAME, { proxyProtocol: 2 }), endpoints(NAME, [{ port }]), tcpListener("a:80", NAME));
  const client = connect(await proxy.listen("a:80"), "127.0.0.1");
  client.on("error", () => undefined);
  client.write("hello");
  await eventually(() => beginnings.length === 1);
  expect(beginnings[0]?.header?.addresses?.source.port).toBe(client.localPort);
  client.destroy();
});
