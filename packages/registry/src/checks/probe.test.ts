import { createSocket } from "node:dgram";
import { createServer, type RequestListener } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import { createServer as createTlsServer } from "node:https";
import { createServer as createTcpServer, type AddressInfo, type Server } from "node:net";
import { createTestAuthority } from "@tulle/testkit";
import { afterEach, expect, test } from "vitest";
import type { ProbeDefinition } from "../definition.js";
import { probeOverNetwork } from "./probe.js";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function listen(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  return (server.address() as AddressInfo).port;
}

async function probeHttp(
  listener: RequestListener,
  extra: Partial<Extract<ProbeDefinition, { kind: "http" }>> = {},
  signal = new AbortController().signal,
) {
  const port = await listen(createServer(listener));
  const definition = {
    kind: "http",
    url: `http://127.0.0.1:${port}/health?x=1`,
    method: "GET",
    headers: {},
    body: "",
    tlsSkipVerify: false,
    tlsServerName: "",
    ...extra,
  } as const;
  return await probeOverNetwork(definition, 4096, signal);
}

test.each([
  [200, "passing"],
  [204, "passing"],
  [299, "passing"],
  [302, "critical"],
  [404, "critical"],
  [429, "warning"],
  [503, "critical"],
])("an HTTP probe takes %i as %s", async (code, status) => {
  const result = await probeHttp((_, response) => response.writeHead(code, { location: "/else" }).end());
  expect(result.status).toBe(status);
  expect(result.output).toContain(` ${code} `);
});

test("an HTTP probe sends the method, headers and body of its definition", async () => {
  let seen: unknown;
  const result = await probeHttp(
    (request, response) => {
      let body = "";
      request.on("data", (piece: Buffer) => (body += piece.toString()));
      request.on("end", () => {
        const { host, "x-twice": twice } = request.headers;
        seen = [request.method, request.url, host, twice, body];
        response.end("ok");
      });
    },
    { method: "POST", headers: { Host: ["app.test"], "X-Twice": ["a", "b"] }, body: "ping" },
  );
  expect(seen).toEqual(["POST", "/health?x=1", "app.test", "a, b", "ping"]);
  expect(result.output).toMatch(/^HTTP POST http:.*: 200 OK Output: ok$/);
});

test("an HTTP probe reads no more than it keeps of an endless answer", async () => {
  const result = await probeHttp((_, response) => {
    const more = (): void => {
      if (!response.destroyed) response.write("x".repeat(10_000), more);
    };
    more();
  });
  expect(result.status).toBe("passing");
  expect(result.output.length).toBeLessThan(4300);
});

test("an HTTP probe is critical when refused, cut, aborted, or impossible to send", async () => {
  const cut = await probeHttp((_, response) => {
    response.write("half");
    setImmediate(() => response.destroy());
  });
  expect(cut.status).toBe("critical");
  const abort = new AbortController();
  const aborted = probeHttp(() => abort.abort(), {}, abort.signal);
  expect((await aborted).status).toBe("critical");
  const injected = await probeHttp((_, response) => response.end(), { headers: { "x-a": ["b\r\nc: d"] } });
  expect(injected.status).toBe("critical");
  const refused = await probeHttp((_, response) => response.end(), { url: "http://127.0.0.1:1/" });
  expect(refused.output).toMatch(/ECONNREFUSED/);
});

test("an HTTPS probe verifies the certificate unless told not to", async () => {
  const authority = await createTestAuthority();
  const { certificateChainPem, privateKeyPem } = await authority.issue({ dnsNames: ["app.test"] });
  let serverName: unknown;
  const server = createTlsServer({ cert: certificateChainPem, key: privateKeyPem }, (request, response) => {
    serverName = "servername" in request.socket ? request.socket.servername : undefined;
    response.end("ok");
  });
  server.on("tlsClientError", () => undefined);
  const url = `https://127.0.0.1:${await listen(server)}/`;
  const base = {
    kind: "http",
    url,
    method: "GET",
    headers: {},
    body: "",
    tlsServerName: "app.test",
  } as const;
  const signal = new AbortController().signal;
  const strict = await probeOverNetwork({ ...base, tlsSkipVerify: false }, 4096, signal);
  expect(strict.status).toBe("critical");
  const lax = await probeOverNetwork({ ...base, tlsSkipVerify: true }, 4096, signal);
  expect([lax.status, serverName]).toEqual(["passing", "app.test"]);
});

test("a TCP probe passes when it can connect, and is critical when refused or aborted", async () => {
  const port = await listen(createTcpServer((socket) => socket.on("error", () => undefined)));
  const signal = new AbortController().signal;
  expect(await probeOverNetwork({ kind: "tcp", host: "127.0.0.1", port }, 4096, signal)).toEqual({
    status: "passing",
    output: `TCP connect 127.0.0.1:${port}: Success`,
  });
  const refused = await probeOverNetwork({ kind: "tcp", host: "127.0.0.1", port: 1 }, 4096, signal);
  expect(refused).toMatchObject({ status: "critical", output: expect.stringContaining("ECONNREFUSED") });
  const aborted = probeOverNetwork({ kind: "tcp", host: "127.0.0.1", port }, 4096, AbortSignal.abort());
  expect((await aborted).status).toBe("critical");
});

