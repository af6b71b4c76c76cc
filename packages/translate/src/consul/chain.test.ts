import { CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ROUTE_TYPE } from "@tulle/xds";
import { ClusterConfigSchema } from "@tulle/xds/gen/envoy/extensions/clusters/aggregate/v3/cluster_pb.js";
import { Cluster_LbPolicy } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import {
  CLIENT,
  cluster,
  clustersOf,
  assignment,
  instance,
  listener,
  made,
  mesh,
  routesOf,
  tcpClustersOf,
  tcpProxy,
} from "../../testdata/mesh.js";
import { analyze } from "../analysis/index.js";
import { describePolicy } from "../effective/index.js";
import { rateLimitsOf } from "../rate-limits.js";
import { translate } from "../translate.js";
import { Translation } from "../translation.js";
import { chainProblems } from "./problems.js";

const WEB = "web.default.svc.cluster.local";
const on = (service: string, init: object = {}) => instance({ service, servicePort: 80, ...init });
const ONE_EACH = [
  on("web", { version: "v1", address: { host: "10.0.1.1", port: 8080 } }),
  on("web", { version: "v2", tags: ["canary"], address: { host: "10.0.1.2", port: 8080 } }),
  on("web", {
    version: "v2",
    tags: ["canary"],
    health: "warning",
    address: { host: "10.0.1.3", port: 8080 },
  }),
  on("other", { address: { host: "10.0.2.1", port: 8080 } }),
  on("backup", { address: { host: "10.0.3.1", port: 8080 } }),
];

function routes(yaml: string, instances = ONE_EACH, host = WEB) {
  return routesOf(mesh(instances, yaml), CLIENT, `${host}:80`);
}

function router(route: string): string {
  return `Kind: service-router\nName: web\nRoutes: [${route}]\n`;
}

/** The first route of a router with one. */
function routed(route: string, more = "") {
  return routes(`${router(route)}---\n${more === "" ? "Kind: proxy-defaults\nName: global\n" : more}`)[0]!;
}

const matched = (http: string) => routed(`{Match: {HTTP: ${http}}}`).match!;
const sent = (destination: string, more = "") => {
  const route = routed(`{Match: {HTTP: {PathPrefix: /a}}, Destination: ${destination}}`, more);
  if (route.action.case !== "route") throw new Error(route.action.case);
  return { ...route, to: route.action.value };
};
const addresses = (yaml: string, name: string, instances = ONE_EACH) =>
  assignment(mesh(instances, yaml), CLIENT, name).endpoints.map(({ lbEndpoints }) =>
    lbEndpoints.map(({ hostIdentifier }) => {
      const address = hostIdentifier.case === "endpoint" ? hostIdentifier.value.address?.address : undefined;
      return address?.case === "socketAddress" ? address.value.address : "";
    }),
  );
const to = (service: string, subset = "") => `outbound|80|${subset}|${service}.default.svc.cluster.local`;

test.each([
  ["{PathExact: /a}", { pathSpecifier: { case: "path", value: "/a" } }],
  ["{PathPrefix: /a}", { pathSpecifier: { case: "prefix", value: "/a" } }],
  ["{PathRegex: '/a.*'}", { pathSpecifier: { case: "safeRegex", value: { regex: "/a.*" } } }],
  ["{PathPrefix: /a, CaseInsensitive: true}", { caseSensitive: false }],
  [
    "{Methods: [GET]}",
    { headers: [{ name: ":method", headerMatchSpecifier: { value: { matchPattern: { value: "GET" } } } }] },
  ],
  [
    "{Methods: [GET, PUT]}",
    {
      headers: [
        {
          name: ":method",
          headerMatchSpecifier: { value: { matchPattern: { value: { regex: "GET|PUT" } } } },
        },
      ],
    },
  ],
  [
    "{Header: [{Name: X-A, Present: true}]}",
    { headers: [{ name: "x-a", headerMatchSpecifier: { case: "presentMatch" } }] },
  ],
  ["{Header: [{Name: a, Present: true, Invert: true}]}", { headers: [{ name: "a", invertMatch: true }] }],
  [
    "{QueryParam: [{Name: q, Present: true}]}",
    { queryParameters: [{ name: "q", queryParameterMatchSpecifier: { case: "presentMatch" } }] },
  ],
  [
    "{QueryParam: [{Name: q, Exact: v}]}",
    {
      queryParameters: [
        { queryParameterMatchSpecifier: { value: { matchPattern: { case: "exact", value: "v" } } } },
      ],
    },
  ],
])("a router matches %s", (http, expected) => {
  expect(matched(http)).toMatchObject(expected);
});

