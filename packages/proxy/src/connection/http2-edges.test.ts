import {
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import { connect } from "node:net";

import { encodeGrpcMessage, HTTP2_PREFACE } from "@tulle/http";
import { createTestAuthority, eventually, type TestAuthority } from "@tulle/testkit";
import { afterEach, beforeAll, expect, test } from "vitest";

import {
  backend,
  call,
  closeAll,
  closedPort,
  createProxy,
  exchangeBytes,
  type TestProxy,
} from "../../test/harness.js";
import { dial, http2App, type OnStream } from "../../test/http2.js";
import { startPair } from "../../test/pair.js";
import { apiListener, cluster, endpoints, routes, routeTo } from "../../test/resources.js";

// What stands at the edges speaks HTTP/2 without TLS: Node.js' own, as client and as application.

const CLUSTER = "outbound|9080||reviews.default.svc.cluster.local";

let authority: TestAuthority;

beforeAll(async () => {
  authority = await createTestAuthority();
});
afterEach(closeAll);

interface Answer {
  readonly headers: IncomingHttpHeaders & { ":status"?: number | undefined };
  readonly trailers: IncomingHttpHeaders;
  readonly body: string;
}

function ask(session: ClientHttp2Session, headers: OutgoingHttpHeaders, body?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers, { endStream: body === undefined });
    let answered: Answer["headers"] = {};
    let trailers: IncomingHttpHeaders = {};
    let text = "";
    stream.on("response", (given) => {
      answered = given;
    });
    stream.on("trailers", (given) => {
      trailers = given;
    });
    stream.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    stream.on("error", reject);
    stream.on("end", () => resolve({ headers: answered, trailers, body: text }));
    if (body !== undefined) stream.end(body);
  });
}

/** A proxy with applications that speak HTTP/2, without sidecars of their own. */
async function proxyTo(ports: readonly number[], route: Record<string, unknown> = {}): Promise<TestProxy> {
  const proxy = createProxy();
  proxy.apply(
    cluster(CLUSTER, { http2: true }),
    endpoints(
      CLUSTER,
      ports.map((port) => ({ port })),
    ),
    apiListener("reviews:9080", "r"),
    routes("r", [routeTo(CLUSTER, route)]),
  );
  return proxy;
}

const echo: OnStream = (stream, headers) => {
  stream.respond(
    { ":status": 200, "x-path": headers[":path"], "x-authority": headers[":authority"] },
    { waitForTrailers: true },
  );
  stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "42" }));
  stream.pipe(stream);
};

test("an HTTP/2 client reaches an HTTP/2 application through two sidecars, trailers included", async () => {
  const app = await http2App(echo);
  const { port, server } = await startPair(authority, { appPort: app.port, http2: true });
  const session = dial(port);
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) => ask(session, { ":method": "POST", ":path": `/${i}` }, `body ${i}`)),
  );
  answers.forEach((answer, i) => {
    expect(answer.headers[":status"]).toBe(200);
    expect(answer.headers["x-path"]).toBe(`/${i}`);
    expect(answer.headers["x-authority"]).toBe("reviews:9080");
    expect(answer.body).toBe(`body ${i}`);
    expect(answer.trailers["x-sum"]).toBe("42");
  });
  expect(server.log()).toHaveLength(20);
});

test("an HTTP/2 client reaches an HTTP/1.1 application, and an HTTP/1.1 client an HTTP/2 one", async () => {
  const http1 = await backend((request, response) => request.pipe(response));
  const old = await startPair(authority, { appPort: http1.port });
  const answer = await ask(dial(old.port), { ":method": "POST", ":path": "/" }, "to HTTP/1.1");
  expect(answer).toMatchObject({ body: "to HTTP/1.1", headers: { ":status": 200 } });

  const http2 = await http2App((stream) => {
    stream.respond({ ":status": 200 }, { endStream: true });
  });
  const proxy = await proxyTo([http2.port]);
  const port = await proxy.listen("reviews:9080");
  // Without a length HTTP/1.1 would wait for more.
  const text = await exchangeBytes(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", (got) =>
    got.endsWith("\r\n\r\n"),
  );
  expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  expect(text).toContain("\r\ncontent-length: 0\r\n");
});

