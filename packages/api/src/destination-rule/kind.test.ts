import { expect, test } from "vitest";
import { destinationRuleKind } from "./kind.js";

function check(spec: Record<string, unknown>) {
  return destinationRuleKind.check({ spec });
}

function violations(trafficPolicy: Record<string, unknown>): string[] {
  const checked = check({ host: "reviews", trafficPolicy });
  return checked.ok ? [] : checked.violations.map(({ path, message }) => `${path}: ${message}`);
}

const settings = {
  loadBalancer: {
    consistentHash: {
      httpCookie: { name: "user", path: "/", ttl: "0s", attributes: [{ name: "SameSite", value: "Lax" }] },
      maglev: { tableSize: 65_537 },
    },
    localityLbSetting: { distribute: [{ from: "eu/*", to: { "eu/a/*": 80, "us/*": 20 } }], enabled: true },
    warmup: { duration: "1m", minimumPercent: 5, aggression: 1.5 },
  },
  connectionPool: {
    tcp: {
      maxConnections: 100,
      connectTimeout: "30ms",
      tcpKeepalive: { probes: 3, time: "7200s", interval: "75s" },
      maxConnectionDuration: "1h",
      idleTimeout: "0s",
    },
    http: {
      http1MaxPendingRequests: 1,
      http2MaxRequests: 2,
      maxRequestsPerConnection: 0,
      maxRetries: 3,
      idleTimeout: "1h",
      h2UpgradePolicy: "UPGRADE",
      useClientProtocol: true,
      maxConcurrentStreams: 100,
    },
  },
  outlierDetection: {
    consecutive5xxErrors: 7,
    consecutiveGatewayErrors: 0,
    splitExternalLocalOriginErrors: true,
    consecutiveLocalOriginFailures: 5,
    interval: "5m",
    baseEjectionTime: "15m",
    maxEjectionPercent: 100,
    minHealthPercent: 50,
    outlierDetectionHttpErrorCodes: [500, 503],
  },
  tls: {
    mode: "MUTUAL",
    clientCertificate: "/a",
    privateKey: "/b",
    caCertificates: "/c",
    sni: "x",
    subjectAltNames: ["y"],
  },
};

test("check accepts every documented field and keeps it", () => {
  const spec = {
    host: "*.example.com",
    trafficPolicy: {
      ...settings,
      portLevelSettings: [{ port: { number: 80 }, ...settings }],
      tunnel: { protocol: "CONNECT", targetHost: "a.example", targetPort: 443 },
      proxyProtocol: { version: "V2" },
      retryBudget: { percent: 20, minRetryConcurrency: 3, budgetInterval: "10s" },
    },
    subsets: [
      { name: "v1", labels: { version: "v1" }, trafficPolicy: { loadBalancer: { simple: "RANDOM" } } },
    ],
    exportTo: ["*"],
    workloadSelector: { matchLabels: { app: "web" } },
  };
  expect(check(spec)).toEqual({ ok: true, spec, warnings: [] });
});