test.each([
  ["Exact: v", { case: "exact", value: "v" }],
  ["Prefix: v", { case: "prefix", value: "v" }],
  ["Suffix: 'v.'", { case: "safeRegex", value: { regex: ".*v\\." } }],
  ["Contains: 'v+'", { case: "safeRegex", value: { regex: ".*v\\+.*" } }],
  ["Regex: 'v[0-9]'", { case: "safeRegex", value: { regex: "v[0-9]" } }],
  ["Exact: v, IgnoreCase: true", { case: "safeRegex", value: { regex: "(?i)v" } }],
  ["Prefix: v, IgnoreCase: true", { case: "safeRegex", value: { regex: "(?i)v.*" } }],
])("a router compares headers: %s", (comparison, matchPattern) => {
  expect(matched(`{Header: [{Name: a, ${comparison}}]}`).headers).toMatchObject([
    { name: "a", headerMatchSpecifier: { case: "stringMatch", value: { matchPattern } } },
  ]);
});

test("a router sends on with all that it says", () => {
  const { to: action, ...route } = sent(
    "{Service: other, PrefixRewrite: /b, RequestTimeout: 7s, IdleTimeout: 9s, NumRetries: 4, RetryOnConnectFailure: true, " +
      "RetryOn: [reset], RetryOnStatusCodes: [503], RequestHeaders: {Set: {x-a: '1'}, Remove: [x-b]}, ResponseHeaders: {Add: {x-c: '2'}}}",
  );
  expect(action).toMatchObject({
    clusterSpecifier: { case: "cluster", value: to("other") },
    prefixRewrite: "/b",
    timeout: { seconds: 7n },
    idleTimeout: { seconds: 9n },
    retryPolicy: {
      numRetries: 4,
      retryOn: "reset,connect-failure,retriable-status-codes",
      retriableStatusCodes: [503],
    },
  });
  expect(route).toMatchObject({
    requestHeadersToAdd: [{ header: { key: "x-a", value: "1" } }],
    requestHeadersToRemove: ["x-b"],
    responseHeadersToAdd: [{ header: { key: "x-c", value: "2" } }],
    metadata: {
      filterMetadata: {
        istio: { config: "/apis/consul.hashicorp.com/v1alpha1/namespaces/default/service-router/web" },
        "tulle.dev": { rule: "routes[0]" },
      },
    },
  });
});

test("what a router does not say is the mesh's: retries where they are safe, no timeout; the rest goes to the service", () => {
  const all = routes(router("{Match: {HTTP: {PathPrefix: /a}}}"));
  expect(all).toHaveLength(2);
  expect(all.map(({ action }) => action.value)).toMatchObject([
    { clusterSpecifier: { value: to("web") }, retryPolicy: { numRetries: 2 }, timeout: { seconds: 0n } },
    { clusterSpecifier: { value: to("web") } },
  ]);
  expect(sent("{RetryOn: [5xx]}").to.retryPolicy).toMatchObject({ numRetries: 1, retryOn: "5xx" });
});

test("a splitter gives shares to the hundredth, with headers of their own", () => {
  const [route] = routes(
    "Kind: service-splitter\nName: web\nSplits: [{Weight: 99.99, Service: other, RequestHeaders: {Set: {x-s: a}}}, {Weight: 0.01, Service: backup}]",
  );
  expect(route?.action.value).toMatchObject({
    clusterSpecifier: {
      case: "weightedClusters",
      value: {
        clusters: [
          { name: to("other"), weight: { value: 999_900 } },
          { name: to("backup"), weight: { value: 100 } },
        ].map(({ name, weight }) => ({ name, weight: weight.value })),
      },
    },
  });
  expect(JSON.stringify(route?.metadata?.filterMetadata)).toContain('"rule":"splits"');
});

