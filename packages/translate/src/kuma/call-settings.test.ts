import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { CLUSTER_TYPE, ROUTE_TYPE } from "@tulle/xds";
import { HttpProtocolOptionsSchema } from "@tulle/xds/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import { expect, test } from "vitest";
import { CLIENT, cluster, instance, made, mesh, routesOf, tcpProxy } from "../../testdata/mesh.js";

const HOST = "reviews.default.svc.cluster.local";
const NAME = `outbound|9080||${HOST}`;
const REVIEWS = [instance({ service: "reviews", servicePort: 9080 })];
const DB = [instance({ service: "reviews", servicePort: 9080, protocol: "tcp" })];

function policy(kind: string, conf: string, { name = "a", targetRef = "{kind: Mesh}" } = {}): string {
  return `---
apiVersion: kuma.io/v1alpha1
kind: ${kind}
metadata: {name: ${name}}
spec: {targetRef: ${targetRef}, to: [{targetRef: {kind: MeshService, name: reviews}, default: ${conf}}]}
`;
}

const timeout = (conf: string, options = {}) => policy("MeshTimeout", conf, options);
const breaker = (conf: string, options = {}) => policy("MeshCircuitBreaker", conf, options);

function action(yaml: string) {
  const [route] = routesOf(mesh(REVIEWS, yaml), CLIENT, `${HOST}:9080`);
  if (route?.action.case !== "route") throw new Error("the first route does not forward");
  return route.action.value;
}

test.each<[conf: string, expected: object]>([
  ["{http: {requestTimeout: 3s}}", { timeout: { seconds: 3n } }],
  ["{http: {requestTimeout: 0s}}", { timeout: { seconds: 0n } }],
  ["{http: {streamIdleTimeout: 30s}}", { idleTimeout: { seconds: 30n }, timeout: { seconds: 0n } }],
  ["{http: {maxStreamDuration: 1m}}", { maxStreamDuration: { maxStreamDuration: { seconds: 60n } } }],
])("a route's times by %s", (conf, expected) => {
  expect(action(timeout(conf))).toMatchObject(expected);
});

test("a duration of nothing is none", () => {
  expect(action(timeout("{http: {maxStreamDuration: 0s}}")).maxStreamDuration).toBeUndefined();
});

test("what a route says of its time holds, and the policy says the rest", () => {
  const rule = `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec: {hosts: [reviews], http: [{timeout: 7s, route: [{destination: {host: reviews}}]}]}
`;
  const conf = timeout("{http: {requestTimeout: 3s, streamIdleTimeout: 30s}}");
  expect(action(conf + rule)).toMatchObject({ timeout: { seconds: 7n }, idleTimeout: { seconds: 30n } });
  const { owners } = made(mesh(REVIEWS, conf), CLIENT, ROUTE_TYPE, `${HOST}:9080`);
  expect(owners).toEqual(["MeshTimeout/default/a"]);
});

test("connections have their times, of HTTP and of bytes", () => {
  const yaml = timeout(
    "{connectionTimeout: 2s, idleTimeout: 90s, http: {maxConnectionDuration: 10m, requestTimeout: 1s}}",
  );
  const found = cluster(mesh(REVIEWS, yaml), CLIENT, NAME);
  expect(found.connectTimeout).toMatchObject({ seconds: 2n });
  const options =
    found.typedExtensionProtocolOptions["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"];
  expect(options && anyUnpack(options, HttpProtocolOptionsSchema)?.commonHttpProtocolOptions).toMatchObject({
    idleTimeout: { seconds: 90n },
    maxConnectionDuration: { seconds: 600n },
  });
  expect(tcpProxy(mesh(DB, yaml), CLIENT, "reviews:9080")?.idleTimeout).toMatchObject({ seconds: 90n });
});

test.each<[conf: string, expected: object]>([
  ["{maxConnections: 5}", { maxConnections: 5, maxRequests: 4_294_967_295 }],
  ["{maxPendingRequests: 6}", { maxPendingRequests: 6 }],
  ["{maxRequests: 7}", { maxRequests: 7 }],
  ["{maxRetries: 8}", { maxRetries: 8 }],
  ["{maxConnectionPools: 9}", { maxConnectionPools: 9 }],
])("limits by %s", (conf, expected) => {
  const found = cluster(mesh(REVIEWS, breaker(`{connectionLimits: ${conf}}`)), CLIENT, NAME);
  expect(found.circuitBreakers?.thresholds[0]).toMatchObject(expected);
});

