import { expect, test } from "vitest";
import { healthCheckKind } from "./kind.js";
import { isStatusRange } from "../schema/status-ranges.js";

const EVERYTHING = {
  host: "reviews",
  port: 9080,
  subset: "v1",
  interval: "5s",
  timeout: "500ms",
  unhealthyThreshold: 3,
  healthyThreshold: 2,
  initialJitter: "1s",
  intervalJitter: "0s",
  intervalJitterPercent: 10,
  noTrafficInterval: "30s",
  noTrafficHealthyInterval: "60s",
  unhealthyInterval: "2s",
  unhealthyEdgeInterval: "1s",
  healthyEdgeInterval: "1s",
  checkPort: 8081,
  reuseConnection: false,
  alwaysLogFailures: true,
  alwaysLogSuccesses: true,
  http: {
    path: "/healthz?deep=1",
    host: "reviews.internal",
    method: "HEAD",
    expectedStatuses: [200, "204-299"],
    failAtOnceStatuses: [503],
    headers: { set: { "x-probe": "1" }, remove: ["user-agent"] },
    body: "x",
    receive: ["ok"],
  },
  passive: {
    interval: "30s",
    baseEjectionTime: "30s",
    maxEjectionTime: "5m",
    maxEjectionTimeJitter: "1s",
    maxEjectionPercent: 50,
    alwaysEjectOne: true,
    healthCheckUnejects: false,
    consecutive5xxErrors: 5,
    consecutiveGatewayErrors: 3,
    consecutiveLocalOriginFailures: 2,
    successRate: { minimumHosts: 5, requestVolume: 100, stdevFactor: 1.9, enforcing: 100 },
    failurePercentage: { threshold: 10, minimumHosts: 1, requestVolume: 20, enforcing: 50 },
  },
};

test("a HealthCheck takes everything that is documented", () => {
  expect(healthCheckKind.check({ spec: EVERYTHING })).toEqual({ ok: true, spec: EVERYTHING, warnings: [] });
  for (const block of [
    { tcp: {} },
    { redis: {} },
    { redis: { key: "maintenance" } },
    { tcp: { send: "PING\r\n", receive: ["+PONG"] } },
    { grpc: { service: "chat", authority: "chat", metadata: { "x-a": "1" } } },
    { passive: { failurePercentage: { threshold: 10 } } },
  ]) {
    expect(healthCheckKind.check({ spec: { host: "*.shop", ...block } })).toMatchObject({ ok: true });
  }
});

test.each<[string, object, readonly string[]]>([
  ["nothing to do", { host: "a" }, ["spec: must have at least one of http, tcp, grpc, redis, passive"]],
  ["two probes", { host: "a", tcp: {}, grpc: {} }, ["spec: cannot have tcp and grpc together"]],
  [
    "times without a probe",
    { host: "a", interval: "5s", timeout: "1s", passive: { consecutive5xxErrors: 5 } },
    ["spec.interval: has no effect without", "spec.timeout: has no effect without"],
  ],
  [
    "several mistakes",
    { http: { path: "healthz", expectedStatuses: [99, "300-200"] }, interval: "0s", unhealthyThreshold: 0 },
    [
      "spec.host: is required",
      'spec.http.path: expected a path that begins with "/"',
      "spec.http.expectedStatuses[0]: expected an HTTP status from 100 to 599",
      "spec.http.expectedStatuses[1]: expected a status",
      "spec.interval: expected a duration",
      "spec.unhealthyThreshold: expected a count",
    ],
  ],
  [
    "a passive block without a rule",
    { host: "a", passive: { interval: "1s" } },
    ["spec.passive: must have at least one of consecutive5xxErrors"],
  ],
  [
    "a threshold that everything reaches",
    { host: "a", passive: { failurePercentage: { threshold: 0 } } },
    ["spec.passive.failurePercentage.threshold: expected a percentage from 1 to 100"],
  ],
  [
    "a header with a line break",
    { host: "a", http: { path: "/", headers: { set: { "x-a": "1\r\nx-b: 2" } } } },
    ["spec.http.headers.set.x-a: expected a header value"],
  ],
])("a HealthCheck with %s is refused", (_what, spec, expected) => {
  const checked = healthCheckKind.check({ spec });
  const found = checked.ok ? [] : checked.violations.map(({ path, message }) => `${path}: ${message}`);
  expect(found).toHaveLength(expected.length);
  for (const message of expected) expect(found.join("\n")).toContain(message);
});

test("the columns say what is checked", () => {
  const object = {
    apiVersion: "tulle.dev/v1",
    kind: "HealthCheck",
    metadata: {
      name: "a",
      namespace: "b",
      uid: "",
      resourceVersion: "",
      generation: 1,
      creationTimestamp: "",
    },
    spec: EVERYTHING,
  };
  const cells = healthCheckKind.columns.slice(0, 4).map(({ cell }) => cell(object, 0));
  expect(cells).toEqual([
    "reviews",
    "http /healthz?deep=1",
    "5s",
    "consecutive5xxErrors,consecutiveGatewayErrors,consecutiveLocalOriginFailures,successRate,failurePercentage",
  ]);
});

test("isStatusRange takes a status and a range that goes up", () => {
  expect(["200", "200-299", "200-200"].map(isStatusRange)).toEqual([true, true, true]);
  expect(["", "2", "600", "299-200", "200-", "200-299-300"].map(isStatusRange)).toEqual(Array(6).fill(false));
});