test("splits within splits are multiplied out, and both change headers", () => {
  const [route] = routes(`
Kind: service-splitter
Name: web
Splits: [{Weight: 50}, {Weight: 50, Service: other, RequestHeaders: {Set: {x-s: outer, x-o: "1"}}}]
---
Kind: service-splitter
Name: other
Splits: [{Weight: 20, RequestHeaders: {Set: {x-s: inner}}}, {Weight: 80, Service: backup}]
`);
  const action = route?.action.case === "route" ? route.action.value.clusterSpecifier : undefined;
  const parts = action?.case === "weightedClusters" ? action.value.clusters : [];
  expect(parts.map(({ name, weight }) => [name, weight])).toEqual([
    [to("web"), 500_000],
    [to("other"), 100_000],
    [to("backup"), 400_000],
  ]);
  expect(parts[1]?.requestHeadersToAdd.map(({ header }) => [header?.key, header?.value])).toEqual([
    ["x-o", "1"],
    ["x-s", "inner"],
  ]);
});

const SUBSETS = `
Kind: service-resolver
Name: web
DefaultSubset: v1
Subsets:
  v1: {Filter: "Service.Meta.version == v1"}
  v2: {Filter: "canary in Service.Tags"}
  healthy: {Filter: "canary in Service.Tags", OnlyPassing: true}
  all: {}
`;

test("a subset is what its filter selects, only what passes where it says so; one is the default", () => {
  expect(clustersOf(routes(SUBSETS))).toEqual([to("web", "v1")]);
  expect(addresses(SUBSETS, to("web", "v1"))).toEqual([["10.0.1.1"]]);
  expect(addresses(SUBSETS, to("web", "v2"))).toEqual([["10.0.1.2", "10.0.1.3"]]);
  expect(addresses(SUBSETS, to("web", "healthy"))).toEqual([["10.0.1.2"]]);
  expect(addresses(SUBSETS, to("web", "all"))).toEqual([["10.0.1.1", "10.0.1.2", "10.0.1.3"]]);
});

test("a redirect leads everything elsewhere, requests and bytes alike, of a name that nobody has registered too", () => {
  const yaml = "Kind: service-resolver\nName: web\nRedirect: {Service: other}\n";
  expect(clustersOf(routes(yaml))).toEqual([to("other")]);
  expect(clustersOf(routes(yaml, ONE_EACH.slice(3)))).toEqual([to("other")]);
  expect(listener(mesh(ONE_EACH.slice(3), yaml), CLIENT, "web:80").apiListener).toBeDefined();
  expect(
    translate(mesh(ONE_EACH.slice(0, 1), "").reader, CLIENT, LISTENER_TYPE, "nobody:80").resource,
  ).toBeUndefined();
  const bytes = ONE_EACH.map((one) => ({ ...one, protocol: "tcp" as const }));
  expect(tcpClustersOf(tcpProxy(mesh(bytes, yaml), CLIENT, "web:80")!)).toEqual([to("other")]);
});

test("a resolver's timeouts hold where the route says none", () => {
  const yaml = "Kind: service-resolver\nName: web\nConnectTimeout: 3s\nRequestTimeout: 4s\n";
  expect(routes(yaml)[0]?.action.value).toMatchObject({ timeout: { seconds: 4n } });
  expect(sent("{RequestTimeout: 7s}", yaml).to.timeout).toMatchObject({ seconds: 7n });
  expect(cluster(mesh(ONE_EACH, yaml), CLIENT, to("web")).connectTimeout).toMatchObject({ seconds: 3n });
});

const FAILOVER = `${SUBSETS}
Failover:
  v1: {Targets: [{ServiceSubset: v2}, {Service: backup}]}
  "*": {Service: other}
`;

function behind(name: string, yaml = FAILOVER) {
  const { clusterDiscoveryType } = cluster(mesh(ONE_EACH, yaml), CLIENT, name);
  const config =
    clusterDiscoveryType.case === "clusterType" ? clusterDiscoveryType.value.typedConfig : undefined;
  return config && anyUnpack(config, ClusterConfigSchema)?.clusters;
}

