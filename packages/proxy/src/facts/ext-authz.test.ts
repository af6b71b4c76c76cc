import { once } from "node:events";
import type { IncomingHttpHeaders } from "node:http2";

import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { explain } from "@tulle/engine";
import { eventually } from "@tulle/testkit";
import { serveGrpc, type GrpcAnswer } from "@tulle/testkit/grpc";
import { ApiVersion } from "@tulle/xds/gen/envoy/config/core/v3/config_source_pb.js";
import {
  ExtAuthzPerRouteSchema,
  ExtAuthzSchema,
} from "@tulle/xds/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import { RouterSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/router/v3/router_pb.js";
import {
  Authorization,
  CheckResponseSchema,
  type CheckResponse,
} from "@tulle/xds/gen/envoy/service/auth/v3/external_auth_pb.js";
import { afterEach, expect, test } from "vitest";

import {
  atEnd,
  backend,
  call,
  closeAll,
  closedPort,
  createProxy,
  exchangeBytes,
  rawBackend,
  type TestProxy,
} from "../../test/harness.js";
import { dial } from "../../test/http2.js";
import {
  apiListener,
  cluster,
  endpoints,
  ms,
  routes,
  routeTo,
  type RouteInit,
} from "../../test/resources.js";

import { explainRecord } from "../records/record-answer.js";

afterEach(closeAll);

const MAIN = "outbound|80||main";
const OTHER = "outbound|80||other";
const AUTHZ = "outbound|9000||authz";
type Config = MessageInitShape<typeof ExtAuthzSchema>;

const GRPC = {
  transportApiVersion: ApiVersion.V3,
  services: {
    case: "grpcService",
    value: {
      targetSpecifier: { case: "envoyGrpc", value: { clusterName: AUTHZ } },
      timeout: ms(2000),
      initialMetadata: [{ key: "x-mesh", value: "tulle" }],
    },
  },
} as const satisfies Config;

function http(more: object = {}, uri: object = {}): Config {
  return {
    services: {
      case: "httpService",
      value: {
        serverUri: {
          uri: "http://authz:9000",
          httpUpstreamType: { case: "cluster", value: AUTHZ },
          timeout: ms(2000),
          ...uri,
        },
        ...more,
      },
    },
  };
}

function filter<Desc extends DescMessage>(name: string, schema: Desc, init: MessageInitShape<Desc>) {
  return {
    name,
    configType: { case: "typedConfig" as const, value: anyPack(schema, create(schema, init)) },
  };
}

interface Mesh {
  readonly proxy: TestProxy;
  readonly port: number;
  /** Requests that reached the service, and the other one. */
  readonly served: {
    readonly url: string;
    readonly headers: Record<string, unknown>;
    readonly body: string;
  }[];
  readonly servedByOther: string[];
}

/** A service behind a proxy that asks a server on `authzPort`. */
async function mesh(
  authzPort: number,
  config: Config,
  ways: readonly RouteInit[] = [routeTo(MAIN)],
  listener: object = {},
  limits: readonly string[] = [],
): Promise<Mesh> {
  const served: { url: string; headers: Record<string, unknown>; body: string }[] = [];
  const servedByOther: string[] = [];
  const { port: main } = await backend((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString("latin1")));
    request.on("end", () => {
      served.push({ url: request.url ?? "", headers: request.headers, body });
      response.end("main");
    });
  });
  const { port: other } = await backend((request, response) => {
    servedByOther.push(request.url ?? "");
    response.end("other");
  });
  const proxy = createProxy({ limits });
  proxy.apply(
    cluster(MAIN),
    endpoints(MAIN, [{ port: main }]),
    cluster(OTHER),
    endpoints(OTHER, [{ port: other }]),
    cluster(AUTHZ, { http2: config.services?.case === "grpcService" }),
    endpoints(AUTHZ, [{ port: authzPort }]),
    apiListener("main:80", "r", {
      ...listener,
      httpFilters: [
        filter("ext_authz", ExtAuthzSchema, config),
        filter("router", RouterSchema as DescMessage, {}),
      ],
    }),
    routes("r", ways),
  );
  return { proxy, port: await proxy.listen("main:80"), served, servedByOther };
}

