import { expect, test } from "vitest";
import type { FormatSource } from "./format-source.js";
import { compileValueFormat } from "./value-format.js";

const source = {
  startTimeMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
  path: "/a?b=1",
  method: "GET",
  authority: "reviews",
  protocol: "HTTP/2",
  requestId: "id",
  requestHeaders: ["X-User", "ann", "x-empty", ""],
  responseHeaders: ["Server", "app"],
  downstreamRemoteAddress: "10.0.0.1:5000",
  downstreamLocalAddress: "[::1]:15001",
  upstreamHost: "10.0.0.2:80",
  upstreamTransportFailureReason: "bad\r\nthing ☃",
  routeName: "r",
} as unknown as FormatSource;

test.each([
  ["%REQ(x-user)%", "ann"],
  ["%REQ(x-none?X-USER):2%!", "an!"],
  ["%REQ(:path)% %REQ_WITHOUT_QUERY(:path)%", "/a?b=1 /a"],
  ["%RESP(server)%", "app"],
  ["a%%b %PROTOCOL%", "a%b HTTP/2"],
  ["%DOWNSTREAM_REMOTE_ADDRESS%", "10.0.0.1:5000"],
  ["%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%|%DOWNSTREAM_REMOTE_PORT%", "10.0.0.1|5000"],
  ["%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%", "[::1]"],
  ["%UPSTREAM_REMOTE_ADDRESS% %UPSTREAM_HOST%", "10.0.0.2:80 10.0.0.2:80"],
  ["%START_TIME%", "2026-01-02T03:04:05.678Z"],
  ["%START_TIME(%Y/%m/%d %H:%M:%S.%3f %s %x)%", "2026/01/02 03:04:05.678 1767323045 %x"],
  ["%REQ(none)%", ""],
  ["%UPSTREAM_TRANSPORT_FAILURE_REASON%", "bad__thing _"],
])("a header's value %s of an exchange is %s", (format, value) => {
  expect(compileValueFormat("f", format)?.(source)).toBe(value);
});

test("a value without operators needs no exchange", () => {
  expect(compileValueFormat("f", "plain 100%%")).toBeUndefined();
});

test.each(["%NEW%", "100%", "%REQ(x)", "%req(x)%"])("a value with %s is refused", (format) => {
  expect(() => compileValueFormat("f", format)).toThrow(/command operator/);
});
