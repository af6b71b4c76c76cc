import { Agent } from "node:http";

import { eventually } from "@tulle/testkit";
import { afterEach, expect, test } from "vitest";

import { atEnd, call, closeAll, closedPort, createProxy, rawBackend } from "../../test/harness.js";
import {
  apiListener,
  cluster,
  endpoints,
  routes,
  routeTo,
  type ClusterOptions,
} from "../../test/resources.js";

afterEach(closeAll);

const APP = "outbound|80||app";

async function proxyTo(ports: readonly number[], options: ClusterOptions): Promise<number> {
  const proxy = createProxy();
  proxy.apply(
    cluster(APP, options),
    endpoints(
      APP,
      ports.map((port) => ({ port })),
    ),
    apiListener("app:80", "r"),
    routes("r", [routeTo(APP)]),
  );
  return proxy.listen("app:80");
}

const answer = (index: number): string => {
  const body = String(index);
  return `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
};

const AHEAD: ClusterOptions = { more: { preconnectPolicy: { perUpstreamPreconnectRatio: 2 } } };

test("with a ratio of 2 a connection is open for the next request before anybody asks for it", async () => {
  const opened: number[] = [];
  let hold = true;
  const held: (() => void)[] = [];
  const { port: app, connections } = await rawBackend((socket, index) => {
    opened.push(index);
    socket.on("data", () => {
      const reply = (): void => void socket.write(answer(index));
      if (hold) held.push(reply);
      else reply();
    });
  });
  const port = await proxyTo([app], AHEAD);
  const first = call(port);
  await eventually(() => held.length === 1);
  await eventually(() => connections() === 2);
  const second = call(port);
  await eventually(() => held.length === 2);
  // Two in use: two more are there.
  await eventually(() => connections() === 4);
  hold = false;
  for (const reply of held) reply();
  expect([(await first).status, (await second).status]).toEqual([200, 200]);
  expect((await call(port)).status).toBe(200);
  expect(connections()).toBe(4);
});

test("connections ahead keep to the limit of the cluster, and a failed one fails no request", async () => {
  const { port: app, connections } = await rawBackend((socket, index) => {
    socket.on("data", () => void socket.write(answer(index)));
  });
  const limited = await proxyTo([app], { ...AHEAD, thresholds: { maxConnections: 1 } });
  for (let count = 0; count < 3; count++) expect((await call(limited)).status).toBe(200);
  expect(connections()).toBe(1);
  const dead = await proxyTo([await closedPort()], AHEAD);
  expect((await call(dead)).body).toContain("after 3 tries");
});

test("with connection_pool_per_downstream_connection no two clients share a connection", async () => {
  const { port: app, connections } = await rawBackend((socket, index) => {
    socket.on("data", () => void socket.write(answer(index)));
  });
  const port = await proxyTo([app], { more: { connectionPoolPerDownstreamConnection: true } });
  const client = (): Agent => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    atEnd(() => agent.destroy());
    return agent;
  };
  const [one, other] = [client(), client()];
  const ask = async (agent: Agent): Promise<string> => (await call(port, "/", { agent })).body;
  expect([await ask(one), await ask(one), await ask(other), await ask(one), await ask(other)]).toEqual([
    "0",
    "0",
    "1",
    "0",
    "1",
  ]);
  expect(connections()).toBe(2);
});