type CheckAnswer = GrpcAnswer<typeof Authorization.method.check>;

async function authorizer(answer: () => CheckAnswer | Promise<CheckAnswer>) {
  const service = await serveGrpc(Authorization.method.check, answer);
  atEnd(() => service.close());
  return service;
}

function ok(value: object = {}): CheckResponse {
  return create(CheckResponseSchema, { status: { code: 0 }, httpResponse: { case: "okResponse", value } });
}

function set(key: string, value: string, more: object = {}) {
  return { header: { key, value }, ...more };
}

test("AZ-11: gRPC: a permission alters, adds and removes fields of the request and the response, and the service is told who asks for what", async () => {
  const service = await authorizer(() =>
    ok({
      headers: [set("x-user", "alice"), set("x-role", "b", { append: true })],
      headersToRemove: ["authorization"],
      responseHeadersToAdd: [set("x-checked", "yes")],
      queryParametersToSet: [{ key: "tenant", value: "a b" }],
      queryParametersToRemove: ["debug"],
    }),
  );
  const { port, served, proxy } = await mesh(service.port, GRPC);
  const answer = await call(port, "/a?debug=1&x=2&d%65bug=3", {
    method: "POST",
    headers: { "X-User": "eve", "x-role": ["a", "c"], authorization: "secret", "proxy-authorization": "no" },
  });
  expect([answer.status, answer.headers["x-checked"]]).toEqual([200, "yes"]);
  expect(served[0]).toMatchObject({
    url: "/a?x=2&tenant=a%20b",
    headers: { "x-user": "alice", "x-role": "a, c, b" },
  });
  expect(served[0]!.headers).not.toHaveProperty("authorization");
  const [asked] = service.asked;
  const request = asked!.attributes!.request!.http!;
  expect(request).toMatchObject({
    method: "POST",
    path: "/a?debug=1&x=2&d%65bug=3",
    protocol: "HTTP/1.1",
    size: 0n,
  });
  expect(request.headers).toMatchObject({
    ":method": "POST",
    "x-user": "eve",
    "x-role": "a,c",
    authorization: "secret",
  });
  expect(request.headers).not.toHaveProperty("proxy-authorization");
  expect(request.body).toBe("");
  expect(asked!.attributes!.source!.address!.address.value).toMatchObject({ address: "127.0.0.1" });
  expect(service.metadata[0]!.get("x-mesh")).toEqual(["tulle"]);
  expect(proxy.metricsText()).toContain(`tulle_ext_authz_checks_total{service="${AUTHZ}",outcome="ok"} 1`);
});

test("gRPC: a refusal is answered as the service says, and never reaches the application", async () => {
  const service = await authorizer(() =>
    create(CheckResponseSchema, {
      status: { code: 7 },
      httpResponse: {
        case: "deniedResponse",
        value: { status: { code: 401 }, headers: [set("www-authenticate", "Bearer")], body: "who are you?" },
      },
    }),
  );
  const { port, served, proxy } = await mesh(service.port, GRPC);
  expect(await call(port)).toMatchObject({
    status: 401,
    body: "who are you?",
    headers: { "www-authenticate": "Bearer", "content-type": "text/plain" },
  });
  expect(served).toEqual([]);
  await eventually(() => proxy.log().some((line) => line.includes(" 401 UAEX ext_authz_denied ")));
});

