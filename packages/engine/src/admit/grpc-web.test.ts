import { CorsSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import { GrpcWebSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/grpc_web/v3/grpc_web_pb.js";
import { expect, test } from "vitest";
import type { EngineRequest } from "../contract.js";
import { packed } from "../testing/resources.js";
import { grpcWebKind } from "./grpc-web.js";
import { filterKind } from "./filter-kinds.js";

const step = grpcWebKind.compile("f", packed(GrpcWebSchema), "p")!;

function ask(method: string, contentType: string, accept?: string) {
  const headers = ["content-type", contentType, ...(accept === undefined ? [] : ["accept", accept])];
  const request = { method, path: "/a.B/C", authority: "a", scheme: "http", headers } as EngineRequest;
  return step.admit({} as never, {} as never, { request, principal: undefined });
}

test("the kind is known by its message", () => {
  expect(filterKind(GrpcWebSchema.typeName)).toBe(grpcWebKind);
  expect(filterKind(CorsSchema.typeName)).not.toBe(grpcWebKind);
});

test.each([
  ["application/grpc-web", undefined, false, "application/grpc-web"],
  ["application/grpc-web+proto", "*/*", false, "application/grpc-web+proto"],
  ["application/grpc-web-text", undefined, true, "application/grpc-web-text"],
  ["application/grpc-web+proto", "application/grpc-web-text", false, "application/grpc-web-text+proto"],
  ["application/grpc-web-text+proto", "application/grpc-web", true, "application/grpc-web+proto"],
])("%s that accepts %s", (type, accept, requestText, responseType) => {
  expect(ask("POST", type, accept)).toMatchObject({
    kind: "mutate",
    translation: { requestText, responseType, responseText: responseType.includes("-text") },
  });
});

test.each([
  ["OPTIONS", "application/grpc-web"],
  ["GET", "application/grpc-web"],
  ["POST", "application/grpc"],
  ["POST", "application/json"],
])("%s of %s goes by", (method, type) => {
  expect(ask(method, type)).toBeUndefined();
});