test.each<[conf: string, expected: object]>([
  [
    "interval: 5s, baseEjectionTime: 20s, maxEjectionPercent: 30",
    {
      interval: { seconds: 5n },
      baseEjectionTime: { seconds: 20n },
      maxEjectionPercent: 30,
      enforcingConsecutive5xx: 0,
    },
  ],
  [
    "detectors: {totalFailures: {consecutive: 3}}",
    { consecutive5xx: 3, enforcingConsecutive5xx: 100, maxEjectionPercent: 10 },
  ],
  ["detectors: {totalFailures: {}}", { consecutive5xx: 5, enforcingConsecutive5xx: 100 }],
  [
    "detectors: {gatewayFailures: {consecutive: 4}}",
    { consecutiveGatewayFailure: 4, enforcingConsecutiveGatewayFailure: 100, enforcingConsecutive5xx: 0 },
  ],
  [
    "splitExternalAndLocalErrors: true, detectors: {localOriginFailures: {consecutive: 2}}",
    { splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailure: 2 },
  ],
  [
    "detectors: {successRate: {minimumHosts: 3, requestVolume: 20, standardDeviationFactor: '1.5'}}",
    {
      successRateMinimumHosts: 3,
      successRateRequestVolume: 20,
      successRateStdevFactor: 1500,
      enforcingSuccessRate: 100,
    },
  ],
  [
    "detectors: {failurePercentage: {threshold: 40}}",
    {
      failurePercentageThreshold: 40,
      failurePercentageMinimumHosts: 5,
      failurePercentageRequestVolume: 50,
      enforcingFailurePercentage: 100,
    },
  ],
  ["disabled: true, detectors: {totalFailures: {}}", { enforcingConsecutive5xx: 0, enforcingSuccessRate: 0 }],
])("outliers by {%s}", (conf, expected) => {
  const found = cluster(mesh(REVIEWS, breaker(`{outlierDetection: {${conf}}}`)), CLIENT, NAME);
  expect(found.outlierDetection).toMatchObject(expected);
});

test("the panic threshold is the cluster's, fractions and all", () => {
  const yaml = breaker("{outlierDetection: {healthyPanicThreshold: '33.3'}}");
  expect(cluster(mesh(REVIEWS, yaml), CLIENT, NAME).commonLbConfig?.healthyPanicThreshold?.value).toBe(33.3);
});

test("policies of several kinds and several of one kind add up, the more specific first", () => {
  const yaml =
    timeout("{connectionTimeout: 2s, idleTimeout: 1m}") +
    timeout("{connectionTimeout: 9s}", { name: "z", targetRef: "{kind: Dataplane, labels: {app: web}}" }) +
    breaker("{connectionLimits: {maxConnections: 5}}");
  const at = mesh(REVIEWS, yaml);
  expect(cluster(at, CLIENT, NAME)).toMatchObject({
    connectTimeout: { seconds: 2n },
    circuitBreakers: { thresholds: [{ maxConnections: 5 }] },
  });
  const web = { ...CLIENT, labels: { app: "web" } };
  expect(cluster(at, web, NAME).connectTimeout).toMatchObject({ seconds: 9n });
  const options = cluster(at, web, NAME).typedExtensionProtocolOptions;
  const http = Object.values(options)[0];
  expect(
    http && anyUnpack(http, HttpProtocolOptionsSchema)?.commonHttpProtocolOptions?.idleTimeout,
  ).toMatchObject({
    seconds: 60n,
  });
});

test("a DestinationRule's connection pool holds whole, and both policies hear of it", () => {
  const rule = `---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec: {host: reviews, trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}}}}
`;
  const yaml = timeout("{connectionTimeout: 2s}") + breaker("{connectionLimits: {maxConnections: 5}}") + rule;
  const at = mesh(REVIEWS, yaml);
  expect(cluster(at, CLIENT, NAME)).toMatchObject({
    connectTimeout: { seconds: 10n },
    circuitBreakers: { thresholds: [{ maxConnections: 1 }] },
  });
  expect(made(at, CLIENT, CLUSTER_TYPE, NAME).warnings).toEqual(
    ["MeshCircuitBreaker", "MeshTimeout"].map(
      (kind) =>
        `${kind} default/a: DestinationRule default/reviews has trafficPolicy.connectionPool for the same host, which holds instead`,
    ),
  );
});
