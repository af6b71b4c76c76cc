import type { IncomingMessage } from "node:http";

import { systemClock } from "@tulle/base";
import { eventually, FakeClock } from "@tulle/testkit";
import { afterEach, describe, expect, test } from "vitest";

import { backend, call, closeAll, createProxy, rawBackend, type TestProxy } from "../../test/harness.js";
import {
  apiListener,
  originalDestinationCluster,
  routes,
  routeTo,
  tcpListener,
} from "../../test/resources.js";
import { Wire } from "../../test/wire.js";
import type { LookUp } from "../dns/system-lookup.js";
import { MetricsRegistry } from "../telemetry/metrics.js";
import { OutsideHosts } from "./outside-hosts.js";

afterEach(closeAll);

const connectTo = (authority: string): string =>
  `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`;
const unfound: LookUp = () => Promise.reject(new Error("there is no such name"));
const found =
  (...addresses: string[]): LookUp =>
  () =>
    Promise.resolve({ addresses, ttlMs: undefined });

/** The outbound port, where the mesh knows none of `authorities`. */
async function start(
  lookUp: LookUp,
  passthrough = true,
  isReached?: (address: string) => boolean,
): Promise<{
  readonly port: number;
  readonly unknown: (authority: string) => void;
  readonly proxy: TestProxy;
}> {
  const proxy = createProxy();
  const outside = new OutsideHosts({
    clock: systemClock,
    metrics: proxy.metrics,
    policy: { passthrough },
    lookUp,
    wake: () => proxy.stack.tcp.parking.wake(),
    ...(isReached && { isReached }),
  });
  const listener = await proxy.listener("", undefined, outside);
  const unknown = (name: string): void =>
    proxy.apply({
      typeUrl: "type.googleapis.com/envoy.config.listener.v3.Listener",
      name,
      version: "0",
      bytes: undefined,
    });
  return { port: listener.tcp.address.port, unknown, proxy };
}

test("CONNECT to a host outside of the mesh is a connection to the address that was judged", async () => {
  const server = await rawBackend((socket) => {
    socket.write("220 outside\r\n");
    socket.on("data", (bytes: Buffer) => socket.write(bytes));
  });
  const asked: string[] = [];
  const lookUp: LookUp = (name) => {
    asked.push(name);
    return Promise.resolve({ addresses: ["10.0.0.1", "127.0.0.1"], ttlMs: undefined });
  };
  const { port, unknown } = await start(lookUp, true, (address) => address === "127.0.0.1");
  const authority = `api.example:${server.port}`;
  unknown(authority);
  for (let time = 0; time < 2; time++) {
    const client = Wire.to(port);
    client.send(`${connectTo(authority)}early`);
    const heard = await client.until("early");
    expect(heard).toContain("HTTP/1.1 200 ");
    expect(heard).toContain("220 outside\r\n");
    client.send(" late");
    await client.until(" late");
    client.socket.destroy();
  }
  // The second one goes by what the first one found.
  expect(asked).toEqual(["api.example"]);
});

test.each([
  ["an address of this machine", "127.0.0.1:15000", unfound],
  ["one that is spelt another way", "[::ffff:127.0.0.1]:15000", unfound],
  ["a metadata service", "169.254.169.254:80", unfound],
  ["a virtual IP", "240.240.0.1:80", unfound],
  ["a name for a private address", "intranet.example:80", found("10.0.0.1", "fd00::1")],
  ["a name that looks like an address", "0177.0.0.1:80", found("127.0.0.1")],
  ["a name that does not resolve", "nowhere.example:80", unfound],
  ["a short name", "reviews:80", found("1.1.1.1")],
  ["a name of the mesh's", "reviews.default.svc.cluster.local:80", found("1.1.1.1")],
])("CONNECT to %s is refused", async (_what, authority, lookUp) => {
  const { port, unknown } = await start(lookUp);
  unknown(authority);
  const client = Wire.to(port);
  client.send(connectTo(authority));
  expect(await client.until("\r\n\r\n")).toMatch(/^HTTP\/1\.1 404 /);
  expect(await client.end()).toBe("end");
});

test("a public address that is this machine's is not reached, however it is spelt and whatever name leads there", async () => {
  let woken = 0;
  const outside = new OutsideHosts({
    clock: new FakeClock(),
    metrics: new MetricsRegistry(),
    policy: { passthrough: true },
    lookUp: found("1.1.1.1"),
    localAddresses: () => ["127.0.0.1", "1.1.1.1", "2606:4700::1111"],
    wake: () => woken++,
  });
  for (const authority of ["1.1.1.1:22", "[::ffff:1.1.1.1]:22", "[2606:4700:0:0:0:0:0:1111]:15000"])
    expect(outside.knows(authority)).toBe("unknown-service");
  expect(outside.knows("8.8.8.8:53")).toBe(true);
  expect(outside.knows("self.example:22")).toBeUndefined();
  await eventually(() => woken === 1);
  expect(outside.knows("self.example:22")).toBe("unknown-service");
});