test("the preface may come byte by byte", async () => {
  const app = await http2App(echo);
  const port = await (await proxyTo([app.port])).listen("reviews:9080");
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.setNoDelay(true);
  let received = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
  });
  for (const byte of HTTP2_PREFACE) {
    socket.write(Buffer.from([byte]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  // SETTINGS of the server: frame type 4.
  await eventually(() => received.length >= 9 && received[3] === 4);
  socket.destroy();
});

test("methods that begin as the preface does are HTTP/1.1", async () => {
  const app = await backend((request, response) => response.end(request.method));
  const { port } = await startPair(authority, { appPort: app.port });
  for (const method of ["PUT", "POST", "PROPFIND"]) {
    expect((await call(port, "/", { method })).body).toBe(method);
  }
});

test("a stream that the application refuses is tried on another, POST included", async () => {
  let refused = 0;
  const refusing = await http2App((stream) => {
    refused++;
    stream.close(constants.NGHTTP2_REFUSED_STREAM);
  });
  const good = await http2App(echo);
  const proxy = await proxyTo([refusing.port, good.port]);
  const port = await proxy.listen("reviews:9080");
  for (let i = 0; i < 10; i++) {
    expect((await call(port, "/", { method: "POST", body: `x${i}` })).body).toBe(`x${i}`);
  }
  expect(refused).toBeGreaterThan(0);
});

test("beyond the application's stream limit another connection is made", async () => {
  const held: ServerHttp2Stream[] = [];
  const app = await http2App((stream) => held.push(stream), { maxConcurrentStreams: 2 });
  const proxy = await proxyTo([app.port]);
  const port = await proxy.listen("reviews:9080");
  const session = dial(port);
  const first = ask(session, { ":path": "/0" });
  // The limit is known once the connection stands.
  await eventually(() => held.length === 1);
  const rest = Array.from({ length: 5 }, (_, i) => ask(session, { ":path": `/${i + 1}` }));
  await eventually(() => held.length === 6);
  for (const stream of held) {
    stream.respond({ ":status": 200 });
    stream.end("ok");
  }
  for (const answer of await Promise.all([first, ...rest])) expect(answer.body).toBe("ok");
  expect(proxy.metricsText()).toMatch(/envoy_cluster_upstream_cx_total\{[^}]*\} 3\n/);
});

test("an application that says GOAWAY gets no new stream, and what it was sent before is finished", async () => {
  const held: ServerHttp2Stream[] = [];
  const app = await http2App((stream, headers) => {
    if (headers[":path"] === "/hold") held.push(stream);
    else echo(stream, headers);
  });
  const proxy = await proxyTo([app.port]);
  const session = dial(await proxy.listen("reviews:9080"));
  const holding = ask(session, { ":path": "/hold" });
  await eventually(() => held.length === 1);
  held[0]?.session?.goaway(constants.NGHTTP2_NO_ERROR);
  await eventually(async () => {
    expect((await ask(session, { ":method": "POST", ":path": "/" }, "next")).body).toBe("next");
    return /cx_total\{[^}]*\} 2\n/.test(proxy.metricsText());
  });
  held[0]?.respond({ ":status": 200 });
  held[0]?.end("finished");
  expect((await holding).body).toBe("finished");
});

test("a client that resets a stream cancels it at the application", async () => {
  const streams: ServerHttp2Stream[] = [];
  const app = await http2App((stream) => streams.push(stream));
  const { port } = await startPair(authority, { appPort: app.port, http2: true });
  const session = dial(port);
  const stream: ClientHttp2Stream = session.request({ ":path": "/" });
  stream.on("error", () => undefined);
  await eventually(() => streams.length === 1);
  stream.close(constants.NGHTTP2_CANCEL);
  await eventually(() => streams[0]?.rstCode === constants.NGHTTP2_CANCEL);
});

const grpcCall = { ":method": "POST", ":path": "/a.B/C", "content-type": "application/grpc", te: "trailers" };

test("gRPC callers get a status for what the proxy answers, and HTTP 200", async () => {
  const proxy = await proxyTo([await closedPort()]);
  const { headers, body } = await ask(dial(await proxy.listen("reviews:9080")), grpcCall, "");
  expect(headers[":status"]).toBe(200);
  expect(headers["content-type"]).toBe("application/grpc");
  expect(headers["grpc-status"]).toBe("14");
  expect(headers["grpc-message"]).toContain("ECONNREFUSED");
  expect(body).toBe("");
  expect(proxy.metricsText()).toMatch(/istio_requests_total\{[^}]*grpc_response_status="14"/);
  expect(proxy.log()[0]).toMatch(/ 200 (URX,)?UF /);
});