test("a gRPC caller is told a refusal as its status", async () => {
  const service = await authorizer(() =>
    create(CheckResponseSchema, {
      status: { code: 7 },
      httpResponse: {
        case: "deniedResponse",
        value: {
          status: { code: 401 },
          headers: [set("x-why", "1"), set("content-type", "a/b")],
          body: "no",
        },
      },
    }),
  );
  const { port } = await mesh(service.port, GRPC);
  const session = dial(port);
  atEnd(() => session.destroy());
  const stream = session.request({
    ":method": "POST",
    ":path": "/S/M",
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.end();
  const [headers] = (await once(stream, "response")) as [IncomingHttpHeaders];
  expect(headers).toMatchObject({
    ":status": 200,
    "content-type": "application/grpc",
    "grpc-status": "16",
    "grpc-message": "no",
    "x-why": "1",
  });
});

const FAILURES: readonly [string, CheckAnswer | "never" | "huge"][] = [
  ["fails", { code: 14, details: "down" }],
  ["answers bytes that are no message", Buffer.from("ffffffff", "hex")],
  ["answers text that is not UTF-8 (CVE-2024-23324)", Buffer.from([0x0a, 0x04, 0x12, 0x02, 0xff, 0xfe])],
  ["never answers", "never"],
  ["answers more than anybody should", "huge"],
];

test.each(FAILURES)(
  "AZ-11: gRPC: a service that %s lets nothing pass, unless it fails open",
  async (_name, given) => {
    const service = await authorizer(() => {
      if (given === "never") return new Promise<never>(() => undefined);
      if (given === "huge")
        return create(CheckResponseSchema, {
          httpResponse: { case: "deniedResponse", value: { body: "x".repeat(300_000) } },
        });
      return given;
    });
    const grpcService = { ...GRPC.services.value, timeout: ms(200) };
    const config = { ...GRPC, services: { case: "grpcService", value: grpcService } } as const;
    const closed = await mesh(service.port, config);
    expect(await call(closed.port)).toMatchObject({ status: 403, body: "" });
    expect(closed.served).toEqual([]);
    await eventually(() => closed.proxy.log().some((line) => line.includes(" 403 UAEX ext_authz_error ")));
    const open = await mesh(service.port, {
      ...config,
      failureModeAllow: true,
      failureModeAllowHeaderAdd: true,
    });
    expect((await call(open.port)).status).toBe(200);
    expect(open.served[0]!.headers["x-envoy-auth-failure-mode-allowed"]).toBe("true");
  },
);

// CVE-2024-23324: what could not be told to the service was as if it had failed, and let pass.
test.each([
  ["as text", GRPC],
  ["as bytes", { ...GRPC, encodeRawHeaders: true }],
  [
    "by HTTP",
    http({
      authorizationRequest: {
        allowedHeaders: { patterns: [{ matchPattern: { case: "prefix", value: "x-" } }] },
      },
    }),
  ],
] as const)(
  "AZ-11: of bytes that are no UTF-8 the service is told %s, and refuses, also when failing open",
  async (_how, config) => {
    let asked = 0;
    const refuses = await authorizer(() => {
      asked++;
      return create(CheckResponseSchema, { status: { code: 7 } });
    });
    const refusesByHttp = await backend((_request, response) => {
      asked++;
      response.writeHead(403).end();
    });
    const { port, served } = await mesh(
      config.services?.case === "grpcService" ? refuses.port : refusesByHttp.port,
      { ...config, failureModeAllow: true },
    );
    const bytes =
      "GET /%ff?\xc3\x28 HTTP/1.1\r\nHost: main:80\r\nx-a: \xff\xfe\xc3\r\nx-\xe2: b\r\nConnection: close\r\n\r\n";
    const fields = bytes.replace("x-\xe2: b\r\n", "").replace("?\xc3\x28", "");
    expect(await exchangeBytes(port, Buffer.from(fields, "latin1"))).toContain("HTTP/1.1 403");
    expect(asked).toBe(1);
    // In a name or a target they are no HTTP, and nobody is asked.
    expect(await exchangeBytes(port, Buffer.from(bytes, "latin1"))).toContain("HTTP/1.1 400");
    expect(asked).toBe(1);
    expect(served).toEqual([]);
  },
);

test("a server that says itself that its time is over has not answered in time", async () => {
  const service = await authorizer(() => ({ code: 4, details: "deadline exceeded" }));
  const { port, proxy } = await mesh(service.port, GRPC);
  expect((await call(port)).status).toBe(403);
  expect(proxy.metricsText()).toContain(`{service="${AUTHZ}",outcome="timeout"} 1`);
});

test("AZ-11: nobody listens: the status that is configured", async () => {
  const { port, served } = await mesh(await closedPort(), { ...GRPC, statusOnError: { code: 503 } });
  expect((await call(port)).status).toBe(503);
  expect(served).toEqual([]);
});

const GARBAGE: readonly [string, string | undefined][] = [
  ["closes at once", undefined],
  ["speaks no HTTP", "NONSENSE\r\n\r\n"],
  ["breaks off in its head", "HTTP/1.1 200 O"],
  ["breaks off in its body", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345"],
  [
    "smuggles a second answer",
    "HTTP/1.1 200 OK\r\ncontent-length: 0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
  ],
  ["switches the protocol", "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"],
  ["never ends to say 100", "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000)],
  ["sends fields without end", `HTTP/1.1 200 OK\r\n${"x: y\r\n".repeat(50_000)}`],
];

test.each(GARBAGE)("AZ-11: a service that %s lets nothing pass", async (_name, bytes) => {
  const { port: authzPort } = await rawBackend((socket) => {
    if (bytes === undefined) socket.destroy();
    else socket.once("data", () => socket.end(bytes));
  });
  const grpcService = { ...GRPC.services.value, timeout: ms(1000) };
  for (const config of [
    { ...GRPC, services: { case: "grpcService", value: grpcService } } as const,
    http({}, { timeout: ms(1000) }),
  ]) {
    const { port, served, proxy } = await mesh(authzPort, config);
    expect(await call(port)).toMatchObject({ status: 403, body: "" });
    expect(served).toEqual([]);
    expect(proxy.load.clusterInFlight(proxy.configuration.current.cluster(AUTHZ)!.slot)).toBe(0);
  }
});

test("AZ-11: fields that route and frame are not altered, and values that cannot be sent refuse the request even when failing open", async () => {
  let answer = ok({
    headers: [
      set("host", "evil"),
      set(":path", "/evil"),
      set("Transfer-Encoding", "chunked"),
      set("content-length", "7"),
      set("x-envoy-peer-metadata", "forged"),
      set("x-good", "1"),
    ],
    headersToRemove: ["connection", "host"],
    responseHeadersToAdd: [set("content-length", "1")],
  });
  const service = await authorizer(() => answer);
  const { port, served, proxy } = await mesh(service.port, { ...GRPC, failureModeAllow: true });
  expect(await call(port, "/x", { headers: { host: "main:80" } })).toMatchObject({
    status: 200,
    body: "main",
  });
  expect(served[0]).toMatchObject({ url: "/x", headers: { host: "main:80", "x-good": "1" } });
  expect(proxy.metricsText()).toContain(`tulle_ext_authz_mutations_refused_total{service="${AUTHZ}"} 8`);
  for (const bad of [
    set("x-a", "b\r\nx-evil: 1"),
    set("x a", "b"),
    set("x-a", "\u010a"),
    set("x-a", "a\0b"),
  ]) {
    answer = ok({ headers: [bad] });
    const { status } = await call(port);
    // U+010A is two bytes of UTF-8, which a field may have: nothing of it is a line feed.
    expect(status).toBe(bad.header.value === "\u010a" ? 200 : 500);
  }
  expect(served).toHaveLength(2);
  expect(served[1]!.headers["x-a"]).toBe("\u00c4\u008a");
  expect(served[1]!.headers).not.toHaveProperty("x-evil");
});

test("AZ-11: the body is shown first, and then goes on whole", async () => {
  const service = await authorizer(() => ok());
  const config: Config = {
    ...GRPC,
    withRequestBody: { maxRequestBytes: 100_000, allowPartialMessage: false },
  };
  const { port, served } = await mesh(service.port, config);
  const chunks = ["one ", "two ", "three"].map((text) => Buffer.from(text));
  expect((await call(port, "/", { method: "POST", body: chunks })).status).toBe(200);
  expect(service.asked[0]!.attributes!.request!.http).toMatchObject({
    body: "one two three",
    headers: { "x-envoy-auth-partial-body": "false" },
  });
  expect(served[0]!.body).toBe("one two three");
  // More than is kept of any body cannot be shown whole, whatever the configuration would take.
  expect((await call(port, "/", { method: "POST", body: Buffer.alloc(80_000, "x") })).status).toBe(413);
  expect((await call(port, "/", { method: "POST", body: [Buffer.alloc(80_000, "x")] })).status).toBe(413);
  expect(service.asked).toHaveLength(1);
  expect(served).toHaveLength(1);
});

test("AZ-11: of a longer body the beginning is shown where that is allowed", async () => {
  const service = await authorizer(() => ok());
  const withRequestBody = { maxRequestBytes: 10, allowPartialMessage: true, packAsBytes: true };
  const { port, served } = await mesh(service.port, { ...GRPC, withRequestBody });
  const body = Buffer.alloc(500_000, "abcdefghijklmnopqrstuvwxyz");
  expect((await call(port, "/", { method: "POST", body: [body] })).status).toBe(200);
  const shown = service.asked[0]!.attributes!.request!.http!;
  expect(Buffer.from(shown.rawBody).toString()).toBe("abcdefghij");
  expect(shown.headers["x-envoy-auth-partial-body"]).toBe("true");
  expect(served[0]!.body.length).toBe(500_000);
});

test("a client that waits for 100 Continue is told to send the body that is to be shown", async () => {
  const service = await authorizer(() => ok());
  const { port } = await mesh(service.port, { ...GRPC, withRequestBody: { maxRequestBytes: 100 } });
  const headers = { expect: "100-continue", "content-length": "4" };
  expect((await call(port, "/", { method: "POST", headers, body: "body" })).status).toBe(200);
  expect(service.asked[0]!.attributes!.request!.http!.body).toBe("body");
});

test("a body that does not come in the listener's time is given up", async () => {
  const service = await authorizer(() => ok());
  const config = { ...GRPC, withRequestBody: { maxRequestBytes: 100 } } as Config;
  const { port } = await mesh(service.port, config, [routeTo(MAIN)], { requestTimeout: ms(200) });
  const head = "POST / HTTP/1.1\r\nhost: main:80\r\ncontent-length: 10\r\n\r\n12345";
  expect(await exchangeBytes(port, head, (received) => received.includes("\r\n\r\n"))).toMatch(
    /^HTTP\/1\.1 408 /,
  );
  expect(service.asked).toEqual([]);
});

test("so many requests wait for an answer at a time, and more are as if nobody answered", async () => {
  let answer: (() => void) | undefined;
  const service = await authorizer(
    () => new Promise<CheckResponse>((resolve) => (answer = () => resolve(ok()))),
  );
  const { port, proxy } = await mesh(service.port, GRPC, [routeTo(MAIN)], {}, ["request.maxAsking=1"]);
  const first = call(port);
  await eventually(() => answer !== undefined);
  expect((await call(port)).status).toBe(403);
  expect(proxy.metricsText()).toContain("tulle_asking_requests 1");
  answer!();
  expect((await first).status).toBe(200);
  expect(proxy.metricsText()).toMatch(/limit="request.maxAsking"[^\n]* 1/);
});

test("a permission that alters the request may lead to another route", async () => {
  const service = await authorizer(() => ok({ headers: [set("x-tier", "gold")] }));
  const gold = {
    ...routeTo(OTHER),
    match: {
      pathSpecifier: { case: "prefix" as const, value: "/" },
      headers: [
        {
          name: "x-tier",
          headerMatchSpecifier: {
            case: "stringMatch" as const,
            value: { matchPattern: { case: "exact" as const, value: "gold" } },
          },
        },
      ],
    },
  };
  const stays = await mesh(service.port, GRPC, [gold, routeTo(MAIN)]);
  expect((await call(stays.port)).body).toBe("main");
  const moves = await mesh(service.port, { ...GRPC, clearRouteCache: true }, [gold, routeTo(MAIN)]);
  expect((await call(moves.port)).body).toBe("other");
  expect(moves.served).toEqual([]);
  await eventually(() => moves.proxy.log().some((line) => line.includes(OTHER)));
});

test("a route turns the question off, or adds to it", async () => {
  const service = await authorizer(() => create(CheckResponseSchema, { status: { code: 16 } }));
  const route = (path: string, init: MessageInitShape<typeof ExtAuthzPerRouteSchema>): RouteInit => ({
    ...routeTo(MAIN),
    match: { pathSpecifier: { case: "prefix", value: path } },
    typedPerFilterConfig: {
      ext_authz: anyPack(ExtAuthzPerRouteSchema, create(ExtAuthzPerRouteSchema, init)),
    },
  });
  const { port } = await mesh(service.port, GRPC, [
    route("/open", { override: { case: "disabled", value: true } }),
    route("/told", { override: { case: "checkSettings", value: { contextExtensions: { shop: "7" } } } }),
    routeTo(MAIN),
  ]);
  expect((await call(port, "/open")).status).toBe(200);
  expect((await call(port, "/told")).status).toBe(403);
  expect((await call(port, "/")).status).toBe(403);
  expect(service.asked.map(({ attributes }) => attributes!.contextExtensions)).toEqual([{ shop: "7" }, {}]);
});

test("explaining asks nobody, and a record of a refusal says who refused", async () => {
  let asked = 0;
  const service = await authorizer(() => {
    asked++;
    return create(CheckResponseSchema, { status: { code: 16 } });
  });
  const { proxy, port } = await mesh(service.port, GRPC);
  const present = { snapshot: proxy.configuration.current, load: proxy.load, now: 0 };
  const request = { method: "GET", path: "/", authority: "main:80", scheme: "http" as const, headers: [] };
  const explained = explain(present, { direction: "outbound", request });
  expect(explained.result.kind).toBe("forward");
  expect(explained.admission?.needs).toEqual([
    { kind: "ext-authz", asks: `ext_authz grpc ${AUTHZ}`, assumed: true },
  ]);
  expect(asked).toBe(0);
  expect((await call(port)).status).toBe(403);
  const record = await eventually(() => proxy.stack.records.find("00000000-0000-4000-8000-000000000001")[0]);
  expect(record.record.response).toMatchObject({
    details: "ext_authz_denied",
    transportFailure: `ext_authz grpc ${AUTHZ}`,
  });
  const answer = explainRecord(record, present);
  expect(answer.explanation?.result).toMatchObject({ kind: "denied", status: 403, flag: "UAEX" });
  const filters = answer.explanation?.steps.find(({ step }) => step === "filter");
  expect(filters?.events).toMatchObject([
    { subject: `ext_authz grpc ${AUTHZ}`, reason: "it refuses with 403" },
  ]);
});

test("a client that leaves ends its question", async () => {
  let asked = 0;
  const service = await authorizer(() => {
    asked++;
    return new Promise<never>(() => undefined);
  });
  const { port, served, proxy } = await mesh(service.port, GRPC);
  const leaving = new AbortController();
  const gone = call(port, "/", { signal: leaving.signal }).catch(() => "left");
  await eventually(() => asked === 1);
  leaving.abort();
  expect(await gone).toBe("left");
  await eventually(() => proxy.log().some((line) => line.includes(" 0 DC ")));
  expect(
    [...proxy.configuration.current.clusters()].map(({ slot }) => proxy.load.clusterInFlight(slot)),
  ).toEqual([0, 0, 0]);
  expect(served).toEqual([]);
});

test("a connection that the service closed while it was idle is no failure", async () => {
  let connections = 0;
  const { port: authzPort } = await rawBackend((socket, index) => {
    connections++;
    socket.on("data", () => {
      // The second question on the first connection finds it closed.
      if (index === 0 && socket.bytesWritten > 0) socket.destroy();
      else socket.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    });
  });
  const { port } = await mesh(authzPort, http());
  expect((await call(port)).status).toBe(200);
  expect((await call(port)).status).toBe(200);
  expect(connections).toBe(2);
});

test("HTTP: the check is a request like the client's; 200 lets it pass with the fields that are named", async () => {
  const asked: { method: string; url: string; headers: Record<string, unknown>; body: string }[] = [];
  const { port: authzPort } = await backend((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      asked.push({ method: request.method!, url: request.url!, headers: request.headers, body });
      response.writeHead(200, {
        "x-user": "alice",
        "x-other": "1",
        "x-client": "c",
        "set-cookie": ["a=1", "b=2"],
      });
      response.end("ignored");
    });
  });
  const names = (...exact: string[]) => ({
    patterns: exact.map((value) => ({ matchPattern: { case: "exact" as const, value } })),
  });
  const service = {
    pathPrefix: "/check",
    authorizationRequest: {
      allowedHeaders: names("x-told"),
      headersToAdd: [{ key: "x-added", value: "yes" }],
    },
    authorizationResponse: {
      allowedUpstreamHeaders: names("x-user"),
      allowedClientHeadersOnSuccess: names("set-cookie", "x-client"),
    },
  };
  const withRequestBody = { maxRequestBytes: 100 };
  const config = { ...http(service), withRequestBody } as Config;
  const { port, served } = await mesh(authzPort, config);
  const headers = {
    host: "main:80",
    authorization: "Bearer x",
    "x-told": "1",
    "x-untold": "1",
    "x-user": "eve",
  };
  const answer = await call(port, "/a?b", { method: "PUT", headers, body: "hello" });
  expect(asked).toMatchObject([
    {
      method: "PUT",
      url: "/check/a?b",
      body: "hello",
      headers: {
        host: "main:80",
        authorization: "Bearer x",
        "x-told": "1",
        "x-added": "yes",
        "content-length": "5",
      },
    },
  ]);
  expect(asked[0]!.headers).not.toHaveProperty("x-untold");
  expect(served[0]).toMatchObject({
    body: "hello",
    headers: { "x-user": "alice", authorization: "Bearer x" },
  });
  expect(served[0]!.headers).not.toHaveProperty("x-other");
  expect(answer).toMatchObject({
    status: 200,
    body: "main",
    headers: { "set-cookie": ["a=1", "b=2"], "x-client": "c" },
  });
});

test("HTTP: every other answer refuses with what it says; 5xx is a failure", async () => {
  let status = 302;
  const { port: authzPort } = await backend((_request, response) => {
    response
      .writeHead(status, { location: "https://login", "x-secret": "1", connection: "keep-alive" })
      .end("go");
  });
  const names = { patterns: [{ matchPattern: { case: "exact" as const, value: "x-nothing" } }] };
  const { port, served } = await mesh(
    authzPort,
    http({ authorizationResponse: { allowedClientHeaders: names } }),
  );
  const redirected = await call(port);
  expect(redirected).toMatchObject({ status: 302, body: "go", headers: { location: "https://login" } });
  expect(redirected.headers).not.toHaveProperty("x-secret");
  status = 500;
  expect(await call(port)).toMatchObject({ status: 403, body: "" });
  status = 204;
  expect((await call(port)).status).toBe(204);
  expect(served).toEqual([]);
});

test.each<[Config, string]>([
  [{ ...GRPC, transportApiVersion: ApiVersion.AUTO }, "transport_api_version: must be V3"],
  [http({}, { timeout: ms(0) }), "server_uri.timeout: must be above zero"],
  [{}, "must set one of grpc_service, http_service"],
  [{ ...GRPC, includePeerCertificate: true }, "include_peer_certificate: is not supported"],
  [
    { ...GRPC, withRequestBody: { maxRequestBytes: 0 } },
    "with_request_body.max_request_bytes: must be above zero",
  ],
  [{ ...GRPC, decoderHeaderMutationRules: { allowAllRouting: true } }, "allow_all_routing: is not supported"],
])("a filter that cannot be carried out is refused by field (#%#)", (config, expected) => {
  const proxy = createProxy();
  const listener = apiListener("main:80", "r", {
    httpFilters: [
      filter("ext_authz", ExtAuthzSchema, config),
      filter("router", RouterSchema as DescMessage, {}),
    ],
  });
  expect(() => proxy.apply(listener)).toThrow(expected);
});
