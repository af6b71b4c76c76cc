import { expect, test } from "vitest";
import { trafficPolicyKind } from "./kind.js";

const EVERYTHING = {
  host: "reviews",
  port: 9080,
  loadBalancer: "PEAK_EWMA",
  hashBalanceFactor: 150,
  hedging: { after: "50ms", max: 2 },
  retries: { nonIdempotent: true },
  adaptiveConcurrency: {
    percentile: 90,
    updateInterval: "200ms",
    maxConcurrency: 500,
    minConcurrency: 5,
    bufferPercent: 50,
    measureInterval: "30s",
    measureRequests: 20,
    measureJitterPercent: 10,
    status: 429,
  },
  admissionControl: {
    window: "10s",
    successRate: 90,
    aggression: 1.5,
    minRequestsPerSecond: 5,
    maxRejectionPercent: 95,
    httpSuccesses: [200, "300-499"],
    grpcSuccesses: ["OK", "NOT_FOUND"],
  },
  pathNormalization: "MERGE_SLASHES",
};

test("check accepts everything that is documented", () => {
  const ok = (spec: object) =>
    expect(trafficPolicyKind.check({ spec })).toEqual({ ok: true, spec, warnings: [] });
  ok(EVERYTHING);
  ok({ host: "*.shop", adaptiveConcurrency: {}, admissionControl: {} });
  ok({ host: "reviews", subset: "v1", loadBalancer: "PEAK_EWMA" });
  ok({
    host: "reviews",
    loadBalancer: "CLIENT_SIDE_WEIGHTED_ROUND_ROBIN",
    loadReports: { blackout: "0s", expiration: "1m", updateInterval: "100ms", errorPenalty: 1.5 },
    maxEndpoints: 20,
    overrideHostHeader: "x-gateway-destination-endpoint",
    connections: {
      preconnectRatio: 1.5,
      perClientConnection: true,
      maxPerInstance: 10,
      maxPools: 100,
      highPriority: { maxRequests: 100, maxRetries: 0 },
    },
    waitForEndpoint: { timeout: "500ms", maxRequests: 10 },
    failover: ["reviews-backup", "reviews.eu.svc.cluster.local"],
  });
});

test.each<[string, object, readonly string[]]>([
  ["nothing to say", { host: "a" }, ["spec: must have at least one of loadBalancer, hashBalanceFactor"]],
  [
    "what no subset can have of its own",
    { host: "a", subset: "v1", hedging: { after: "1s" }, admissionControl: {} },
    ["spec.hedging: cannot differ between subsets", "spec.admissionControl: cannot differ between subsets"],
  ],
  [
    "reports for nobody, and connections out of range",
    {
      host: "a",
      loadReports: { updateInterval: "10ms" },
      maxEndpoints: 0,
      overrideHostHeader: "no header",
      connections: { preconnectRatio: 4, maxPerInstance: 0, maxPools: 1.5, highPriority: {} },
    },
    [
      "spec.loadReports.updateInterval: expected a duration from 100ms",
      "spec.loadReports: has no effect without loadBalancer: CLIENT_SIDE_WEIGHTED_ROUND_ROBIN",
      "spec.maxEndpoints: expected a number of instances",
      "spec.overrideHostHeader: expected a header name",
      "spec.connections.preconnectRatio: expected a ratio",
      "spec.connections.maxPerInstance: expected a count",
      "spec.connections.maxPools: expected a count",
      "spec.connections.highPriority: must have at least one of",
    ],
  ],
  [
    "several mistakes",
    {
      port: 0,
      loadBalancer: "FASTEST",
      hashBalanceFactor: 99,
      hedging: { max: 6 },
      adaptiveConcurrency: { minConcurrency: 20, maxConcurrency: 10, status: 200 },
      admissionControl: { window: "2h", aggression: 0.5, grpcSuccesses: ["FINE"], httpSuccesses: [] },
      pathNormalization: "ALL",
      hedge: {},
    },
    [
      "spec.host: is required",
      "spec.port: expected a port number",
      "spec.loadBalancer: ",
      "spec.hashBalanceFactor: expected a percentage from 100",
      "spec.hedging.after: is required",
      "spec.hedging.max: expected a number of tries from 1 to 5",
      "spec.adaptiveConcurrency.minConcurrency: is 20, above maxConcurrency, 10",
      "spec.adaptiveConcurrency.status: expected an HTTP error status",
      "spec.admissionControl.window: expected a duration from 1s to 1h",
      "spec.admissionControl.aggression: expected a number from 1",
      "spec.admissionControl.grpcSuccesses[0]: ",
      "spec.admissionControl.httpSuccesses: must have at least one status",
      "spec.pathNormalization: ",
      "spec.hedge",
    ],
  ],
])("check refuses %s", (_what, spec, expected) => {
  const checked = trafficPolicyKind.check({ spec });
  const found = checked.ok ? [] : checked.violations.map(({ path, message }) => `${path}: ${message}`);
  expect(found).toHaveLength(expected.length);
  for (const message of expected) expect(found.join("\n")).toContain(message);
});

test("the columns say what a policy is about", () => {
  const metadata = {
    name: "a",
    namespace: "b",
    uid: "",
    resourceVersion: "",
    generation: 1,
    creationTimestamp: "",
  };
  const cells = (spec: object) =>
    trafficPolicyKind.columns
      .slice(0, 3)
      .map(({ cell }) => cell({ apiVersion: "tulle.dev/v1", kind: "TrafficPolicy", metadata, spec }, 0));
  expect(cells({ host: "a", hedging: { after: "1s" }, admissionControl: {} })).toEqual([
    "a",
    "*",
    "hedging,admissionControl",
  ]);
  expect(cells({ host: "a", port: 80, subset: "v1", loadBalancer: "PEAK_EWMA" })).toEqual([
    "a",
    "80",
    "loadBalancer",
  ]);
});
