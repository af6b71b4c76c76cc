import { expect, test } from "vitest";
import type { Kind } from "../kind.js";
import { parseObjects } from "../parse.js";
import { proxyDefaultsKind, serviceDefaultsKind } from "./defaults.js";
import { configEntryPath, readConfigEntry, writeConfigEntry } from "./entry.js";
import { serviceResolverKind } from "./service-resolver.js";
import { serviceRouterKind } from "./service-router.js";
import { serviceSplitterKind } from "./service-splitter.js";

const ROUTER = {
  routes: [
    {
      match: {
        http: {
          pathPrefix: "/admin",
          caseInsensitive: true,
          methods: ["GET", "POST"],
          header: [
            { name: "x-debug", present: true },
            { name: "x-debug", exact: "no", invert: true },
            { name: "x-a", suffix: "z", ignoreCase: true },
          ],
          queryParam: [{ name: "page", regex: "[0-9]+" }],
        },
      },
      destination: {
        service: "admin",
        serviceSubset: "v2",
        namespace: "default",
        partition: "default",
        prefixRewrite: "/",
        requestTimeout: "15s",
        idleTimeout: "1m",
        numRetries: 3,
        retryOnConnectFailure: true,
        retryOn: ["5xx", "reset"],
        retryOnStatusCodes: [503],
        requestHeaders: { add: { "x-a": "1" }, set: { "x-b": "2" }, remove: ["x-c"] },
        responseHeaders: { set: { "x-d": "4" } },
      },
    },
    { match: { http: { pathExact: "/" } } },
    {},
  ],
  meta: { owner: "shop" },
};
const SPLITTER = {
  splits: [
    { weight: 99.99, serviceSubset: "v1", requestHeaders: { set: { "x-split": "v1" } } },
    { weight: 0.01, service: "web2", namespace: "other", responseHeaders: { remove: ["x-b"] } },
  ],
};
const RESOLVER = {
  connectTimeout: "3s",
  requestTimeout: "9s",
  defaultSubset: "v1",
  subsets: { v1: { filter: "Service.Meta.version == v1" }, v2: { onlyPassing: true }, all: {} },
  failover: {
    "*": { targets: [{ service: "web2" }, { serviceSubset: "v2" }], policy: { mode: "sequential" } },
    v1: { service: "backup", datacenters: [] },
  },
  prioritizeByLocality: { mode: "failover" },
  loadBalancer: {
    policy: "ring_hash",
    ringHashConfig: { minimumRingSize: 64 },
    hashPolicies: [
      { field: "cookie", fieldValue: "user", cookieConfig: { ttl: "1h", path: "/" }, terminal: true },
      { sourceIP: true },
    ],
  },
};
const DEFAULTS = {
  protocol: "http2",
  upstreamConfig: {
    defaults: {
      connectTimeoutMs: 500,
      limits: { maxConnections: 10, maxPendingRequests: 1, maxConcurrentRequests: 2 },
    },
    overrides: [
      { name: "db", passiveHealthCheck: { interval: "5s", maxFailures: 3, enforcingConsecutive5xx: 100 } },
    ],
  },
  rateLimits: {
    instanceLevel: {
      requestsPerSecond: 100,
      requestsMaxBurst: 150,
      routes: [
        { pathExact: "/login", requestsPerSecond: 5 },
        { pathRegex: "/x.*", requestsPerSecond: 5, requestsMaxBurst: 10 },
      ],
    },
  },
  maxInboundConnections: 5,
};

test.each<[Kind, object]>([
  [serviceRouterKind, ROUTER],
  [serviceRouterKind, {}],
  [serviceSplitterKind, SPLITTER],
  [serviceResolverKind, RESOLVER],
  [serviceResolverKind, { redirect: { service: "other", serviceSubset: "v9" } }],
  [serviceDefaultsKind, DEFAULTS],
  [proxyDefaultsKind, { config: { protocol: "http", local_connect_timeout_ms: 5 } }],
])("check accepts every documented field of $kind", (kind, spec) => {
  expect(kind.check({ spec })).toEqual({ ok: true, spec, warnings: [] });
});

const router = (route: object) => ({ routes: [route] });
const match = (http: object) => router({ match: { http } });

