import { create, createFileRegistry, fromBinary, fromJson, toBinary, toJson } from "@bufbuild/protobuf";
import { anyPack, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { encodeGrpcMessage } from "@tulle/http";
import { compileProto } from "@tulle/testkit/proto";
import { eventually } from "@tulle/testkit";
import {
  GrpcJsonTranscoderSchema,
  type GrpcJsonTranscoder,
} from "@tulle/xds/gen/envoy/extensions/filters/http/grpc_json_transcoder/v3/transcoder_pb.js";
import { RouterSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/router/v3/router_pb.js";
import type { ServerHttp2Stream } from "node:http2";
import { afterEach, expect, test } from "vitest";

import {
  call,
  closeAll,
  closedPort,
  createProxy,
  type CallOptions,
  type TestProxy,
} from "../../test/harness.js";
import { http2App } from "../../test/http2.js";
import { apiListener, cluster, endpoints, routes, routeTo } from "../../test/resources.js";

afterEach(closeAll);

const SET = compileProto(`
syntax = "proto3";
package t;
import "google/api/annotations.proto";
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/v1/{text}" }; }
  rpc Put(M) returns (M) { option (google.api.http) = { put: "/v1" body: "*" }; }
  rpc Watch(M) returns (stream M) { option (google.api.http) = { get: "/v1/watch/{text}" }; }
}
message M { string text = 1; int32 number = 2; }
`);
const M = createFileRegistry(fromBinary(FileDescriptorSetSchema, SET)).getMessage("t.M")!;
const APP = "outbound|80||app";

type Config = Partial<Pick<GrpcJsonTranscoder, "convertGrpcStatus" | "matchIncomingRequestRoute">> & {
  readonly maxRequestBodySize?: number;
};

async function proxyTo(port: number, more: Config = {}): Promise<[TestProxy, number]> {
  const proxy = createProxy();
  const config = create(GrpcJsonTranscoderSchema, {
    descriptorSet: { case: "protoDescriptorBin", value: SET },
    services: ["t.S"],
    convertGrpcStatus: true,
    maxResponseBodySize: 1000,
    ...more,
  });
  const rejected = proxy.configuration.apply([
    cluster(APP, { http2: true }),
    endpoints(APP, [{ port }]),
    apiListener("app:80", "r", {
      httpFilters: [
        {
          name: "json",
          configType: { case: "typedConfig", value: anyPack(GrpcJsonTranscoderSchema, config) },
        },
        {
          name: "router",
          configType: { case: "typedConfig", value: anyPack(RouterSchema, create(RouterSchema)) },
        },
      ],
    }),
    routes("r", [
      { ...routeTo(APP), match: { pathSpecifier: { case: "prefix", value: "/t.S/" } } },
      routeTo(APP),
    ]),
  ]);
  expect(rejected).toEqual([]);
  return [proxy, await proxy.listen("app:80")];
}

const framed = (text: string): Buffer => encodeGrpcMessage(toBinary(M, fromJson(M, { text })));
const read = (body: Buffer): unknown =>
  body.length < 5 ? undefined : toJson(M, fromBinary(M, body.subarray(5)));

interface Asked {
  readonly path: unknown;
  readonly method: unknown;
  readonly type: unknown;
  readonly message: unknown;
}

async function app(
  answer: (stream: ServerHttp2Stream) => void,
): Promise<{ readonly port: number; readonly asked: Asked[] }> {
  const asked: Asked[] = [];
  const { port } = await http2App((stream, headers) => {
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => {
      const { ":path": path, ":method": method, "content-type": type } = headers;
      asked.push({ path, method, type, message: read(Buffer.concat(chunks)) });
      answer(stream);
    });
  });
  return { port, asked };
}

/** Answers with these chunks, and `grpc-status`. */
const answering =
  (status: string, ...chunks: readonly Buffer[]) =>
  (stream: ServerHttp2Stream): void => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": status, "grpc-message": "why" }));
    for (const chunk of chunks) stream.write(chunk);
    stream.end();
  };

const put = (body: string | readonly Buffer[]): CallOptions => ({ method: "PUT", body });

test("a request goes on as the method's, with its own as fields, and its answer comes back in JSON", async () => {
  const { port, asked } = await app(answering("0", framed("pong")));
  const [proxy, own] = await proxyTo(port);
  const answer = await call(own, "/v1/ping?number=3");
  expect(asked).toEqual([
    { path: "/t.S/Get", method: "POST", type: "application/grpc", message: { text: "ping", number: 3 } },
  ]);
  expect([answer.status, answer.body]).toEqual([200, '{"text":"pong"}']);
  expect(answer.headers).toMatchObject({ "content-type": "application/json", "content-length": "15" });
  await eventually(() => proxy.log().length > 0);
  expect(proxy.log()[0]).toContain('"GET /v1/ping?number=3 HTTP/1.1" 200');
});