test("under REGISTRY_ONLY nobody is looked up", async () => {
  let asked = 0;
  const { port, unknown } = await start(() => {
    asked++;
    return Promise.reject(new Error("not to be asked"));
  }, false);
  unknown("api.example:443");
  const client = Wire.to(port);
  client.send(connectTo("api.example:443"));
  expect(await client.until("\r\n\r\n")).toMatch(/^HTTP\/1\.1 502 /);
  expect(asked).toBe(0);
});

test("names that do not answer are given up, and no more than a thousand are remembered", async () => {
  const clock = new FakeClock();
  let woken = 0;
  const outside = new OutsideHosts({
    clock,
    metrics: new MetricsRegistry(),
    policy: { passthrough: true },
    lookUp: (name) => (name.startsWith("late") ? new Promise(() => undefined) : unfound(name, "all", false)),
    wake: () => woken++,
  });
  expect(outside.knows("late.example:443")).toBeUndefined();
  await clock.advance(5000);
  expect(outside.knows("late.example:443")).toBe("unknown-service");
  for (let i = 0; i < 999; i++) expect(outside.knows(`host${i}.example:443`)).toBeUndefined();
  await eventually(() => woken === 1000);
  expect(outside.knows("one-more.example:443")).toBe("unknown-service");
  // What was found so long ago makes room.
  await clock.advance(30_000);
  expect(outside.knows("one-more.example:443")).toBeUndefined();
});

const PASSTHROUGH = [
  apiListener("virtualOutboundHttp", "allow_any"),
  routes("allow_any", [routeTo("PassthroughCluster")]),
  originalDestinationCluster("PassthroughCluster"),
];
const toLoopback = (address: string): boolean => address === "127.0.0.1";

