import { expect, test } from "vitest";

import {
  GrpcStatus,
  grpcStatusOf,
  httpStatusOfGrpc,
  isGrpcContentType,
  parseGrpcTimeout,
  readGrpcStatus,
  trailersOnly,
} from "./grpc.js";

test.each([
  ["application/grpc", true],
  ["application/grpc+proto", true],
  ["application/grpc;charset=utf-8", true],
  ["application/grpc-web", false],
  ["application/json", false],
  ["", false],
])("isGrpcContentType of %j is %s", (value, expected) => {
  expect(isGrpcContentType(value)).toBe(expected);
});

test.each([
  ["1H", 3_600_000],
  ["2M", 120_000],
  ["3S", 3000],
  ["250m", 250],
  ["1500u", 2],
  ["1n", 1],
  ["0m", 1],
  ["99999999S", 99_999_999_000],
  ["", 0],
  ["10", 0],
  ["123456789m", 0],
  ["-1S", 0],
  ["1 S", 0],
])("parseGrpcTimeout of %j is %d ms", (value, expected) => {
  expect(parseGrpcTimeout(value)).toBe(expected);
});

test("readGrpcStatus takes the codes that gRPC has, so that metrics stay few", () => {
  expect(readGrpcStatus(["grpc-status", "14"])).toBe(14);
  expect(readGrpcStatus(["grpc-status", "0"])).toBe(0);
  expect(readGrpcStatus(["grpc-status", "17"])).toBe(2);
  expect(readGrpcStatus(["grpc-status", "x"])).toBe(2);
  expect(readGrpcStatus([])).toBe(-1);
});

test("trailersOnly percent-encodes its message", () => {
  expect(trailersOnly(14, "50% of grüße\n")).toEqual([
    "content-type",
    "application/grpc",
    "grpc-status",
    "14",
    "grpc-message",
    "50%25 of gr%C3%BC%C3%9Fe%0A",
  ]);
});

test("grpcStatusOf follows gRPC's table", () => {
  expect([400, 401, 403, 404, 429, 502, 503, 504, 418].map(grpcStatusOf)).toEqual([
    13, 16, 7, 12, 14, 14, 14, 14, 2,
  ]);
});

test.each([
  [GrpcStatus.OK, 200],
  [GrpcStatus.CANCELLED, 499],
  [GrpcStatus.UNKNOWN, 500],
  [GrpcStatus.DEADLINE_EXCEEDED, 504],
  [GrpcStatus.RESOURCE_EXHAUSTED, 429],
  [GrpcStatus.UNIMPLEMENTED, 501],
  [GrpcStatus.INTERNAL, 500],
  [GrpcStatus.UNAVAILABLE, 503],
  [GrpcStatus.UNAUTHENTICATED, 401],
])("httpStatusOfGrpc of %d is %d", (status, http) => {
  expect(httpStatusOfGrpc(status)).toBe(http);
});