test("failover goes through its targets in their order; * is for the other subsets", () => {
  expect(clustersOf(routes(FAILOVER))).toEqual([to("web", "v1").replace("outbound", "failover")]);
  expect(behind(`failover|80|v1|${WEB}`)).toEqual([to("web", "v1"), to("web", "v2"), to("backup")]);
  expect(behind(`failover|80|v2|${WEB}`)).toEqual([to("web", "v2"), to("other")]);
});

test("of a service without instances the first takes over that has any", () => {
  expect(clustersOf(routes(FAILOVER, ONE_EACH.slice(4)))).toEqual([to("backup")]);
});

test.each([
  ["random", Cluster_LbPolicy.RANDOM],
  ["round_robin", Cluster_LbPolicy.ROUND_ROBIN],
  ["least_request", Cluster_LbPolicy.LEAST_REQUEST],
  ["maglev", Cluster_LbPolicy.MAGLEV],
  ["ring_hash", Cluster_LbPolicy.RING_HASH],
])("a resolver balances by %s", (policy, expected) => {
  const yaml = `Kind: service-resolver\nName: web\nLoadBalancer: {Policy: ${policy}}\n`;
  expect(cluster(mesh(ONE_EACH, yaml), CLIENT, to("web")).lbPolicy).toBe(expected);
});

test.each([
  ["{Field: header, FieldValue: x-user}", { case: "header", value: { headerName: "x-user" } }],
  ["{Field: query_parameter, FieldValue: u}", { case: "queryParameter", value: { name: "u" } }],
  ["{SourceIP: true}", { case: "connectionProperties", value: { sourceIp: true } }],
  [
    "{Field: cookie, FieldValue: c, CookieConfig: {TTL: 1h, Path: /}}",
    { case: "cookie", value: { name: "c", path: "/", ttl: { seconds: 3600n } } },
  ],
  [
    "{Field: cookie, FieldValue: c, CookieConfig: {Session: true}}",
    { case: "cookie", value: { name: "c", ttl: { seconds: 0n } } },
  ],
])("a resolver hashes %s", (policy, policySpecifier) => {
  const yaml = `Kind: service-resolver\nName: web\nLoadBalancer: {Policy: ring_hash, HashPolicies: [${policy}]}\n`;
  expect(routes(yaml)[0]?.action.value).toMatchObject({ hashPolicy: [{ policySpecifier }] });
});

test("a resolver's balancers have their own settings, and hash several things together", () => {
  const balanced = (settings: string) => `Kind: service-resolver\nName: web\nLoadBalancer: ${settings}\n`;
  const least = balanced("{Policy: least_request, LeastRequestConfig: {ChoiceCount: 3}}");
  expect(cluster(mesh(ONE_EACH, least), CLIENT, to("web")).lbConfig).toMatchObject({
    value: { choiceCount: 3 },
  });
  const ring = balanced(
    "{Policy: ring_hash, RingHashConfig: {MinimumRingSize: 64, MaximumRingSize: 128}, " +
      "HashPolicies: [{Field: header, FieldValue: x-user, Terminal: true}, {SourceIP: true}]}",
  );
  expect(cluster(mesh(ONE_EACH, ring), CLIENT, to("web")).lbConfig).toMatchObject({
    value: { minimumRingSize: 64n, maximumRingSize: 128n },
  });
  expect(routes(ring)[0]?.action.value).toMatchObject({
    hashPolicy: [
      { terminal: true, policySpecifier: { case: "header" } },
      { terminal: false, policySpecifier: { case: "connectionProperties" } },
    ],
  });
});

test("prioritizeByLocality prefers what is near, without anything that watches", () => {
  const at = (region: string) => ({ locality: { region, zone: "a", subzone: "" } });
  const instances = [
    on("web", { address: { host: "10.0.0.1", port: 80 }, ...at("far") }),
    on("web", { address: { host: "10.0.0.2", port: 80 }, ...at("near") }),
  ];
  const client = {
    ...CLIENT,
    labels: { "topology.kubernetes.io/region": "near", "topology.kubernetes.io/zone": "a" },
  };
  const priorities = (mode: string) =>
    assignment(
      mesh(instances, `Kind: service-resolver\nName: web\nPrioritizeByLocality: {Mode: ${mode}}\n`),
      client,
      to("web"),
    ).endpoints.map(({ locality, priority }) => `${locality?.region}=${priority}`);
  expect(priorities("failover").sort()).toEqual(["far=1", "near=0"]);
  expect(priorities("none").sort()).toEqual(["far=0", "near=0"]);
});

