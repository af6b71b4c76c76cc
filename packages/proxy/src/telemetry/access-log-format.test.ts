import { expect, test } from "vitest";

import { compileAccessLogFormat, ISTIO_ACCESS_LOG_FORMAT, type AccessLogEntry } from "./access-log-format.js";

const entry: AccessLogEntry = {
  startTimeMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
  durationMs: 12.4,
  method: "GET",
  path: "/reviews?id=1",
  authority: "reviews:9080",
  scheme: "http",
  protocol: "HTTP/1.1",
  requestHeaders: ["User-Agent", "curl/8", "X-Request-Id", "abc"],
  responseHeaders: ["x-envoy-upstream-service-time", "11"],
  responseCode: 200,
  responseFlags: "",
  responseCodeDetails: "via_upstream",
  connectionTerminationDetails: "",
  upstreamTransportFailureReason: "",
  bytesReceived: 0,
  bytesSent: 78,
  attemptCount: 1,
  upstreamHost: "127.0.0.1:15006",
  upstreamCluster: "outbound|9080||reviews.default.svc.cluster.local",
  upstreamLocalAddress: "127.0.0.1:40000",
  downstreamLocalAddress: "127.0.0.1:15001",
  downstreamRemoteAddress: "127.0.0.1:50000",
  downstreamPeerUriSan: "",
  requestedServerName: "",
  routeName: "default",
  requestId: "abc",
};

test("compileAccessLogFormat prints Istio's default line", () => {
  expect(compileAccessLogFormat(`${ISTIO_ACCESS_LOG_FORMAT}\n`)(entry)).toBe(
    '[2026-01-02T03:04:05.678Z] "GET /reviews?id=1 HTTP/1.1" 200 - via_upstream - "-" 0 78 12 11 "-" "curl/8" "abc" ' +
      '"reviews:9080" "127.0.0.1:15006" outbound|9080||reviews.default.svc.cluster.local 127.0.0.1:40000 ' +
      "127.0.0.1:15001 127.0.0.1:50000 - default",
  );
});

test("compileAccessLogFormat takes the alternative header, cuts lengths and prints - for what it does not know", () => {
  const line = compileAccessLogFormat(
    "%REQ(A?USER-AGENT)% %REQ(:PATH):4% %REQ_WITHOUT_QUERY(:PATH)% %NEW_THING(x)% 100%",
  );
  expect(line(entry)).toBe("curl/8 /rev /reviews - 100%");
});

test("H1-30 compileAccessLogFormat escapes what could forge a line", () => {
  const line = compileAccessLogFormat('"%REQ(USER-AGENT)%"');
  expect(line({ ...entry, requestHeaders: ["user-agent", 'a"b\u001b[2J\r\n\\'] })).toBe(
    '"a\\"b\\x1b[2J\\x0d\\x0a\\\\"',
  );
});

test("compileAccessLogFormat prints what filters found out", () => {
  const metadata = new Map([
    ["envoy.filters.http.rbac", { shadow_engine_result: "denied", nested: { a: [1] } }],
  ]);
  const format =
    "%DYNAMIC_METADATA(envoy.filters.http.rbac:shadow_engine_result)% " +
    "%DYNAMIC_METADATA(envoy.filters.http.rbac:nested:a)% %DYNAMIC_METADATA(other:x)% %DYNAMIC_METADATA(envoy.filters.http.rbac:toString)%";
  expect(compileAccessLogFormat(format)({ ...entry, metadata })).toBe("denied [1] - -");
  expect(compileAccessLogFormat(format)(entry)).toBe("- - - -");
});
