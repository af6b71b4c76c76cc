import { expect, test } from "vitest";
import { declaredProtocol, protocolOfPortName } from "./app-protocol.js";

test.each([
  ["http", "http"],
  ["HTTP2", "http2"],
  ["grpc-web", "grpc-web"],
  ["redis", "tcp"],
  ["kubernetes.io/h2c", "http2"],
  ["constructor", undefined],
  ["smtp", undefined],
  ["", undefined],
])("declaredProtocol reads %j as %j", (name, protocol) => {
  expect(declaredProtocol(name)).toBe(protocol);
});

test.each([
  ["http-web", "http"],
  ["grpc", "grpc"],
  ["grpc-web", "grpc-web"],
  ["grpc-web-public", "grpc-web"],
  ["tcp-mysql", "tcp"],
  ["mysql-primary", "tcp"],
  ["https-", "https"],
  ["httpx", undefined],
  ["web-http", undefined],
  ["-http", undefined],
])("protocolOfPortName reads %j as %j", (name, protocol) => {
  expect(protocolOfPortName(name)).toBe(protocol);
});