test.each<[string, Kind, object, readonly string[]]>([
  [
    "two paths",
    serviceRouterKind,
    match({ pathExact: "/a", pathPrefix: "/b" }),
    ["cannot have pathExact and pathPrefix"],
  ],
  [
    "a relative path",
    serviceRouterKind,
    match({ pathExact: "a" }),
    ["spec.routes[0].match.http.pathExact: expected a path"],
  ],
  [
    "a header without comparison",
    serviceRouterKind,
    match({ header: [{ name: "a" }] }),
    ["must have exactly one of present"],
  ],
  [
    "two conditions of one kind on a header",
    serviceRouterKind,
    match({
      header: [
        { name: "a", exact: "b" },
        { name: "A", prefix: "c" },
      ],
    }),
    ["spec.routes[0].match.http.header[1].name: repeats a condition on A"],
  ],
  [
    "a rewrite of nothing",
    serviceRouterKind,
    router({ destination: { prefixRewrite: "/" } }),
    ["spec.routes[0].destination.prefixRewrite: needs a pathExact or pathPrefix"],
  ],
  [
    "an unknown condition",
    serviceRouterKind,
    router({ destination: { retryOn: ["sometimes"] } }),
    ['a condition such as "5xx"'],
  ],
  [
    "another partition",
    serviceRouterKind,
    router({ destination: { partition: "west" } }),
    ["no other admin partitions"],
  ],
  [
    "another datacenter's",
    serviceRouterKind,
    router({ destination: { datacenter: "dc2" } }),
    ["destination.datacenter"],
  ],
  [
    "99 percent",
    serviceSplitterKind,
    { splits: [{ weight: 99 }] },
    ["spec.splits: the sum of all weights must be 100, not 99"],
  ],
  [
    "three decimals",
    serviceSplitterKind,
    { splits: [{ weight: 99.995, service: "a" }, { weight: 0.005 }] },
    [
      "spec.splits[0].weight: has more than two decimals",
      "spec.splits[1].weight: has more than two decimals",
      "must be 100, not 100.01",
    ],
  ],
  [
    "a destination twice",
    serviceSplitterKind,
    { splits: [{ weight: 50 }, { weight: 50 }] },
    ["spec.splits[1]: repeats the destination"],
  ],
  [
    "a bad filter",
    serviceResolverKind,
    { subsets: { v1: { filter: "Service.Meta.v =" } } },
    ["spec.subsets.v1.filter: the filter has an unexpected"],
  ],
  [
    "an unknown default",
    serviceResolverKind,
    { defaultSubset: "v1" },
    ['spec.defaultSubset: "v1" is not among the subsets'],
  ],
  [
    "failover of an unknown subset",
    serviceResolverKind,
    { failover: { v1: { service: "a" } } },
    ['"v1" is neither "*" nor among'],
  ],
  [
    "failover to nobody",
    serviceResolverKind,
    { failover: { "*": {} } },
    ["must have at least one of service"],
  ],
  [
    "failover to other datacenters",
    serviceResolverKind,
    { failover: { "*": { service: "a", datacenters: ["dc2"] } } },
    ["one datacenter"],
  ],
  [
    "a redirect to a peer",
    serviceResolverKind,
    { redirect: { service: "a", peer: "east" } },
    ["spec.redirect.peer: expected nothing"],
  ],
  [
    "a redirect beside a failover",
    serviceResolverKind,
    { redirect: { service: "a" }, failover: { "*": { service: "b" } } },
    ["spec.failover: cannot stand together with redirect"],
  ],
  [
    "hashing without a hash",
    serviceResolverKind,
    { loadBalancer: { policy: "random", hashPolicies: [{ sourceIP: true }] } },
    ["is for the policies ring_hash and maglev"],
  ],
  [
    "limits of nothing",
    serviceDefaultsKind,
    {
      rateLimits: {
        instanceLevel: { requestsMaxBurst: 9, routes: [{ pathExact: "/a" }, { requestsPerSecond: 1 }] },
      },
    },
    [
      "routes[0].requestsPerSecond: is required",
      "routes[1]: must have exactly one of pathExact",
      "instanceLevel.requestsMaxBurst: has no effect without requestsPerSecond",
    ],
  ],
  ["an unknown protocol", serviceDefaultsKind, { protocol: "smtp" }, ["spec.protocol"]],
  ["an unknown field", serviceDefaultsKind, { protocoll: "http" }, ["did you mean protocol"]],
  [
    "an unknown default protocol",
    proxyDefaultsKind,
    { config: { protocol: "smtp" } },
    ["spec.config.protocol: expected one of"],
  ],
])("check refuses %s", (_what, kind, spec, expected) => {
  const checked = kind.check({ spec });
  const found = checked.ok ? [] : checked.violations.map(({ path, message }) => `${path}: ${message}`);
  expect(found).toHaveLength(expected.length);
  for (const [index, message] of expected.entries()) expect(found[index]).toContain(message);
});