describe("a plain request in absolute form", () => {
  test("goes to the address that its host was judged by, and tells nobody there of the mesh", async () => {
    const heard: IncomingMessage[] = [];
    const server = await backend((request, response) => {
      heard.push(request);
      response.end("outside");
    });
    let asked = 0;
    const lookUp: LookUp = () => {
      asked++;
      return Promise.resolve({ addresses: ["10.0.0.1", "127.0.0.1"], ttlMs: undefined });
    };
    const { port, unknown, proxy } = await start(lookUp, true, toLoopback);
    proxy.apply(...PASSTHROUGH);
    const authority = `api.example:${server.port}`;
    unknown(authority);
    const headers = {
      host: "elsewhere.example",
      "x-envoy-peer-metadata": "from the application",
      "x-tulle-anything": "1",
      "x-envoy-decorator-operation": "op",
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      "x-own": "kept",
    };
    for (let time = 0; time < 2; time++) {
      const answer = await call(port, `http://${authority}/a/../b?q=1`, { headers });
      expect(answer.status, answer.body).toBe(200);
    }
    expect(asked).toBe(1);
    const [request] = heard;
    expect(request?.url).toBe("/b?q=1");
    expect(request?.headers).toMatchObject({
      host: authority,
      "x-own": "kept",
      traceparent: headers.traceparent,
    });
    const told = Object.keys(request?.headers ?? {}).filter((name) => /^x-(envoy|tulle|istio)-/.test(name));
    expect(told).toEqual([]);
    // One connection carried both.
    expect(heard[0]?.socket.remotePort).toBe(heard[1]?.socket.remotePort);
    await eventually(() => proxy.log().length === 2);
    expect(proxy.log()[0]).toMatch(/" 200 - via_upstream .*PassthroughCluster/);
    expect(proxy.metricsText()).toMatch(
      /istio_requests_total\{.*destination_service_name="PassthroughCluster".*\} 2/,
    );
    // The same name as a service's: what is not an URL names a service of the mesh.
    expect((await call(port, "/", { headers: { host: authority } })).status).toBe(404);
  });

  test("waits for the routes that lead outside, and is a 404 where there are none", async () => {
    const server = await backend((_request, response) => response.end("outside"));
    const { port, unknown, proxy } = await start(found("127.0.0.1"), true, toLoopback);
    const authority = `api.example:${server.port}`;
    unknown(authority);
    const answer = call(port, `http://${authority}/`);
    await eventually(() => proxy.demanded.includes("virtualOutboundHttp"));
    proxy.apply(...PASSTHROUGH);
    expect((await answer).body).toBe("outside");
    unknown("virtualOutboundHttp");
    expect((await call(port, `http://${authority}/`)).status).toBe(404);
  });

  test.each([
    ["127.0.0.1:15000", unfound],
    ["169.254.169.254", unfound],
    ["intranet.example", found("10.0.0.1")],
    ["nowhere.example", unfound],
    ["reviews", found("1.1.1.1")],
    ["reviews.default.svc.cluster.local:80", found("1.1.1.1")],
  ] as const)("for %s is refused", async (authority, lookUp) => {
    const { port, unknown, proxy } = await start(lookUp);
    proxy.apply(...PASSTHROUGH);
    unknown(authority);
    const { status, body } = await call(port, `http://${authority}/`);
    expect(status, body).toBe(404);
  });

  test.each(["api.example", "[2606:4700::1111]"])("for %s means port 80", async (host) => {
    const asked: string[] = [];
    const reached = (address: string): boolean => {
      asked.push(address);
      return false;
    };
    const { port, unknown, proxy } = await start(found("2606:4700::1111"), true, reached);
    proxy.apply(...PASSTHROUGH);
    unknown(host);
    expect((await call(port, `http://${host}/`)).status).toBe(404);
    expect(asked).toContain("2606:4700::1111");
  });

  test("for an https URL is refused: TLS is asked for by CONNECT", async () => {
    const { port, unknown, proxy } = await start(found("127.0.0.1"), true, toLoopback);
    proxy.apply(...PASSTHROUGH);
    unknown("api.example");
    expect((await call(port, "https://api.example/")).status).toBe(404);
  });

  test("is blocked under REGISTRY_ONLY, and nobody is looked up", async () => {
    let asked = 0;
    const { port, unknown, proxy } = await start(() => {
      asked++;
      return Promise.reject(new Error("not to be asked"));
    }, false);
    proxy.apply(...PASSTHROUGH);
    unknown("api.example");
    unknown("nobody");
    const { status, body } = await call(port, "http://api.example/");
    expect(status).toBe(502);
    expect(body).toContain("ServiceEntry");
    expect((await call(port, "http://nobody/")).status).toBe(404);
    expect(asked).toBe(0);
    await eventually(() => proxy.log().length === 2);
    expect(proxy.log()[0]).toMatch(/" 502 - direct_response .*BlackHoleCluster/);
    expect(proxy.metricsText()).toMatch(
      /istio_requests_total\{.*destination_service_name="BlackHoleCluster".*response_code="502".*\} 1/,
    );
  });

  test("for a host that a ServiceEntry names without endpoints goes to its address, also under REGISTRY_ONLY", async () => {
    const server = await backend((_request, response) => response.end("outside"));
    const { port, proxy } = await start(found("127.0.0.1"), false, toLoopback);
    const authority = `api.example:${server.port}`;
    proxy.apply(
      apiListener(authority, "entry"),
      routes("entry", [routeTo("outbound|80||api.example")]),
      originalDestinationCluster("outbound|80||api.example"),
    );
    expect((await call(port, `http://${authority}/`)).body).toBe("outside");
    expect((await call(port, "/", { headers: { host: authority } })).body).toBe("outside");
  });
});

describe("bytes for a host that a ServiceEntry names without endpoints go to its address, also under REGISTRY_ONLY,", () => {
  async function outsideService(): Promise<{
    readonly port: number;
    readonly proxy: TestProxy;
    readonly authority: string;
  }> {
    const server = await rawBackend((socket) => socket.write("220 outside\r\n"));
    const { port, proxy } = await start(found("10.0.0.1", "127.0.0.1"), false, toLoopback);
    const authority = `api.example:${server.port}`;
    proxy.apply(tcpListener(authority, "none"), originalDestinationCluster("none"));
    return { port, proxy, authority };
  }

  test("by CONNECT", async () => {
    const { port, authority } = await outsideService();
    const client = Wire.to(port);
    client.send(connectTo(authority));
    expect(await client.until("220 outside\r\n")).toMatch(/^HTTP\/1\.1 200 /);
  });

  test("and to nobody where that is not one of the public internet", async () => {
    const { proxy } = await outsideService();
    proxy.apply(tcpListener("intranet.example:1", "none"));
    const listener = await proxy.listener("intranet.example:1", undefined, {
      knows: () => true,
      accept: () => undefined,
      endpointOf: () => "unknown-service",
    });
    const client = Wire.to(listener.tcp.address.port);
    expect(await client.end()).toMatch(/ECONNRESET|end/);
    await eventually(() => proxy.log().some((line) => line.includes(" UH ")));
  });
});

test("an upstream's listener leads to the address of a host without endpoints, once that is found", async () => {
  const server = await rawBackend((socket) => socket.write("220 outside\r\n"));
  const proxy = createProxy();
  let answer: (addresses: readonly string[]) => void = () => undefined;
  const outside = new OutsideHosts({
    clock: systemClock,
    metrics: proxy.metrics,
    policy: { passthrough: false },
    lookUp: () =>
      new Promise((resolve) => {
        answer = (addresses) => resolve({ addresses: [...addresses], ttlMs: undefined });
      }),
    wake: () => proxy.stack.tcp.parking.wake(),
    isReached: toLoopback,
  });
  const authority = `api.example:${server.port}`;
  proxy.apply(tcpListener(authority, "none"), originalDestinationCluster("none"));
  const listener = await proxy.listener(authority, undefined, outside);
  const client = Wire.to(listener.tcp.address.port);
  await eventually(() => proxy.stack.tcp.parking.size === 1);
  answer(["127.0.0.1"]);
  expect(await client.until("220 outside\r\n")).toBe("220 outside\r\n");
});
