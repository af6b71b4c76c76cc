import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { CLUSTER_TYPE, LISTENER_TYPE, ROUTE_TYPE } from "@tulle/xds";
import {
  Cluster_LbPolicy,
  type LoadBalancingPolicy,
} from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { RouteConfigurationSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_pb.js";
import { AdaptiveConcurrencySchema } from "@tulle/xds/gen/envoy/extensions/filters/http/adaptive_concurrency/v3/adaptive_concurrency_pb.js";
import { AdmissionControlSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/admission_control/v3/admission_control_pb.js";
import { ClusterConfigSchema } from "@tulle/xds/gen/envoy/extensions/clusters/aggregate/v3/cluster_pb.js";
import { ClientSideWeightedRoundRobinSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/client_side_weighted_round_robin/v3/client_side_weighted_round_robin_pb.js";
import { OverrideHostSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/override_host/v3/override_host_pb.js";
import { RandomSubsettingSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/random_subsetting/v3/random_subsetting_pb.js";
import { HttpConnectionManagerSchema } from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { RoutingPriority } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import { expect, test } from "vitest";
import {
  apiManager,
  CLIENT,
  cluster,
  GRPC_CLIENT,
  instance,
  listener,
  made,
  mesh,
  routesOf,
} from "../testdata/mesh.js";
import type { ClientView } from "./contract.js";
import { INBOUND_LISTENER } from "./names.js";

const REVIEWS = [instance({ service: "reviews", servicePort: 9080 })];
const HOST = "reviews.default.svc.cluster.local";

function policy(name: string, spec: string, namespace = "default"): string {
  return `
---
apiVersion: tulle.dev/v1
kind: TrafficPolicy
metadata: {name: ${name}, namespace: ${namespace}}
spec: {${spec}}
`;
}

function routes(yaml: string, view: ClientView = CLIENT) {
  const { resource, owners, warnings } = made(mesh(REVIEWS, yaml), view, ROUTE_TYPE, `${HOST}:9080`);
  const [host] = fromBinary(RouteConfigurationSchema, resource.bytes).virtualHosts;
  return { host: host!, owners, warnings };
}

const marks = (yaml: string, view = CLIENT) =>
  routes(yaml, view).host.routes.map(({ metadata }) => metadata?.filterMetadata["tulle.dev"]);

const RULES = (annotations: string) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, annotations: {${annotations}}}
spec: {hosts: [reviews], http: [{route: [{destination: {host: reviews}}]}]}
`;

test("hedging and retries are marks of every route, and an annotation comes first", () => {
  const both = policy("a", "host: reviews, hedging: {after: 50ms, max: 2}, retries: {nonIdempotent: true}");
  expect(marks(both)).toEqual([
    expect.objectContaining({ hedge: { afterMs: 50, max: 2 }, retryNonIdempotent: true }),
  ]);
  expect(marks(RULES("") + both)).toMatchObject([{ hedge: { afterMs: 50, max: 2 } }]);
  expect(marks(RULES('tulle.dev/hedge-after: "9ms"') + both)).toMatchObject([
    { hedge: { afterMs: 9, max: 1 } },
  ]);
  expect(routes(both).owners).toContain("TrafficPolicy/default/a");
});

test("admission control is off in the chain and configured by the service's virtual host", () => {
  const yaml = policy(
    "a",
    'host: reviews, admissionControl: {window: 10s, successRate: 90, httpSuccesses: [200, "300-399"], grpcSuccesses: [OK, NOT_FOUND]}',
  );
  const { httpFilters } = apiManager(mesh(REVIEWS, yaml), CLIENT, "reviews:9080");
  const filter = httpFilters.find(({ name }) => name === "envoy.filters.http.admission_control");
  expect(
    filter?.configType.case === "typedConfig" && anyUnpack(filter.configType.value, AdmissionControlSchema),
  ).toMatchObject({ enabled: { defaultValue: false } });
  const any = routes(yaml).host.typedPerFilterConfig["envoy.filters.http.admission_control"]!;
  expect(anyUnpack(any, AdmissionControlSchema)).toMatchObject({
    samplingWindow: { seconds: 10n },
    srThreshold: { defaultValue: { value: 90 } },
    evaluationCriteria: {
      value: {
        httpCriteria: {
          httpSuccessStatus: [
            { start: 200, end: 201 },
            { start: 300, end: 400 },
          ],
        },
        grpcCriteria: { grpcSuccessStatus: [0, 5] },
      },
    },
  });
  const names = apiManager(mesh(REVIEWS), CLIENT, "reviews:9080").httpFilters.map(({ name }) => name);
  expect(names).not.toContain("envoy.filters.http.admission_control");
});

test("peaks of response times and the balance factor come to the cluster", () => {
  const at = `outbound|9080||${HOST}`;
  expect(
    cluster(mesh(REVIEWS, policy("a", "host: reviews, loadBalancer: PEAK_EWMA")), CLIENT, at).lbPolicy,
  ).toBe(Cluster_LbPolicy.LOAD_BALANCING_POLICY_CONFIG);
  const factor = mesh(REVIEWS, policy("a", "host: reviews, hashBalanceFactor: 150"));
  expect(cluster(factor, CLIENT, at).commonLbConfig?.consistentHashingLbConfig?.hashBalanceFactor).toBe(150);
});

test("weights by load reports, few endpoints and endpoints by header are one policy in the other, and lists that others can read", () => {
  const of = (spec: string, more = "") =>
    cluster(mesh(REVIEWS, policy("a", `host: reviews, ${spec}`) + more), CLIENT, `outbound|9080||${HOST}`);
  const names = (list: LoadBalancingPolicy | undefined) =>
    list?.policies.map(({ typedExtensionConfig }) => typedExtensionConfig?.name.split(".").at(-1));
  const all = of(
    "loadBalancer: CLIENT_SIDE_WEIGHTED_ROUND_ROBIN, loadReports: {blackout: 5s, errorPenalty: 2}, maxEndpoints: 7, overrideHostHeader: X-Endpoint",
  );
  expect(all.lbPolicy).toBe(Cluster_LbPolicy.LOAD_BALANCING_POLICY_CONFIG);
  expect(names(all.loadBalancingPolicy)).toEqual([
    "override_host",
    "random_subsetting",
    "client_side_weighted_round_robin",
    "round_robin",
  ]);
  const entry = (index: number) =>
    all.loadBalancingPolicy!.policies[index]!.typedExtensionConfig!.typedConfig!;
  const override = anyUnpack(entry(0), OverrideHostSchema)!;
  expect(override.overrideHostSources).toMatchObject([{ header: "x-endpoint" }]);
  expect(names(override.fallbackPolicy)).toEqual(names(all.loadBalancingPolicy)!.slice(1));
  const subsetting = anyUnpack(entry(1), RandomSubsettingSchema)!;
  expect(subsetting.subsetSize).toBe(7);
  expect(names(subsetting.childPolicy)).toEqual(["client_side_weighted_round_robin", "round_robin"]);
  expect(anyUnpack(entry(2), ClientSideWeightedRoundRobinSchema)).toMatchObject({
    blackoutPeriod: { seconds: 5n },
    errorUtilizationPenalty: 2,
  });
  const rule = `
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: r}
spec: {host: reviews, trafficPolicy: {loadBalancer: {simple: RANDOM}}}
`;
  expect(names(of("maxEndpoints: 7", rule).loadBalancingPolicy)).toEqual(["random_subsetting", "random"]);
});

test("few endpoints and endpoints by header have no effect beside hashing, which is said", () => {
  const yaml = `${policy("a", "host: reviews, maxEndpoints: 7, overrideHostHeader: x-endpoint")}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: r}
spec: {host: reviews, trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true}}}}
`;
  const { warnings } = made(mesh(REVIEWS, yaml), CLIENT, CLUSTER_TYPE, `outbound|9080||${HOST}`);
  expect(warnings).toEqual([
    expect.stringContaining("maxEndpoints, overrideHostHeader has no effect beside consistentHash"),
  ]);
});

test("connections ahead and connections of one's own come to the cluster", () => {
  const at = `outbound|9080||${HOST}`;
  const spec = "host: reviews, connections: {preconnectRatio: 1.5, perClientConnection: true}";
  expect(cluster(mesh(REVIEWS, policy("a", spec)), CLIENT, at)).toMatchObject({
    preconnectPolicy: { perUpstreamPreconnectRatio: 1.5 },
    connectionPoolPerDownstreamConnection: true,
    lbPolicy: Cluster_LbPolicy.LEAST_REQUEST,
  });
  const limits = "host: reviews, connections: {maxPerInstance: 10, maxPools: 100}";
  expect(cluster(mesh(REVIEWS, policy("a", limits)), CLIENT, at).circuitBreakers).toMatchObject({
    perHostThresholds: [{ maxConnections: 10 }],
    thresholds: [{ maxConnectionPools: 100, maxConnections: 4_294_967_295 }],
  });
  const high = "host: reviews, connections: {highPriority: {maxRequests: 5, maxRetries: 0}}";
  expect(cluster(mesh(REVIEWS, policy("a", high)), CLIENT, at).circuitBreakers?.thresholds[1]).toMatchObject({
    priority: RoutingPriority.HIGH,
    maxRequests: 5,
    maxRetries: 0,
    maxConnections: 4_294_967_295,
  });
});

test("how requests wait for an endpoint comes to the cluster of Tulle's sidecars, with its defaults", () => {
  const at = `outbound|9080||${HOST}`;
  const wait = (spec: string, view = CLIENT) =>
    cluster(mesh(REVIEWS, policy("a", `host: reviews, waitForEndpoint: ${spec}`)), view, at).metadata
      ?.filterMetadata["tulle.dev"]?.["endpointWait"];
  expect(wait("{}")).toEqual({ timeoutMs: 3000, maxRequests: 100 });
  expect(wait("{timeout: 500ms, maxRequests: 7}")).toEqual({ timeoutMs: 500, maxRequests: 7 });
  expect(wait("{}", GRPC_CLIENT)).toBeUndefined();
  expect(
    made(mesh(REVIEWS, policy("a", "host: reviews, waitForEndpoint: {}")), GRPC_CLIENT, CLUSTER_TYPE, at)
      .warnings,
  ).toEqual([expect.stringContaining("balance without waitForEndpoint")]);
});

test("services that take over stand behind the service's own cluster, for routes and for bytes", () => {
  const services = [
    ...REVIEWS,
    instance({ service: "backup", servicePort: 9080 }),
    instance({ service: "last", namespace: "eu", servicePort: 80 }),
    instance({ service: "two", servicePort: 1 }),
    instance({ service: "two", servicePort: 2 }),
  ];
  const yaml = policy("a", "host: reviews, failover: [backup, last.eu, nowhere, two]");
  const name = `failover|9080||${HOST}`;
  const at = mesh(services, yaml);
  const [route] = routesOf(at, CLIENT, `${HOST}:9080`);
  expect(route?.action.value).toMatchObject({ clusterSpecifier: { value: name } });
  const { clusterDiscoveryType: type } = cluster(at, CLIENT, name);
  expect(type.case).toBe("clusterType");
  const config = type.case === "clusterType" ? type.value.typedConfig : undefined;
  expect(anyUnpack(config!, ClusterConfigSchema)?.clusters).toEqual([
    `outbound|9080||${HOST}`,
    "outbound|9080||backup.default.svc.cluster.local",
    "outbound|80||last.eu.svc.cluster.local",
  ]);
  expect(made(at, CLIENT, CLUSTER_TYPE, name).warnings).toEqual([
    expect.stringContaining("nowhere does not exist"),
    expect.stringContaining("two has no port 9080"),
  ]);
  const [grpc] = routesOf(at, GRPC_CLIENT, `${HOST}:9080`);
  expect(grpc?.action.value).toMatchObject({ clusterSpecifier: { value: `outbound|9080||${HOST}` } });
  const rules = RULES("") + policy("a", "host: reviews, port: 9080, failover: [backup]");
  const [ruled] = routesOf(mesh(services, rules), CLIENT, `${HOST}:9080`);
  expect(ruled?.action.value).toMatchObject({ clusterSpecifier: { value: name } });
});

const SERVER: ClientView = {
  ...CLIENT,
  inbound: [
    { service: "reviews", namespace: "default", servicePort: 9080, appPort: 8080 },
    { service: "ratings", namespace: "default", servicePort: 9090, appPort: 8090 },
  ],
};

function inboundManagers(yaml: string) {
  const both = [...REVIEWS, instance({ service: "ratings", servicePort: 9090 })];
  const { filterChains } = listener(mesh(both, yaml), SERVER, INBOUND_LISTENER);
  return filterChains.flatMap(({ name, filters }) => {
    const [first] = filters;
    if (first?.configType.case !== "typedConfig") return [];
    return [{ name, manager: anyUnpack(first.configType.value, HttpConnectionManagerSchema)! }];
  });
}

test("the service's own chains limit its requests and normalize their paths", () => {
  const yaml = policy(
    "a",
    "host: reviews, adaptiveConcurrency: {minConcurrency: 5, percentile: 90}, pathNormalization: MERGE_SLASHES",
  );
  const managers = inboundManagers(yaml);
  expect(managers.length).toBeGreaterThan(2);
  for (const { name, manager } of managers) {
    const names = manager.httpFilters.map((filter) => filter.name);
    const limited = name.includes("plaintext") || name.includes("reviews");
    expect(names.includes("envoy.filters.http.adaptive_concurrency"), name).toBe(limited);
    expect(manager.mergeSlashes, name).toBe(name.includes("reviews"));
    if (manager.routeSpecifier.case !== "routeConfig") throw new Error("no routes");
    for (const { typedPerFilterConfig, routes: own } of manager.routeSpecifier.value.virtualHosts) {
      const any = typedPerFilterConfig["envoy.filters.http.adaptive_concurrency"];
      const action = own[0]!.action;
      const to = action.case === "route" ? JSON.stringify(action.value.clusterSpecifier.value) : "";
      expect(any !== undefined, to).toBe(to.includes("reviews"));
      if (any === undefined) continue;
      expect(anyUnpack(any, AdaptiveConcurrencySchema)).toMatchObject({
        concurrencyControllerConfig: {
          value: {
            sampleAggregatePercentile: { value: 90 },
            concurrencyLimitParams: { concurrencyUpdateInterval: { nanos: 100_000_000 } },
            minRttCalcParams: { interval: { seconds: 60n }, minConcurrency: 5 },
          },
        },
      });
    }
  }
  const full = [...REVIEWS, instance({ service: "ratings", servicePort: 9090 })];
  expect(made(mesh(full, yaml), SERVER, LISTENER_TYPE, INBOUND_LISTENER).warnings).toEqual([
    expect.stringContaining("different pathNormalization"),
  ]);
});

test("setting by setting the most specific policy holds; of equals the oldest, with a warning", () => {
  const all = policy("all", 'host: "*", hedging: {after: 1s}, retries: {nonIdempotent: true}');
  const port = policy("port", "host: reviews, port: 9080, hedging: {after: 2ms}");
  const host = policy("host", "host: reviews, hedging: {after: 1ms}");
  expect(marks(all + host + port)).toMatchObject([{ hedge: { afterMs: 2 }, retryNonIdempotent: true }]);
  expect(marks(policy("other", "host: reviews, port: 80, hedging: {after: 3ms}"))).toEqual([undefined]);
  const { warnings } = routes(host + policy("second", "host: reviews, hedging: {after: 5ms}"));
  expect(warnings).toEqual([expect.stringContaining("say hedging of reviews.default")]);
});

test("what a client's namespace says comes before what the service's does", () => {
  const elsewhere: ClientView = { ...CLIENT, namespace: "shop" };
  const own = policy("own", `host: ${HOST}, hedging: {after: 1ms}`, "shop");
  const services = policy("services", "host: reviews, hedging: {after: 9ms}");
  expect(marks(own + services, elsewhere)).toMatchObject([{ hedge: { afterMs: 1 } }]);
  expect(marks(own + services)).toMatchObject([{ hedge: { afterMs: 9 } }]);
});

test("proxyless gRPC clients are told what they go without", () => {
  const yaml = policy(
    "a",
    "host: reviews, hedging: {after: 1s}, admissionControl: {}, loadBalancer: PEAK_EWMA",
  );
  expect(routes(yaml, GRPC_CLIENT).warnings.join("\n")).toContain("do not hedge");
  expect(made(mesh(REVIEWS, yaml), GRPC_CLIENT, LISTENER_TYPE, "reviews:9080").warnings.join("\n")).toContain(
    "have no admission control",
  );
  expect(
    made(mesh(REVIEWS, yaml), GRPC_CLIENT, CLUSTER_TYPE, `outbound|9080||${HOST}`).warnings.join("\n"),
  ).toContain("balance without loadBalancer of TrafficPolicies");
});
