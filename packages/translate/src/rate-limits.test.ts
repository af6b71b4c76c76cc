import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack, type Any } from "@bufbuild/protobuf/wkt";
import { LISTENER_TYPE, ROUTE_TYPE } from "@tulle/xds";
import { RouteConfigurationSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_pb.js";
import { LocalRateLimitSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.js";
import { RateLimitSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/ratelimit/v3/rate_limit_pb.js";
import { expect, test } from "vitest";
import { apiManager, CLIENT, instance, made, mesh } from "../testdata/mesh.js";

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