test("a body in pieces is waited for, and what is no message reaches nobody", async () => {
  const { port, asked } = await app(answering("0", framed("pong")));
  const [, own] = await proxyTo(port);
  const pieces = ['{"te', 'xt":', '"ping"}'].map((piece) => Buffer.from(piece));
  expect((await call(own, "/v1", put(pieces))).body).toBe('{"text":"pong"}');
  const refused = await call(own, "/v1", put("{"));
  expect([refused.status, JSON.parse(refused.body)]).toEqual([
    400,
    { code: 3, message: expect.stringContaining("t.M") },
  ]);
  expect(asked).toHaveLength(1);
});

test("a body that is too long is refused before it is whole", async () => {
  const { port, asked } = await app(answering("0"));
  const [, own] = await proxyTo(port, { maxRequestBodySize: 1000 });
  const answer = await call(own, "/v1", put([Buffer.alloc(600, " "), Buffer.alloc(600, " ")]));
  expect([answer.status, JSON.parse(answer.body)]).toEqual([
    413,
    { code: 8, message: expect.stringContaining("1000 bytes") },
  ]);
  expect(asked).toEqual([]);
});

test("an answer of several chunks is put together, one that is too long is a 500", async () => {
  const bytes = framed("pong");
  const { port } = await app(answering("0", ...Array.from(bytes, (byte) => Buffer.from([byte]))));
  const [, own] = await proxyTo(port);
  expect((await call(own, "/v1/a")).body).toBe('{"text":"pong"}');
  const { port: long } = await app(answering("0", framed("x".repeat(2000))));
  const [, other] = await proxyTo(long);
  const answer = await call(other, "/v1/a");
  expect([answer.status, JSON.parse(answer.body)]).toEqual([
    500,
    { code: 13, message: expect.stringContaining("larger than the limit") },
  ]);
});

test.each([
  ["5", 404],
  ["7", 403],
  ["14", 503],
  ["16", 401],
])("status %s is %i", async (status, http) => {
  const { port } = await app(answering(status));
  const [, own] = await proxyTo(port);
  const answer = await call(own, "/v1/a");
  expect([answer.status, JSON.parse(answer.body)]).toEqual([http, { code: Number(status), message: "why" }]);
  const [, silent] = await proxyTo(port, { convertGrpcStatus: false });
  expect(await call(silent, "/v1/a")).toMatchObject({ status: http, body: "" });
});

test("a stream comes message by message, and is cut where it fails", async () => {
  const { port } = await app(answering("0", framed("a"), framed("b")));
  const [, own] = await proxyTo(port);
  expect((await call(own, "/v1/watch/x")).body).toBe('[{"text":"a"},{"text":"b"}]');
  for (const broken of [
    answering("13", framed("a")),
    answering("0", framed("a"), Buffer.from([9, 0, 0, 0, 0])),
  ]) {
    const { port: failing } = await app(broken);
    const [, cut] = await proxyTo(failing);
    await expect(call(cut, "/v1/watch/x")).rejects.toThrow();
  }
  const { port: refusing } = await app(answering("8"));
  const [, none] = await proxyTo(refusing);
  expect((await call(none, "/v1/watch/x")).status).toBe(429);
});

test("what is no gRPC, or nobody's answer, is told in JSON", async () => {
  const { port } = await app((stream) => {
    stream.respond({ ":status": 502, "content-type": "text/html" });
    stream.end("<br/>");
  });
  const [, own] = await proxyTo(port);
  const foreign = await call(own, "/v1/a");
  expect([foreign.status, JSON.parse(foreign.body)]).toEqual([502, { code: 14, message: expect.anything() }]);
  const [, dead] = await proxyTo(await closedPort());
  const answer = await call(dead, "/v1/a");
  expect([answer.status, JSON.parse(answer.body)]).toMatchObject([503, { code: 14 }]);
});

test("what is no call of the service goes by", async () => {
  const { port, asked } = await app((stream) => {
    stream.respond({ ":status": 200, "content-type": "text/plain" });
    stream.end("plain");
  });
  const [, own] = await proxyTo(port);
  expect((await call(own, "/other", { method: "DELETE" })).body).toBe("plain");
  expect((await call(own, "/v1/a?none=1")).body).toBe("plain");
  expect(asked.map(({ path }) => path)).toEqual(["/other", "/v1/a?none=1"]);
});

test("a transcoder that cannot be is refused, with its reason", () => {
  const proxy = createProxy();
  const config = create(GrpcJsonTranscoderSchema, {
    descriptorSet: { case: "protoDescriptorBin", value: SET },
    services: ["t.None"],
  });
  const json = {
    name: "json",
    configType: { case: "typedConfig" as const, value: anyPack(GrpcJsonTranscoderSchema, config) },
  };
  const router = {
    name: "router",
    configType: { case: "typedConfig" as const, value: anyPack(RouterSchema, create(RouterSchema)) },
  };
  const [rejection] = proxy.configuration.apply([apiListener("a:80", "r", { httpFilters: [json, router] })]);
  expect(rejection?.message).toContain("the descriptor set has no service t.None");
});
