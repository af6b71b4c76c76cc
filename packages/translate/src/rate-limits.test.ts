import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack, type Any } from "@bufbuild/protobuf/wkt";
import { LISTENER_TYPE, ROUTE_TYPE } from "@tulle/xds";
import { RouteConfigurationSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_pb.js";
import { LocalRateLimitSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.js";
import { HttpConnectionManagerSchema } from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import type { VirtualHost } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import {
  SourceIdentitySchema,
  type SourceIdentity,
} from "@tulle/xds/gen/tulle/ratelimit/v1/source_identity_pb.js";
import { RateLimitSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/ratelimit/v3/rate_limit_pb.js";
import { expect, test } from "vitest";
import { apiManager, CLIENT, instance, listener, made, mesh } from "../testdata/mesh.js";

const REVIEWS = [instance({ service: "reviews", servicePort: 9080 })];
const HOST = "reviews.default.svc.cluster.local";

function limit(spec: string): string {
  return `
apiVersion: tulle.dev/v1
kind: RateLimit
metadata: {name: few}
spec: {host: reviews, direction: OUTBOUND, ${spec}}
`;
}

/** The filters for limits, and the hosts, of the first chain of an instance of `reviews` that listens at 8080. */
function inbound(yaml: string, labels: Readonly<Record<string, string>> = {}) {
  const port = { service: "reviews", namespace: "default", servicePort: 9080, appPort: 8080 };
  const view = { ...CLIENT, labels, inbound: [port] };
  const at = mesh([instance({ service: "reviews", servicePort: 9080 })], yaml);
  const config = listener(at, view, "virtualInbound").filterChains[0]?.filters[0]?.configType;
  const manager =
    config?.case === "typedConfig" ? anyUnpack(config.value, HttpConnectionManagerSchema) : undefined;
  if (manager?.routeSpecifier.case !== "routeConfig") throw new Error("the chain has no routes of its own");
  const filters = manager.httpFilters.filter(({ name }) => name.startsWith("tulle.rate_limit."));
  const { warnings } = made(at, view, LISTENER_TYPE, "virtualInbound");
  return {
    hosts: manager.routeSpecifier.value.virtualHosts,
    names: filters.map(({ name }) => name),
    limits: filters.map(({ configType }) => anyUnpack(configType.value as Any, LocalRateLimitSchema)!),
    warnings,
  };
}

/** What a host's sources say of identities. */
function identitiesOf({ rateLimits }: VirtualHost): (SourceIdentity | undefined)[] {
  return rateLimits.flatMap(({ actions }) =>
    actions.flatMap(({ actionSpecifier: action }) =>
      action.case === "extension" ? [anyUnpack(action.value.typedConfig!, SourceIdentitySchema)] : [],
    ),
  );
}

test("a service may be named with its namespace, in any case", () => {
  for (const host of ["reviews.default", "Reviews", "reviews.default.svc"]) {
    const yaml = `apiVersion: tulle.dev/v1
kind: RateLimit
metadata: {name: a}
spec: {host: ${host}, direction: OUTBOUND, limits: [{requests: 1, interval: 1s}]}`;
    const [first] = apiManager(mesh(REVIEWS, yaml), CLIENT, "reviews:9080").httpFilters;
    expect([host, first?.name]).toEqual([host, "tulle.rate_limit.default.a"]);
  }
});

test("a limit of callers is a filter of the chain, configured by the service's virtual host", () => {
  const shop = mesh(REVIEWS, limit("limits: [{requests: 2, interval: 1s, burst: 5}]"));
  expect(apiManager(shop, CLIENT, "reviews:9080").httpFilters.map(({ name }) => name)[0]).toBe(
    "tulle.rate_limit.default.few",
  );
  const { resource, owners } = made(shop, CLIENT, ROUTE_TYPE, `${HOST}:9080`);
  expect(owners).toContain("RateLimit/default/few");
  const [host] = fromBinary(RouteConfigurationSchema, resource.bytes).virtualHosts;
  expect(host?.rateLimits).toMatchObject([
    { actions: [{ actionSpecifier: { case: "genericKey", value: { descriptorValue: "default/few/0" } } }] },
  ]);
  const config = anyUnpack(host!.typedPerFilterConfig["tulle.rate_limit.default.few"]!, LocalRateLimitSchema);
  expect(config).toMatchObject({
    statPrefix: "default/few",
    status: { code: 429 },
    rateLimitedAsResourceExhausted: true,
    enableXRatelimitHeaders: 1,
    descriptors: [
      {
        entries: [{ key: "generic_key", value: "default/few/0" }],
        tokenBucket: { maxTokens: 5, tokensPerFill: 2, fillInterval: { seconds: 1n } },
      },
    ],
  });
});

test("conditions on the path look past the query, and keys have no value", () => {
  const rule =
    "{match: {uri: {exact: /a.b}, method: {exact: POST}}, requests: 1, interval: 1s, perHeader: X-User}";
  const { resource } = made(mesh(REVIEWS, limit(`limits: [${rule}]`)), CLIENT, ROUTE_TYPE, `${HOST}:9080`);
  const [host] = fromBinary(RouteConfigurationSchema, resource.bytes).virtualHosts;
  expect(host?.rateLimits[0]?.actions).toMatchObject([
    {
      actionSpecifier: {
        case: "headerValueMatch",
        value: {
          headers: [
            { name: ":method" },
            {
              name: ":path",
              headerMatchSpecifier: {
                value: { matchPattern: { case: "safeRegex", value: { regex: "/a\\.b(?:\\?.*)?" } } },
              },
            },
          ],
        },
      },
    },
    { actionSpecifier: { case: "requestHeaders", value: { headerName: "x-user", descriptorKey: "header" } } },
  ]);
});

test("callers with numbers of their own have buckets of their own, and are not counted with the others", () => {
  const rule =
    "{requests: 10, interval: 1s, per: SOURCE, countsUnidentified: true, overrides: [{serviceAccounts: [web, shop/batch], requests: 50, burst: 60}]}";
  const { limits, hosts } = inbound(limit(`limits: [${rule}]`).replace("direction: OUTBOUND, ", ""));
  const identity = { key: "source_identity", value: "" };
  expect(limits[0]?.descriptors).toMatchObject([
    { entries: [{ value: "default/few/0" }, identity], tokenBucket: { maxTokens: 10, tokensPerFill: 10 } },
    {
      entries: [{ value: "default/few/0/0" }, identity],
      tokenBucket: { maxTokens: 60, tokensPerFill: 50, fillInterval: { seconds: 1n } },
    },
  ]);
  const ids = ["spiffe://cluster.local/ns/default/sa/web", "spiffe://cluster.local/ns/shop/sa/batch"];
  expect(identitiesOf(hosts[0]!)).toMatchObject([
    { except: ids, unidentified: "unidentified" },
    { only: ids },
  ]);
});

const server = (port: number | string, labels = "") => `
---
apiVersion: policy.linkerd.io/v1beta3
kind: Server
metadata: {name: web-http}
spec: {podSelector: {matchLabels: {${labels}}}, port: ${port}, accessPolicy: all-unauthenticated}
`;
const ofServer = (spec: string, name = "few", created = "2026-01-01T00:00:00Z") => `
---
apiVersion: policy.linkerd.io/v1alpha1
kind: HTTPLocalRateLimitPolicy
metadata: {name: ${name}, creationTimestamp: "${created}"}
spec: {targetRef: {group: policy.linkerd.io, kind: Server, name: web-http}, ${spec}}
`;

test("Linkerd's policy limits all clients together, each of them, and some by numbers of their own", () => {
  const spec =
    "total: {requestsPerSecond: 100}, identity: {requestsPerSecond: 20}, overrides: [{requestsPerSecond: 25, clientRefs: [{kind: ServiceAccount, name: special, namespace: shop}]}]";
  const { names, limits, hosts } = inbound(server(8080) + ofServer(spec));
  expect(names).toEqual(["tulle.rate_limit.default.few.http-local-rate-limit-policy"]);
  const buckets = limits[0]?.descriptors.map(({ entries, tokenBucket }) => [
    entries.length,
    tokenBucket?.maxTokens,
    tokenBucket?.tokensPerFill,
  ]);
  expect(buckets).toEqual([
    [1, 100, 100],
    [2, 20, 20],
    [2, 25, 25],
  ]);
  const special = ["spiffe://cluster.local/ns/shop/sa/special"];
  expect(identitiesOf(hosts[0]!)).toMatchObject([
    { except: special, unidentified: "unidentified" },
    { only: special },
  ]);
});

test.each<[string, string, boolean]>([
  ["the application's port", server(8080), true],
  ["the service's port", server(9080), true],
  ["the port by name", server("http-9080"), true],
  ["another port", server(8081), false],
  ["another port's name", server("admin"), false],
  ["workloads with its labels", server(8080, "app: web"), true],
  ["other workloads", server(8080, "app: batch"), false],
  ["no Server", "", false],
])("a Server is about %s", (_name, yaml, holds) => {
  const { names } = inbound(yaml + ofServer("total: {requestsPerSecond: 1}"), { app: "web" });
  expect(names.length === 1).toBe(holds);
});

test("of two policies for a Server the older one holds, and the other is warned of", () => {
  const both =
    ofServer("total: {requestsPerSecond: 1}", "young", "2026-02-01T00:00:00Z") +
    ofServer("total: {requestsPerSecond: 2}", "old");
  const { names, warnings } = inbound(server(8080) + both);
  expect(names).toEqual(["tulle.rate_limit.default.old.http-local-rate-limit-policy"]);
  expect(warnings).toEqual([expect.stringContaining("default/young has no effect: old is older")]);
});

test.each([
  ["another service's", "host: ratings"],
  ["other workloads'", "selector: {matchLabels: {app: nobody}}"],
  ["instances'", "direction: INBOUND"],
])("a client does not carry out %s limits", (_name, field) => {
  const yaml = `
apiVersion: tulle.dev/v1
kind: RateLimit
metadata: {name: few}
spec: {${["host: reviews", "direction: OUTBOUND"].filter((each) => !field.startsWith(each.split(":")[0]!)).join(", ")}, ${field}, limits: [{requests: 1, interval: 1s}]}
`;
  const filters = apiManager(mesh(REVIEWS, yaml), CLIENT, "reviews:9080").httpFilters;
  expect(filters.map(({ name }) => name).filter((name) => name.includes("rate_limit"))).toEqual([]);
});

test("a condition that cannot be translated leaves its limit out, and says so", () => {
  const shop = mesh(REVIEWS, limit('limits: [{match: {uri: {regex: "(?=a)"}}, requests: 1, interval: 1s}]'));
  const { warnings } = made(shop, CLIENT, ROUTE_TYPE, `${HOST}:9080`);
  expect(warnings.join("\n")).toContain("RateLimit default/few limits[0]: ");
});

test("a listener of the service's limits depends on them", () => {
  expect(made(mesh(REVIEWS), CLIENT, LISTENER_TYPE, "reviews:9080").dependencies).toContain(
    "objects:tulle.dev/RateLimit",
  );
});

test("a limit that a service counts is a filter that asks it, and is told no other limit's descriptors", () => {
  const global = (name: string, entries: string) => `
---
apiVersion: tulle.dev/v1
kind: RateLimit
metadata: {name: ${name}, namespace: default}
spec:
  host: reviews
  direction: OUTBOUND
  global:
    service: reviews
    port: 9080
    domain: ${name}
    failClosed: true
    descriptors: [${entries}]
`;
  const shop = mesh(
    REVIEWS,
    global(
      "a",
      "{match: {uri: {exact: /x}}, entries: [{key: user, header: X-User}, {key: plan, value: free}]}",
    ) + global("b", "{entries: [{key: all, value: '1'}]}"),
  );
  const filters = apiManager(shop, CLIENT, "reviews:9080").httpFilters;
  expect(filters.slice(0, 2).map(({ name }) => name)).toEqual([
    "tulle.rate_limit.default.a",
    "tulle.rate_limit.default.b",
  ]);
  const config = anyUnpack(filters[0]!.configType.value as Any, RateLimitSchema);
  expect(config).toMatchObject({
    domain: "a",
    stage: 1,
    failureModeDeny: true,
    rateLimitedStatus: { code: 429 },
    timeout: { nanos: 20_000_000 },
    rateLimitService: {
      grpcService: {
        targetSpecifier: { value: { clusterName: `outbound|9080||${HOST}`, authority: `${HOST}:9080` } },
      },
    },
  });
  const { resource } = made(shop, CLIENT, ROUTE_TYPE, `${HOST}:9080`);
  const [host] = fromBinary(RouteConfigurationSchema, resource.bytes).virtualHosts;
  expect(host!.typedPerFilterConfig).toEqual({});
  expect(host!.rateLimits).toMatchObject([
    {
      stage: 1,
      actions: [
        {
          actionSpecifier: { case: "requestHeaders", value: { headerName: "x-user", descriptorKey: "user" } },
        },
        {
          actionSpecifier: {
            case: "headerValueMatch",
            value: { descriptorKey: "plan", descriptorValue: "free", headers: [{ name: ":path" }] },
          },
        },
      ],
    },
    { stage: 2, actions: [{ actionSpecifier: { case: "genericKey", value: { descriptorKey: "all" } } }] },
  ]);
});

test("a limit may go by a runtime key, over what shadow says", () => {
  const enforced = (more: string) => {
    const spec = `selector: {matchLabels: {}}, limits: [{requests: 1, interval: 1s}]${more}`;
    const yaml = `apiVersion: tulle.dev/v1\nkind: RateLimit\nmetadata: {name: few}\nspec: {${spec}}\n`;
    return inbound(yaml).limits[0]?.filterEnforced;
  };
  expect(enforced(", runtimeKey: limited")).toMatchObject({
    defaultValue: { numerator: 1_000_000 },
    runtimeKey: "limited",
  });
  expect(enforced(", runtimeKey: limited, shadow: true")).toMatchObject({
    defaultValue: { numerator: 0 },
    runtimeKey: "limited",
  });
  expect(enforced("")).toMatchObject({ runtimeKey: "" });
});