test.each<[string, Record<string, unknown>, string]>([
  ["nothing", {}, "spec.trafficPolicy: must have at least one of"],
  [
    "two balancers",
    { loadBalancer: { simple: "RANDOM", consistentHash: { useSourceIp: true } } },
    "loadBalancer: cannot have",
  ],
  [
    "an unknown balancer",
    { loadBalancer: { simple: "FAST" } },
    "loadBalancer.simple: expected one of UNSPECIFIED, RANDOM",
  ],
  [
    "a hash of nothing",
    { loadBalancer: { consistentHash: {} } },
    "loadBalancer.consistentHash: must have exactly one of",
  ],
  [
    "two hash keys",
    { loadBalancer: { consistentHash: { useSourceIp: true, httpHeaderName: "a" } } },
    "must have exactly one of",
  ],
  [
    "a table size that is no prime",
    { loadBalancer: { consistentHash: { useSourceIp: true, maglev: { tableSize: 65_536 } } } },
    "maglev.tableSize: expected a prime",
  ],
  [
    "shares of 90 %",
    { loadBalancer: { localityLbSetting: { distribute: [{ from: "a", to: { "b/*": 90 } }] } } },
    "distribute[0].to: must have shares whose sum is 100; it is 90",
  ],
  [
    "failover to itself",
    { loadBalancer: { localityLbSetting: { failover: [{ from: "a", to: "a" }] } } },
    "failover[0].to: must be another region",
  ],
  [
    "distribute with failover",
    { loadBalancer: { localityLbSetting: { distribute: [], failover: [] } } },
    "failover: cannot stand together with distribute",
  ],
  [
    "a warm-up without duration",
    { loadBalancer: { warmup: {} } },
    "loadBalancer.warmup.duration: is required",
  ],
  ["an empty pool", { connectionPool: {} }, "connectionPool: must have at least one of tcp, http"],
  [
    "a negative limit",
    { connectionPool: { tcp: { maxConnections: -1 } } },
    "maxConnections: expected a whole number from 0",
  ],
  [
    "a timeout of 0",
    { connectionPool: { tcp: { connectTimeout: "0s" } } },
    "connectTimeout: expected a duration of at least 1ms",
  ],
  [
    "101 %",
    { outlierDetection: { maxEjectionPercent: 101 } },
    "maxEjectionPercent: expected a percentage from 0 to 100, got 101",
  ],
  ["MUTUAL without files", { tls: { mode: "MUTUAL" } }, "tls.privateKey: is required with mode MUTUAL"],
  [
    "ISTIO_MUTUAL with files",
    { tls: { mode: "ISTIO_MUTUAL", privateKey: "/a" } },
    "tls.privateKey: cannot be given with mode ISTIO_MUTUAL",
  ],
  [
    "files beside a credential",
    { tls: { mode: "SIMPLE", credentialName: "a", caCertificates: "/a" } },
    "tls.caCertificates: cannot stand together with credentialName",
  ],
  [
    "a port twice",
    { portLevelSettings: [{ port: { number: 1 } }, { port: { number: 1 } }] },
    "portLevelSettings[1].port.number: has settings already",
  ],
  ["settings for no port", { portLevelSettings: [{}] }, "portLevelSettings[0].port: is required"],
])("check refuses a policy with %s", (_what, policy, expected) => {
  expect(violations(policy).join("\n")).toContain(expected);
});

test("check refuses subsets of one name, and a rule without host", () => {
  const checked = check({ subsets: [{ name: "v1" }, { name: "v1" }] });
  expect(checked.ok ? [] : checked.violations).toEqual([
    {
      path: "spec.host",
      message: 'is required: expected a host name such as "reviews", or a wildcard such as "*.example.com"',
    },
    { path: "spec.subsets[1].name", message: "repeats subsets[0].name; each must be different" },
  ]);
});

test("check rewrites deprecated fields at every level and warns of each", () => {
  const old = {
    outlierDetection: { consecutiveErrors: 3, consecutiveGatewayErrors: null },
    loadBalancer: { simple: "LEAST_CONN", warmupDurationSecs: "30s" },
  };
  const now = {
    outlierDetection: { consecutive5xxErrors: 3 },
    loadBalancer: { simple: "LEAST_REQUEST", warmup: { duration: "30s" } },
  };
  const checked = check({
    host: "a",
    trafficPolicy: { ...old, portLevelSettings: [{ port: { number: 80 }, ...old }] },
    subsets: [{ name: "v1", trafficPolicy: old }],
  });
  expect(checked).toMatchObject({
    ok: true,
    spec: {
      host: "a",
      trafficPolicy: { ...now, portLevelSettings: [{ port: { number: 80 }, ...now }] },
      subsets: [{ name: "v1", trafficPolicy: now }],
    },
  });
  expect(checked.warnings).toHaveLength(9);
  const ring = check({
    host: "a",
    trafficPolicy: { loadBalancer: { consistentHash: { useSourceIp: true, minimumRingSize: 64 } } },
  });
  expect(ring).toMatchObject({
    spec: { trafficPolicy: { loadBalancer: { consistentHash: { ringHash: { minimumRingSize: 64 } } } } },
  });
});
