import { connect } from "node:net";
import { connect as connectTls } from "node:tls";

import {
  ProxyProtocolConfig_Version as Version,
  ProxyProtocolPassThroughTLVs_PassTLVsMatchType as Match,
} from "@tulle/xds/gen/envoy/config/core/v3/proxy_protocol_pb.js";
import { createTestAuthority, eventually } from "@tulle/testkit";
import { afterEach, expect, test } from "vitest";

import {
  backend,
  closeAll,
  createProxy,
  exchangeBytes,
  rawBackend,
  type TestProxy,
} from "../../test/harness.js";
import { FRONTEND, SNI } from "../../test/pair.js";
import { inboundListener, inboundTcpListener, staticCluster } from "../../test/resources.js";
import { ProxyHeaderReader } from "../proxy-protocol/reader.js";
import { proxyHeader } from "../proxy-protocol/write.js";
import { ProxyHeaderGate } from "./proxy-header-gate.js";

afterEach(closeAll);

const CLIENT = {
  source: { host: "192.0.2.1", port: 40_000 },
  destination: { host: "198.51.100.7", port: 80 },
};
const V1 = proxyHeader(1, CLIENT).toString("latin1");
const V2 = proxyHeader(2, CLIENT).toString("latin1");
const GET = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const LOOPBACK = ["127.0.0.0/8", "::1"];
const ELSEWHERE = ["10.0.0.0/8"];

type Filter = NonNullable<Parameters<typeof inboundListener>[0]["proxyProtocol"]>;

/** A sidecar before an application that says what it was told of its client. */
async function serving(
  from: readonly string[] | undefined,
  filter?: Filter,
  options: Parameters<typeof createProxy>[0] = {},
): Promise<{ readonly proxy: TestProxy; readonly port: number }> {
  const app = await backend((request, response) =>
    response.end(
      JSON.stringify([
        request.headers["x-forwarded-for"] ?? "",
        request.headers["x-forwarded-client-cert"] ?? "",
      ]),
    ),
  );
  const proxy = createProxy(options);
  const listener = await proxy.inbound(undefined, from);
  proxy.apply(
    staticCluster("app", app.port),
    inboundListener({
      sni: SNI,
      cluster: "app",
      permissive: true,
      ...(filter === undefined ? {} : { proxyProtocol: filter }),
    }),
  );
  return { proxy, port: listener.tcp.address.port };
}

/** Bytes as they are written, and in pieces of one byte. */
async function answers(port: number, bytes: string): Promise<readonly string[]> {
  const whole = await send(port, [bytes]);
  const pieces = await send(port, bytes.split(""));
  return [whole, pieces];
}

async function send(port: number, pieces: readonly string[]): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.setNoDelay(true);
  let received = "";
  socket.on("data", (chunk: Buffer) => (received += chunk.toString("latin1")));
  socket.on("error", () => undefined);
  for (const piece of pieces) socket.write(Buffer.from(piece, "latin1"));
  await new Promise((resolve) => socket.once("close", resolve));
  return received;
}

const refused = (proxy: TestProxy): number =>
  Number(/refused\{reason="proxy_protocol"\} (\d+)/.exec(proxy.metricsText())?.[1] ?? 0);

test.each([
  ["version 1", V1],
  ["version 2", V2],
])(
  "the client that a trusted %s header names is told to the application and logged",
  async (_version, header) => {
    const { proxy, port } = await serving(LOOPBACK);
    for (const answer of await answers(port, header + GET)) expect(answer).toContain('["192.0.2.1",""]');
    await eventually(() => proxy.log().length === 2);
    for (const logged of proxy.log()) expect(logged).toContain("192.0.2.1:40000");
  },
);

test("the address is added behind what the client says, in one field", async () => {
  const { port } = await serving(LOOPBACK);
  const request = GET.replace(
    "Host: a",
    "X-Forwarded-For: 203.0.113.9\r\nHost: a\r\nx-forwarded-for: 1.1.1.1, 2.2.2.2",
  );
  expect(await send(port, [V1, request])).toContain('["203.0.113.9,1.1.1.1, 2.2.2.2,192.0.2.1",""]');
});

test("without a header the proxy's own peer counts, where it may stay away", async () => {
  const { proxy, port } = await serving(undefined);
  expect(await send(port, [GET])).toContain('["",""]');
  await eventually(() => proxy.log().some((line) => line.includes("127.0.0.1:")));
});

test("AZ-12: a trusted peer's header without addresses leaves the peer's own", async () => {
  const { proxy, port } = await serving(LOOPBACK);
  for (const header of [proxyHeader(1, undefined), proxyHeader(2, undefined)]) {
    expect(await send(port, [header.toString("latin1"), GET])).toContain('["",""]');
  }
  expect(refused(proxy)).toBe(0);
});

test("AZ-12: nobody else's header is believed", async () => {
  const { proxy, port } = await serving(ELSEWHERE);
  for (const header of [V1, V2]) expect(await send(port, [header + GET])).toBe("");
  expect(refused(proxy)).toBe(2);
  // In pieces it is no request either.
  for (const header of [V1, V2]) expect(await send(port, (header + GET).split(""))).not.toContain("200 OK");
  expect(await send(port, [GET])).toContain('["",""]');
});

test("a header where none is configured is no request", async () => {
  const { port } = await serving(undefined);
  for (const header of [V1, V2]) expect(await send(port, [header + GET])).toContain("HTTP/1.1 400");
});