test("a protocol of service-defaults, else of proxy-defaults, holds where no instance declares one", () => {
  const undeclared = ONE_EACH.map((one) => ({ ...one, protocol: "auto" as const }));
  const carried = (yaml: string) => listener(mesh(undeclared, yaml), CLIENT, "web:80");
  expect(carried("").filterChains.length).toBeGreaterThan(0);
  expect(carried("Kind: service-defaults\nName: web\nProtocol: http\n").apiListener).toBeDefined();
  expect(carried("Kind: proxy-defaults\nName: global\nConfig: {protocol: grpc}\n").apiListener).toBeDefined();
  const tcp =
    "Kind: proxy-defaults\nName: global\nConfig: {protocol: http}\n---\nKind: service-defaults\nName: web\nProtocol: tcp\n";
  expect(tcpProxy(mesh(undeclared, tcp), CLIENT, "web:80")).toBeDefined();
});

test("a caller's service-defaults limit and watch its calls; an override holds setting by setting", () => {
  const yaml = `
Kind: service-defaults
Name: frontend
UpstreamConfig:
  Defaults: {ConnectTimeoutMs: 500, Limits: {MaxConnections: 9, MaxPendingRequests: 8, MaxConcurrentRequests: 7}}
  Overrides:
    - {Name: web, PassiveHealthCheck: {Interval: 5s, MaxFailures: 3, MaxEjectionPercent: 50, BaseEjectionTime: 1m}}
`;
  const frontend = {
    ...CLIENT,
    inbound: [{ service: "frontend", namespace: "default", servicePort: 80, appPort: 80 }],
  };
  const threshold = { maxConnections: 9, maxPendingRequests: 8, maxRequests: 7 };
  const web = cluster(mesh(ONE_EACH, yaml), frontend, to("web"));
  expect(web).toMatchObject({
    connectTimeout: { nanos: 500_000_000 },
    circuitBreakers: { thresholds: [threshold] },
    outlierDetection: {
      consecutive5xx: 3,
      interval: { seconds: 5n },
      maxEjectionPercent: 50,
      baseEjectionTime: { seconds: 60n },
    },
  });
  const other = cluster(mesh(ONE_EACH, yaml), frontend, to("other"));
  expect(other.circuitBreakers).toMatchObject({ thresholds: [threshold] });
  expect(other.outlierDetection?.enforcingConsecutive5xx).toBe(0);
  expect(cluster(mesh(ONE_EACH, yaml), CLIENT, to("web")).connectTimeout).toMatchObject({ seconds: 10n });
});

test("instances are limited: the first route that matches counts, what none matches the service's own rate", () => {
  const yaml = `
Kind: service-defaults
Name: web
RateLimits:
  InstanceLevel:
    RequestsPerSecond: 100
    RequestsMaxBurst: 150
    Routes:
      - {PathExact: /login, RequestsPerSecond: 5}
      - {PathPrefix: /log, RequestsPerSecond: 10, RequestsMaxBurst: 20}
`;
  const view = {
    ...CLIENT,
    inbound: [{ service: "web", namespace: "default", servicePort: 80, appPort: 8080 }],
  };
  const [limit] = rateLimitsOf(new Translation(mesh(ONE_EACH, yaml).reader, view), WEB, "INBOUND");
  expect(limit?.filter).toMatchObject({
    descriptors: [
      { tokenBucket: { maxTokens: 5, tokensPerFill: { value: 5 }, fillInterval: { seconds: 1n } } },
      { tokenBucket: { maxTokens: 20, tokensPerFill: { value: 10 } } },
      { tokenBucket: { maxTokens: 150, tokensPerFill: { value: 100 } } },
    ].map(({ tokenBucket }) => ({
      tokenBucket: { ...tokenBucket, tokensPerFill: tokenBucket.tokensPerFill.value },
    })),
  });
  const headers = (limit?.sources ?? []).map(({ actions: [action] }) =>
    action?.actionSpecifier.case === "headerValueMatch" ? action.actionSpecifier.value.headers : [],
  );
  expect(headers).toMatchObject([
    [{ headerMatchSpecifier: { value: { matchPattern: { value: { regex: "/login(?:\\?.*)?" } } } } }],
    [
      { headerMatchSpecifier: { value: { matchPattern: { case: "prefix", value: "/log" } } } },
      {
        invertMatch: true,
        headerMatchSpecifier: { value: { matchPattern: { value: { regex: "/login(?:\\?.*)?" } } } },
      },
    ],
    [
      {
        invertMatch: true,
        headerMatchSpecifier: { value: { matchPattern: { value: { regex: "/login(?:\\?.*)?|/log.*" } } } },
      },
    ],
  ]);
});