test.each([
  {
    Kind: "service-resolver",
    Name: "web",
    ConnectTimeout: 15e9,
    DefaultSubset: "",
    Subsets: { V1: { Filter: "x", OnlyPassing: true } },
    LoadBalancer: { HashPolicies: [{ SourceIP: true, CookieConfig: null }] },
    Failover: { "*": { Targets: [{ ServiceSubset: "V1" }], Datacenters: [] } },
    Meta: { Some_Key: "x" },
  },
  {
    kind: "service-resolver",
    name: "web",
    connect_timeout: "15000ms",
    subsets: { V1: { filter: "x", only_passing: true } },
    load_balancer: { hash_policies: [{ source_ip: true }] },
    failover: { "*": { targets: [{ service_subset: "V1" }] } },
    meta: { Some_Key: "x" },
  },
])("entries are read in CamelCase and in snake_case", (body) => {
  expect(readConfigEntry(body)).toEqual({
    kind: "service-resolver",
    name: "web",
    namespace: undefined,
    spec: {
      connectTimeout: "15000ms",
      subsets: { V1: { filter: "x", onlyPassing: true } },
      loadBalancer: { hashPolicies: [{ sourceIP: true }] },
      failover: { "*": { targets: [{ serviceSubset: "V1" }] } },
      meta: { Some_Key: "x" },
    },
  });
});

test("what is written out reads back as what it was", () => {
  const metadata = {
    name: "web",
    namespace: "shop",
    uid: "",
    resourceVersion: "17",
    generation: 1,
    creationTimestamp: "",
  };
  for (const [kind, spec] of [
    ["ServiceRouter", ROUTER],
    ["ServiceResolver", { ...RESOLVER, failover: { "*": RESOLVER.failover["*"] } }],
    ["ServiceDefaults", DEFAULTS],
  ] as const) {
    const entry = writeConfigEntry({ apiVersion: "", kind, metadata, spec });
    expect(entry).toMatchObject({ Name: "web", Namespace: "shop", ModifyIndex: 17 });
    expect(readConfigEntry(entry).spec).toEqual(spec);
  }
  const entry = writeConfigEntry({ apiVersion: "", kind: "ServiceRouter", metadata, spec: ROUTER });
  expect(entry["Routes"]).toMatchObject([
    { Match: { HTTP: { PathPrefix: "/admin", Header: [{ Name: "x-debug", Present: true }, {}, {}] } } },
    {},
    {},
  ]);
});

test("paths are told in Consul's words", () => {
  expect(configEntryPath("spec.routes[0].match.http.pathExact")).toBe("Routes[0].Match.HTTP.PathExact");
  expect(configEntryPath("spec")).toBe("");
});

test.each([
  ["Kind: service-splitter\nName: web\nSplits:\n- Weight: 50\n- Weight: 50\n  ServiceSubset: 7\n", 6],
  ["kind: service-splitter\nname: web\nsplits:\n- weight: 50\n- weight: 50\n  service_subset: 7\n", 6],
])("what is wrong is found in its line", (text, line) => {
  const [source] = parseObjects(text, "a.yaml").objects;
  expect(source?.at("spec.splits[1].serviceSubset").line).toBe(line);
});

test("files hold entries in Consul's own form or as custom resources", () => {
  const text = `
Kind: service-splitter
Name: web
Splits: [{Weight: 100, ServiceSubset: v1}]
---
apiVersion: consul.hashicorp.com/v1alpha1
kind: ServiceSplitter
metadata: {name: web}
spec: {splits: [{weight: 100, serviceSubset: v1}]}
`;
  const { objects, problems } = parseObjects(text, "a.yaml");
  expect(problems).toEqual([]);
  expect(objects[0]?.object).toEqual(objects[1]?.object);
  expect(objects.map(({ kind, object }) => kind.check(object).ok)).toEqual([true, true]);
});
