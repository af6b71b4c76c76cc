import { create, type DescMessage } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { encodeGrpcMessage } from "@tulle/http";
import { CorsSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import { GrpcWebSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/grpc_web/v3/grpc_web_pb.js";
import { RouterSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/router/v3/router_pb.js";
import { afterEach, expect, test } from "vitest";

import {
  call,
  closeAll,
  closedPort,
  createProxy,
  type Answer,
  type CallOptions,
} from "../../test/harness.js";
import { http2App, type OnStream } from "../../test/http2.js";
import { apiListener, cluster, endpoints, routes, routeTo } from "../../test/resources.js";

afterEach(closeAll);

const APP = "outbound|80||app";
const filter = (name: string, schema: DescMessage) => ({
  name,
  configType: { case: "typedConfig" as const, value: anyPack(schema, create(schema)) },
});

async function proxyTo(port: number, web = true): Promise<number> {
  const proxy = createProxy();
  const filters = [filter("cors", CorsSchema), filter("router", RouterSchema)];
  proxy.apply(
    cluster(APP, { http2: true }),
    endpoints(APP, [{ port }]),
    apiListener("app:80", "r", {
      httpFilters: web ? [filter("web", GrpcWebSchema), ...filters] : filters,
    }),
    routes("r", [{ ...routeTo(APP), match: { pathSpecifier: { case: "prefix", value: "/a." } } }]),
  );
  return proxy.listen("app:80");
}

/** Remembers what it was asked, and answers so. */
async function app(answer: OnStream): Promise<{ port: number; asked: { headers: object; body: string }[] }> {
  const asked: { headers: object; body: string }[] = [];
  const { port } = await http2App((stream, headers) => {
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => {
      asked.push({ headers, body: Buffer.concat(chunks).toString("latin1") });
      answer(stream, headers);
    });
  });
  return { port, asked };
}

const ok: OnStream = (stream) => {
  stream.respond({ ":status": 200, "content-type": "application/grpc+proto" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0", "x-t": "é" }));
  stream.end(encodeGrpcMessage(Buffer.from("pong")));
};

const ask = (port: number, options: CallOptions = {}): Promise<Answer> =>
  call(port, "/a.B/C", {
    method: "POST",
    headers: { "content-type": "application/grpc-web+proto", "x-grpc-web": "1" },
    body: encodeGrpcMessage(Buffer.from("ping")),
    ...options,
  });

test("a call goes on as gRPC over HTTP/2, and its trailers come back as the last frame", async () => {
  const { port, asked } = await app(ok);
  const answer = await ask(await proxyTo(port));
  expect(asked).toEqual([
    {
      headers: expect.objectContaining({ "content-type": "application/grpc+proto", te: "trailers" }),
      body: "\0\0\0\0\x04ping",
    },
  ]);
  expect(answer.status).toBe(200);
  expect(answer.headers["content-type"]).toBe("application/grpc-web+proto");
  expect(answer.headers["content-length"]).toBeUndefined();
  expect(answer.body).toContain("\0\0\0\0\x04pong\ufffd\0\0\0");
  expect(answer.body).toContain("grpc-status: 0\r\nx-t: ");
  expect(answer.trailers).toEqual({});
});

test("connections are used again after a call that was translated, for calls that are not", async () => {
  const { port, asked } = await app(ok);
  const { Agent } = await import("node:http");
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const proxy = await proxyTo(port);
  expect((await ask(proxy, { agent })).body).toContain("grpc-status: 0");
  const plain = await ask(proxy, { agent, headers: { "content-type": "text/plain" } });
  expect(plain.headers["content-type"]).toBe("application/grpc+proto");
  expect(plain.trailers).toMatchObject({ "grpc-status": "0" });
  expect(asked[1]?.headers).toMatchObject({ "content-type": "text/plain" });
  agent.destroy();
});

test("without the filter nothing is translated", async () => {
  const { port, asked } = await app(ok);
  const answer = await ask(await proxyTo(port, false));
  expect(asked[0]?.headers).toMatchObject({ "content-type": "application/grpc-web+proto" });
  expect(answer.headers["content-type"]).toBe("application/grpc+proto");
});

test("an answer that is all trailers is a body that is all trailers", async () => {
  const { port } = await app((stream) =>
    stream.respond(
      { ":status": 200, "content-type": "application/grpc", "grpc-status": "5", "grpc-message": "no%20such" },
      { endStream: true },
    ),
  );
  const answer = await ask(await proxyTo(port));
  expect(answer.status).toBe(200);
  expect(answer.headers["grpc-status"]).toBeUndefined();
  expect(answer.body.slice(5)).toBe("grpc-status: 5\r\ngrpc-message: no%20such\r\n");
});

test("an answer that is no gRPC is told as a status, and its body kept back", async () => {
  const { port } = await app((stream) => {
    stream.respond({ ":status": 503, "content-type": "text/html", "content-length": "5" });
    stream.end("<br/>");
  });
  const answer = await ask(await proxyTo(port));
  expect(answer.status).toBe(200);
  expect(answer.headers["content-type"]).toBe("application/grpc-web+proto");
  expect(answer.body.slice(5)).toBe(
    "grpc-status: 14\r\ngrpc-message: HTTP 503 in place of an answer by gRPC\r\n",
  );
});

test.each([
  ["nobody listens", "/a.B/C", "grpc-status: 14\r\n"],
  ["there is no route", "/other", "grpc-status: 12\r\n"],
])("what the proxy answers itself is a status: %s", async (_name, path, status) => {
  const answer = await ask(await proxyTo(await closedPort()), { path });
  expect(answer.headers["content-type"]).toBe("application/grpc-web+proto");
  expect(answer.body).toContain(status);
});

const TEXT = "application/grpc-web-text";

test("base64 is read however it is padded and split, and written where it is asked for", async () => {
  const { port, asked } = await app(ok);
  const proxy = await proxyTo(port);
  const body = ["AAA", "AAA==", "cGlu", "Zw=", "="].map((text) => Buffer.from(text));
  const answer = await ask(proxy, { headers: { "content-type": TEXT }, body });
  expect(asked[0]).toMatchObject({
    headers: { "content-type": "application/grpc" },
    body: "\0\0\0\0ping",
  });
  expect(answer.headers["content-type"]).toBe(TEXT);
  expect(answer.body).toMatch(/^(?:[\w+/]{4}|[\w+/]{3}=|[\w+/]{2}==)+$/);
  const bytes = await ask(proxy, {
    headers: { "content-type": TEXT, accept: "application/grpc-web" },
    body: "AAAAAAA=",
  });
  expect(bytes.body).toContain("grpc-status: 0");
});

test.each(["AAAA!", "AAAAA"])("a body that is not base64 is refused: %s", async (body) => {
  const { port, asked } = await app(ok);
  const answer = await ask(await proxyTo(port), { headers: { "content-type": TEXT }, body });
  expect(Buffer.from(answer.body, "base64").toString("latin1")).toContain("grpc-status: 3\r\n");
  expect(asked).toEqual([]);
});