const VIRTUAL_SERVICE = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec: {hosts: [web], http: [{route: [{destination: {host: backup}}]}]}
`;
const DESTINATION_RULE = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec: {host: web, subsets: [{name: v1, labels: {version: v2}}]}
`;

test("a VirtualService and a DestinationRule hold instead of Consul's entries, which say so in their status", () => {
  const at = mesh(
    ONE_EACH,
    `${router("{Destination: {Service: other}}")}---${VIRTUAL_SERVICE}---${SUBSETS}---${DESTINATION_RULE}`,
  );
  expect(clustersOf(routesOf(at, CLIENT, `${WEB}:80`))).toEqual([to("backup")]);
  expect(assignment(at, CLIENT, to("web", "v1")).endpoints[0]?.lbEndpoints).toHaveLength(2);
  const said = analyze(at.reader, { live: true }).filter(({ code }) => code === "TUL0001");
  expect(said.map(({ object, message }) => `${object.kind}: ${message}`).join("\n")).toContain(
    `ServiceRouter: ServiceRouter default/web does not route calls to ${WEB}: VirtualService default/web is for the same host`,
  );
  expect(said.map(({ message }) => message).join("\n")).toContain(
    "ServiceResolver default/web: its subsets and how it balances have no effect: DestinationRule default/web",
  );
});

test.each([
  [
    "a subset that nobody declares",
    router("{Destination: {ServiceSubset: v9}}"),
    "spec.routes[0].destination",
    'service "web" does not have a subset named "v9"',
  ],
  [
    "a failover to a subset that nobody declares",
    "Kind: service-resolver\nName: web\nFailover: {'*': {Service: other, ServiceSubset: v9}}\n",
    'spec.failover["*"]',
    'service "other" does not have a subset named "v9"',
  ],
  [
    "redirects in a circle",
    "Kind: service-resolver\nName: web\nRedirect: {Service: other}\n---\nKind: service-resolver\nName: other\nRedirect: {Service: web}\n",
    "spec.redirect",
    "its redirects lead back to where they began",
  ],
  [
    "splits in a circle",
    "Kind: service-splitter\nName: web\nSplits: [{Weight: 100, Service: other}]\n---\nKind: service-splitter\nName: other\nSplits: [{Weight: 100, Service: web}]\n",
    "spec.splits",
    "its splits lead back to itself",
  ],
  [
    "a router of a service of bytes",
    `${router("{}")}---\nKind: service-defaults\nName: web\nProtocol: tcp\n`,
    "spec",
    'service "web" speaks tcp',
  ],
])("%s is a problem, and never one for the rest", (_what, yaml, path, message) => {
  const instances = ONE_EACH.map((one) => ({ ...one, protocol: "auto" as const }));
  const at = mesh(instances, yaml);
  expect(chainProblems(at.reader)).toContainEqual(
    expect.objectContaining({ path, message: expect.stringContaining(message) as string }),
  );
  expect(analyze(at.reader, { live: true }).map(({ code }) => code)).toContain("TUL0010");
  expect(made(at, CLIENT, LISTENER_TYPE, "web:80").resource).toBeDefined();
  expect(made(at, CLIENT, ROUTE_TYPE, `${WEB}:80`).resource).toBeDefined();
});