test("a TCP probe with TLS verifies the certificate unless told not to", async () => {
  const authority = await createTestAuthority();
  const { certificateChainPem, privateKeyPem } = await authority.issue({ dnsNames: ["app.test"] });
  const server = createTlsServer({ cert: certificateChainPem, key: privateKeyPem });
  server.on("tlsClientError", () => undefined);
  const port = await listen(server);
  const ask = (skipVerify: boolean) =>
    probeOverNetwork(
      { kind: "tcp", host: "127.0.0.1", port, tls: { skipVerify, serverName: "app.test" } },
      4096,
      new AbortController().signal,
    );
  expect((await ask(false)).status).toBe("critical");
  expect((await ask(true)).status).toBe("passing");
});

/** A server of grpc.health.v1 that answers for services by their names; `undefined` = gRPC status NOT_FOUND. */
function healthServer(statuses: Readonly<Record<string, number>>): Server {
  const server = createHttp2Server();
  server.on("stream", (stream, headers) => {
    const pieces: Buffer[] = [];
    stream.on("data", (piece: Buffer) => pieces.push(piece));
    stream.on("end", () => {
      const asked = Buffer.concat(pieces).subarray(7).toString();
      const status = headers[":path"] === "/grpc.health.v1.Health/Check" ? statuses[asked] : undefined;
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () =>
        stream.sendTrailers({ "grpc-status": status === undefined ? "5" : "0" }),
      );
      stream.end(status === undefined ? undefined : Buffer.from([0, 0, 0, 0, 2, 0x08, status]));
    });
  });
  return server as unknown as Server;
}

test.each([
  ["", "passing", "SERVING"],
  ["shop.v1.Cart", "critical", "NOT_SERVING"],
  ["nobody", "critical", "gRPC status 5"],
])("a gRPC probe of the service %j is %s", async (service, status, told) => {
  const port = await listen(healthServer({ "": 1, "shop.v1.Cart": 2 }));
  const signal = new AbortController().signal;
  expect(await probeOverNetwork({ kind: "grpc", host: "127.0.0.1", port, service }, 4096, signal)).toEqual({
    status,
    output: `gRPC check 127.0.0.1:${port}: ${told}`,
  });
});

test("an HTTP/2 ping passes where HTTP/2 is spoken, and is critical elsewhere", async () => {
  const signal = new AbortController().signal;
  const port = await listen(healthServer({}));
  expect(await probeOverNetwork({ kind: "h2ping", host: "127.0.0.1", port }, 4096, signal)).toEqual({
    status: "passing",
    output: `HTTP2 ping 127.0.0.1:${port}: Success`,
  });
  const other = await listen(createTcpServer((socket) => socket.end("220 mail\r\n")));
  const wrong = await probeOverNetwork({ kind: "h2ping", host: "127.0.0.1", port: other }, 4096, signal);
  expect(wrong.status).toBe("critical");
  const refused = await probeOverNetwork(
    { kind: "grpc", host: "127.0.0.1", port: 1, service: "" },
    4096,
    signal,
  );
  expect(refused.output).toContain("ECONNREFUSED");
  const silent = await listen(createTcpServer((socket) => socket.on("error", () => undefined)));
  const abort = new AbortController();
  const asked = probeOverNetwork({ kind: "h2ping", host: "127.0.0.1", port: silent }, 4096, abort.signal);
  abort.abort();
  expect((await asked).status).toBe("critical");
});

test("a UDP probe passes on an answer and on silence, and is critical when nobody listens", async () => {
  const signal = new AbortController().signal;
  const open = async (answers: boolean) => {
    const socket = createSocket("udp4");
    if (answers) socket.on("message", (_message, { port, address }) => socket.send("pong", port, address));
    await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
    return { port: socket.address().port, close: () => socket.close() };
  };
  const ask = (port: number) => probeOverNetwork({ kind: "udp", host: "127.0.0.1", port }, 4096, signal);
  const loud = await open(true);
  expect((await ask(loud.port)).status).toBe("passing");
  loud.close();
  const quiet = await open(false);
  expect((await ask(quiet.port)).status).toBe("passing");
  quiet.close();
  expect(await ask(quiet.port)).toMatchObject({
    status: "critical",
    output: expect.stringContaining("ECONNREFUSED"),
  });
});

test.each([
  { kind: "tcp", host: "169.254.169.254", port: 80 },
  { kind: "grpc", host: "169.254.169.254", port: 80, service: "" },
  { kind: "h2ping", host: "0.0.0.0", port: 80 },
  { kind: "udp", host: "fe80::1", port: 53 },
  { kind: "tcp", host: "0.0.0.0", port: 80 },
  // A name by which resolvers mean 0.0.0.0.
  { kind: "tcp", host: "0", port: 80 },
  { kind: "tcp", host: "fe80::1", port: 80 },
  { kind: "tcp", host: "::ffff:169.254.169.254", port: 80 },
  { kind: "http", url: "http://169.254.169.254/latest/meta-data" },
  { kind: "http", url: "http://0.0.0.0/" },
  { kind: "http", url: "http://2852039166/" },
  { kind: "http", url: "http://0xa9.0xfe.0xa9.0xfe/" },
  { kind: "http", url: "http://[::ffff:a9fe:a9fe]/" },
  { kind: "http", url: "https://[fe80::1]/" },
] as const)("SSRF-02 a probe does not ask %j", async (target) => {
  const http = { method: "GET", headers: {}, body: "", tlsSkipVerify: false, tlsServerName: "" };
  const definition = target.kind === "http" ? { ...http, ...target } : target;
  const result = await probeOverNetwork(definition, 4096, new AbortController().signal);
  expect(result).toMatchObject({ status: "critical", output: expect.stringContaining("is not asked") });
});