test.each([
  ["no header", GET],
  ["a line that is too long", `PROXY UNKNOWN ${"x".repeat(100)}\r\n${GET}`],
  ["a bare LF", V1.replace("\r\n", "\n") + GET],
  // CVE-2026-47692: the request within must not be served.
  ["a TLV that reaches beyond", `${V2.slice(0, 15)}\x0f${V2.slice(16)}\x04\xff\xff${GET}`],
  ["two headers", V1 + V1 + GET],
])("AZ-12: a trusted peer with %s is refused", async (_what, bytes) => {
  const { proxy, port } = await serving(LOOPBACK);
  for (const answer of await answers(port, bytes)) expect(answer).not.toContain("200 OK");
  if (!bytes.startsWith(V1 + V1)) expect(refused(proxy)).toBe(2);
});

test("a mesh peer among the trusted needs no header for mutual TLS, and may have one before it", async () => {
  const authority = await createTestAuthority();
  const svid = await authority.issue({ serviceAccount: "reviews" });
  const { proxy, port } = await serving(LOOPBACK, undefined, { svid });
  const client = await authority.issue({ serviceAccount: "frontend" });
  for (const header of ["", V2]) {
    const transport = connect(port, "127.0.0.1");
    if (header !== "") transport.write(Buffer.from(header, "latin1"));
    const socket = connectTls({
      socket: transport,
      servername: SNI,
      rejectUnauthorized: false,
      cert: client.certificateChainPem,
      key: client.privateKeyPem,
    });
    socket.write(GET);
    let received = "";
    socket.on("data", (chunk: Buffer) => (received += chunk.toString()));
    await new Promise((resolve) => socket.once("close", resolve));
    expect(received).toContain(`URI=${FRONTEND}`);
    expect(received).toContain(header === "" ? '["",' : '["192.0.2.1",');
  }
  expect(refused(proxy)).toBe(0);
});

test("a server that speaks first is heard behind a header, and its client named", async () => {
  const app = await rawBackend((socket) => socket.write("220 ready"));
  const proxy = createProxy();
  const listener = await proxy.inbound(undefined, LOOPBACK);
  proxy.apply(
    staticCluster("app", app.port),
    inboundTcpListener({ sni: SNI, cluster: "app", permissive: true }),
  );
  const port = listener.tcp.address.port;
  expect(await exchangeBytes(port, V1, (received) => received.includes("ready"))).toBe("220 ready");
  await eventually(() => proxy.log().some((line) => line.includes("192.0.2.1:40000")));
});

test("the listener's filter asks everybody for a header, or takes one from whoever has it", async () => {
  const strict = await serving(undefined, {});
  expect(await send(strict.port, [V1, GET])).toContain('["192.0.2.1",""]');
  expect(await send(strict.port, [GET])).toBe("");
  const lax = await serving(undefined, { allowRequestsWithoutProxyProtocol: true });
  expect(await send(lax.port, [V2, GET])).toContain('["192.0.2.1",""]');
  expect(await send(lax.port, [GET])).toContain('["",""]');
  const second = await serving(undefined, { disallowedVersions: [Version.V1] });
  expect(await send(second.port, [V1, GET])).toBe("");
  expect(await send(second.port, [V2, GET])).toContain('["192.0.2.1",""]');
});

test("an application is told of the TLVs that listener and cluster both pass on, and of added ones", async () => {
  const heard: Buffer[] = [];
  const app = await rawBackend((socket) => {
    socket.once("data", (bytes) => {
      heard.push(bytes);
      socket.end("heard");
    });
  });
  const proxy = createProxy();
  const listener = await proxy.inbound(undefined, LOOPBACK);
  const some = (...tlvType: number[]) => ({ matchType: Match.INCLUDE, tlvType });
  const tlvs = [0xe0, 0xe1, 0xe2].map((type) => ({ type, value: Uint8Array.of(type) }));
  const added = { type: 0xe9, value: Uint8Array.from(Buffer.from("zone-a")) };
  proxy.apply(
    staticCluster("app", app.port, {
      proxyProtocol: { version: Version.V2, passThroughTlvs: some(0xe1, 0xe2), addedTlvs: [added] },
    }),
    inboundTcpListener({
      sni: SNI,
      cluster: "app",
      permissive: true,
      proxyProtocol: { passThroughTlvs: some(0xe0, 0xe1) },
    }),
  );
  const sent = Buffer.concat([proxyHeader(2, CLIENT, tlvs), Buffer.from("hello")]);
  expect(await exchangeBytes(listener.tcp.address.port, sent)).toBe("heard");
  const beginning = new ProxyHeaderReader().push(heard[0] ?? Buffer.alloc(0));
  expect(beginning?.header?.addresses?.source).toEqual(CLIENT.source);
  expect(beginning?.header?.tlvs).toEqual([added, tlvs[1]]);
});

test("the sidecar's own networks hold for the listener's filter, too", async () => {
  const { port } = await serving(ELSEWHERE, { allowRequestsWithoutProxyProtocol: true });
  expect(await send(port, [V1 + GET])).toBe("");
  expect(await send(port, [GET])).toContain('["",""]');
});

test.each(["10.0.0.0/33", "10.0.0.0/x", "fd00::/129", "example", ""])("%j is no network", (network) => {
  const { configuration, stack } = createProxy();
  expect(() => new ProxyHeaderGate([network], configuration, stack.connection.coarseWheel)).toThrow(
    "is no network",
  );
});