test("analysis tells what is wrong now, by a reader that read something else before", () => {
  const broken = mesh(ONE_EACH, router("{Destination: {ServiceSubset: v9}}")).reader;
  const whole = mesh(ONE_EACH, router("{}")).reader;
  let now = whole;
  const reader = { ...whole, objects: (group: string, kind: string) => now.objects(group, kind) };
  const codes = () => analyze(reader, { live: true }).map(({ code }) => code);
  expect(codes()).toEqual([]);
  now = broken;
  expect(codes()).toContain("TUL0010");
});

test("splits that multiply without end are cut", () => {
  const names = Array.from({ length: 10 }, (_, index) => `s${index}`);
  const yaml = names
    .map((name, index) => {
      const splits = Array.from(
        { length: 20 },
        (_x, at) => `{Weight: 5, Service: ${at < 10 ? (names[(index + at) % 10] ?? "") : `x${at}`}}`,
      );
      return `Kind: service-splitter\nName: ${name}\nSplits: [${splits.join(",")}]\n`;
    })
    .join("---\n");
  const [route] = routes(yaml, [on("s0")], "s0.default.svc.cluster.local");
  const action = route?.action.case === "route" ? route.action.value.clusterSpecifier : undefined;
  const parts = action?.case === "weightedClusters" ? action.value.clusters : [];
  expect(parts.length).toBeGreaterThan(50);
  expect(parts.length).toBeLessThan(3000);
});

test("analysis tells of every field that is not carried out, and of services that are not there", () => {
  const yaml = `
Kind: service-defaults
Name: web
Protocol: http
MaxInboundConnections: 5
Expose: {Checks: true}
---
Kind: proxy-defaults
Name: global
Config: {protocol: http, local_connect_timeout_ms: 5}
---
Kind: service-resolver
Name: web
Redirect: {Service: nobody}
`;
  const found = analyze(mesh(ONE_EACH, yaml).reader, { live: true });
  expect(found.map(({ code, path }) => `${code} ${path}`).sort()).toEqual([
    "IST0101 spec",
    "TUL0001 spec.config.local_connect_timeout_ms",
    "TUL0001 spec.expose",
    "TUL0001 spec.maxInboundConnections",
  ]);
});

test("the effective policy names the resolver and counts its subsets", () => {
  const { traffic } = describePolicy(mesh(ONE_EACH, SUBSETS).reader, "web", {
    namespace: "default",
    labels: {},
  });
  expect(traffic?.owners).toEqual(["ServiceResolver default/web"]);
  expect(traffic?.subsets.map(({ name, owner, instances }) => [name, owner, instances])).toEqual([
    ["v1", "ServiceResolver default/web", 1],
    ["v2", "ServiceResolver default/web", 2],
    ["healthy", "ServiceResolver default/web", 1],
    ["all", "ServiceResolver default/web", 3],
  ]);
});

test("the effective policy tells the rules of a chain", () => {
  const yaml = router("{Match: {HTTP: {PathPrefix: /a}}, Destination: {Service: other, RequestTimeout: 3s}}");
  const { routes: told } = describePolicy(mesh(ONE_EACH, yaml).reader, "web", {
    namespace: "default",
    labels: {},
  });
  expect(told?.owner).toBe("ServiceRouter default/web");
  expect(told?.rules.map(({ field, when }) => [field, when.length])).toEqual([
    ["routes[0]", 1],
    ["routes", 0],
  ]);
  expect(JSON.stringify(told?.rules)).toContain("other.default.svc.cluster.local");
});

test("the clusters of a chain name the entries that shaped them", () => {
  const at = mesh(ONE_EACH, FAILOVER);
  for (const [type, name] of [
    [CLUSTER_TYPE, to("web", "v1")],
    [ENDPOINT_TYPE, to("web", "v1")],
    [CLUSTER_TYPE, `failover|80|v1|${WEB}`],
  ] as const) {
    expect(made(at, CLIENT, type, name).owners).toContain("ServiceResolver/default/web");
  }
});