test("grpc-timeout ends a call that its client does not end itself, and the application's stream", async () => {
  const streams: ServerHttp2Stream[] = [];
  let te: string | undefined;
  const app = await http2App((stream, headers) => {
    streams.push(stream);
    te = String(headers["te"]);
  });
  const proxy = await proxyTo([app.port]);
  const session = dial(await proxy.listen("reviews:9080"));
  const { headers } = await ask(session, { ...grpcCall, "grpc-timeout": "50m" }, "");
  expect(headers["grpc-status"]).toBe("4");
  await eventually(() => streams[0]?.destroyed);
  expect(te).toBe("trailers");
});

const firstMessage: OnStream = (stream) => {
  stream.respond({ ":status": 200, "content-type": "application/grpc" });
  stream.write(encodeGrpcMessage(Buffer.from("one")));
};

test("grpc-timeout ends a call that has begun to be answered with a status too", async () => {
  const app = await http2App(firstMessage);
  const proxy = await proxyTo([app.port]);
  const session = dial(await proxy.listen("reviews:9080"));
  const { headers, body, trailers } = await ask(session, { ...grpcCall, "grpc-timeout": "400m" }, "");
  expect(headers["grpc-status"]).toBeUndefined();
  expect(body).toContain("one");
  expect(trailers["grpc-status"]).toBe("4");
  expect(proxy.metricsText()).toMatch(
    /istio_response_messages_total\{[^}]*grpc_response_status="4"[^}]*\} 1\n/,
  );
});

test("an application that breaks off in mid-answer is a status for gRPC callers, and a reset for others", async () => {
  const app = await http2App((stream, headers) => {
    firstMessage(stream, headers);
    stream.on("error", () => undefined);
    setTimeout(() => stream.destroy(new Error("broken")), 50);
  });
  const { port, server, client } = await startPair(authority, { appPort: app.port, http2: true });
  const session = dial(port);
  const { body, trailers } = await ask(session, grpcCall, encodeGrpcMessage(Buffer.from("a")).toString());
  expect(body).toContain("one");
  expect(trailers["grpc-status"]).toBe("14");
  expect(trailers["grpc-message"]).toContain(
    "ended the request in the middle of its answer (INTERNAL_ERROR)",
  );
  expect(server.log()[0]).toContain(" UR upstream_reset_after_response_started{remote_reset} ");
  expect(client.metricsText()).toMatch(/istio_requests_total\{[^}]*grpc_response_status="14"/);
  await expect(ask(session, { ":method": "POST", ":path": "/" }, "a")).rejects.toThrow(
    "NGHTTP2_INTERNAL_ERROR",
  );
});

test("a gRPC call that another sidecar could not deliver is tried elsewhere", async () => {
  const app = await http2App((stream) => {
    stream.respond(
      { ":status": 200, "content-type": "application/grpc", "grpc-status": "0" },
      { endStream: true },
    );
  });
  const good = await startPair(authority, { appPort: app.port, http2: true });
  const orphan = await startPair(authority, { appPort: await closedPort(), http2: true });
  good.client.apply(
    endpoints(CLUSTER, [
      { port: orphan.inboundPort, mtls: true },
      { port: good.inboundPort, mtls: true },
    ]),
  );
  const session = dial(good.port);
  for (let i = 0; i < 10; i++) {
    const { headers } = await ask(session, grpcCall, "");
    expect(headers["grpc-status"]).toBe("0");
    expect(headers["x-tulle-upstream-failure"]).toBeUndefined();
  }
  expect(orphan.server.log().length).toBeGreaterThan(0);
});

test("an HTTP/2 connection that breaks the rules ends alone and is counted", async () => {
  const app = await http2App(echo);
  const proxy = await proxyTo([app.port]);
  const port = await proxy.listen("reviews:9080");
  // After the preface a frame on stream 0 that needs a stream.
  const bad = Buffer.concat([
    HTTP2_PREFACE,
    Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
    Buffer.from([0, 0, 1, 0, 0, 0, 0, 0, 0, 0]),
  ]);
  await exchangeBytes(port, bad.toString("latin1"));
  expect(proxy.metricsText()).toMatch(/envoy_http2_codec_errors_total\{code="HTTP2_[A-Z_]+"\} 1\n/);
  expect((await ask(dial(port), { ":path": "/" })).headers[":status"]).toBe(200);
});

test("plaintext on the inbound listener may be HTTP/2 too", async () => {
  const app = await http2App(echo);
  const { inboundPort, server } = await startPair(authority, {
    appPort: app.port,
    http2: true,
    permissive: true,
  });
  const answer = await ask(dial(inboundPort), { ":method": "POST", ":path": "/" }, "from outside");
  expect(answer.body).toBe("from outside");
  expect(server.metricsText()).toContain('connection_security_policy="none"');
});
