import type { FoundCall } from "@tulle/xds/transcoding";
import { expect, test } from "vitest";
import type { EngineRequest } from "../contract.js";
import { GrpcJsonStep, type GrpcJsonSettings } from "./grpc-json-step.js";

const CALL = { path: "/t.S/Get" } as Extract<FoundCall, { kind: "call" }>["call"];

function ask(found: FoundCall, init: Partial<EngineRequest> = {}, more: Partial<GrpcJsonSettings> = {}) {
  const step = new GrpcJsonStep({
    transcoder: { find: () => found },
    reroutes: false,
    refusesUnknownMethods: false,
    refusesUnknownParameters: false,
    maxRequestBytes: 1,
    maxResponseBytes: 2,
    describesErrors: true,
    ...more,
  });
  const request: EngineRequest = {
    method: "GET",
    path: "/v1/a?b=c",
    authority: "a",
    scheme: "http",
    headers: [],
    ...init,
  };
  return step.admit({} as never, {} as never, { request, principal: undefined });
}

test("a call becomes the method's, and tells what it was", () => {
  const found: FoundCall = { kind: "call", call: CALL };
  expect(ask(found, { headers: ["content-type", "application/json"] }, { reroutes: true })).toMatchObject({
    kind: "mutate",
    method: "POST",
    path: "/t.S/Get",
    reroute: true,
    request: expect.arrayContaining([
      { op: "set", name: "content-type", value: "application/grpc" },
      { op: "set", name: "x-envoy-original-method", value: "GET" },
      { op: "set", name: "x-envoy-original-path", value: "/v1/a?b=c" },
    ]),
    translation: { kind: "json", call: CALL, contentType: "application/json", maxRequestBytes: 1 },
  });
});

test.each([
  [["content-type", "application/grpc+proto"]],
  [["upgrade", "websocket", "connection", "upgrade"]],
  [["sec-websocket-version", "13"]],
])("%j goes by, whatever its path", (headers) => {
  expect(ask({ kind: "call", call: CALL }, { headers }, { refusesUnknownMethods: true })).toBeUndefined();
});

test("what is no call goes by unless it is to be refused", () => {
  const unknown: FoundCall = { kind: "unknown-method" };
  expect(ask(unknown)).toBeUndefined();
  expect(ask(unknown, {}, { refusesUnknownMethods: true })).toMatchObject({ kind: "reply", status: 404 });
  const parameter: FoundCall = { kind: "unknown-parameter", name: "b" };
  expect(ask(parameter)).toBeUndefined();
  expect(ask(parameter, {}, { refusesUnknownParameters: true })).toMatchObject({
    kind: "reply",
    status: 400,
    body: expect.stringContaining('\\"b\\"'),
  });
  expect(ask({ kind: "invalid", message: "no" })).toMatchObject({
    kind: "reply",
    status: 400,
    body: '{"code":3,"message":"no"}',
  });
});
