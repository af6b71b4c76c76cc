import { anyUnpack, type Any } from "@bufbuild/protobuf/wkt";
import { RedisSchema } from "@tulle/xds/gen/envoy/extensions/health_checkers/redis/v3/redis_pb.js";
import { CLUSTER_TYPE } from "@tulle/xds";
import { expect, test } from "vitest";
import { CLIENT, cluster, GRPC_CLIENT, instance, made, mesh } from "../testdata/mesh.js";

const REVIEWS = [instance({ service: "reviews", servicePort: 9080 })];
const CHAT = [instance({ service: "chat", servicePort: 9000, protocol: "grpc" })];
const HOST = "reviews.default.svc.cluster.local";
const NAME = `outbound|9080||${HOST}`;

function check(name: string, spec: string, age = "2026-01-01T00:00:00Z"): string {
  return `
apiVersion: tulle.dev/v1
kind: HealthCheck
metadata: {name: ${name}, creationTimestamp: "${age}"}
spec: {${spec}}
`;
}

test("an HTTP check goes into its cluster, with thresholds that count for every status", () => {
  const yaml = check(
    "reviews",
    "host: reviews, interval: 2s, http: {path: /healthz, method: HEAD, expectedStatuses: [200, 204-299], failAtOnceStatuses: [503], headers: {set: {x-a: 5%}, remove: [user-agent]}, receive: [ok]}",
  );
  const [active, ...others] = cluster(mesh(REVIEWS, yaml), CLIENT, NAME).healthChecks;
  expect(others).toEqual([]);
  expect(active).toMatchObject({
    interval: { seconds: 2n },
    timeout: { seconds: 1n },
    unhealthyThreshold: 2,
    healthyThreshold: 1,
    eventLogger: [{ name: "envoy.health_check.event_sink.file" }],
    healthChecker: {
      case: "httpHealthCheck",
      value: {
        path: "/healthz",
        method: 2,
        expectedStatuses: [
          { start: 200n, end: 201n },
          { start: 204n, end: 300n },
        ],
        retriableStatuses: [
          { start: 100n, end: 503n },
          { start: 504n, end: 600n },
        ],
        requestHeadersToAdd: [{ header: { key: "x-a", value: "5%%" } }],
        requestHeadersToRemove: ["user-agent"],
      },
    },
  });
});

test("a check of Redis goes into its cluster as Envoy's", () => {
  const redis = mesh(REVIEWS, check("reviews", "host: reviews, redis: {key: maintenance}"));
  const { healthChecker } = cluster(redis, CLIENT, NAME).healthChecks[0]!;
  const config = healthChecker.case === "customHealthCheck" ? healthChecker.value : undefined;
  expect(config?.name).toBe("envoy.health_checkers.redis");
  expect(anyUnpack(config!.configType.value as Any, RedisSchema)?.key).toBe("maintenance");
});

test("TCP and gRPC checks go into their clusters; a TCP check is told what it reaches", () => {
  const tcp = mesh(REVIEWS, check("reviews", 'host: reviews, tcp: {send: "PING", receive: ["PONG"]}'));
  expect(cluster(tcp, CLIENT, NAME).healthChecks[0]?.healthChecker).toMatchObject({
    case: "tcpHealthCheck",
    value: { send: { payload: { value: Uint8Array.from(Buffer.from("PING")) } } },
  });
  expect(made(tcp, CLIENT, CLUSTER_TYPE, NAME).warnings).toEqual([]);
  const bare = mesh(REVIEWS, check("reviews", "host: reviews, tcp: {}"));
  expect(made(bare, CLIENT, CLUSTER_TYPE, NAME).warnings).toEqual([
    expect.stringContaining("connects to the sidecar"),
  ]);
  const grpc = mesh(CHAT, check("chat", "host: chat, grpc: {service: chat, metadata: {x-a: b}}"));
  const name = "outbound|9000||chat.default.svc.cluster.local";
  expect(cluster(grpc, CLIENT, name).healthChecks[0]?.healthChecker).toMatchObject({
    case: "grpcHealthCheck",
    value: { serviceName: "chat", initialMetadata: [{ header: { key: "x-a", value: "b" } }] },
  });
});

test("an error rate above 10 % within 30 s is what passive says, and nothing else", () => {
  const yaml = check(
    "reviews",
    "host: reviews, passive: {interval: 30s, failurePercentage: {threshold: 10}}",
  );
  const made = cluster(mesh(REVIEWS, yaml), CLIENT, NAME);
  expect(made.healthChecks).toEqual([]);
  expect(made.outlierDetection).toMatchObject({
    interval: { seconds: 30n },
    failurePercentageThreshold: 10,
    failurePercentageMinimumHosts: 1,
    failurePercentageRequestVolume: 20,
    enforcingFailurePercentage: 100,
    enforcingConsecutive5xx: 0,
    enforcingSuccessRate: 0,
    maxEjectionPercent: 50,
    splitExternalLocalOriginErrors: false,
  });
});

test("passive lies over what the DestinationRule says", () => {
  const rule = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec: {host: reviews, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 7, maxEjectionPercent: 30}}}
`;
  const yaml = `${rule}---${check("reviews", "host: reviews, passive: {successRate: {stdevFactor: 1.5}, consecutiveLocalOriginFailures: 3}")}`;
  expect(cluster(mesh(REVIEWS, yaml), CLIENT, NAME).outlierDetection).toMatchObject({
    consecutive5xx: 7,
    enforcingConsecutive5xx: 100,
    maxEjectionPercent: 30,
    successRateStdevFactor: 1500,
    enforcingSuccessRate: 100,
    splitExternalLocalOriginErrors: true,
    consecutiveLocalOriginFailure: 3,
  });
});

test("the better host, then subset and port, then age decides, and who loses is named", () => {
  const path = (yaml: string, name = NAME): unknown => {
    const checker = cluster(mesh(REVIEWS, yaml), CLIENT, name).healthChecks[0]?.healthChecker;
    return checker?.case === "httpHealthCheck" ? checker.value.path : undefined;
  };
  const any = check("any", 'host: "*", http: {path: /any}');
  const host = check("host", "host: reviews, http: {path: /host}");
  const port = check("port", "host: reviews, port: 9080, http: {path: /port}");
  const other = check("other", "host: reviews, port: 9081, http: {path: /other}");
  const subset = check("subset", "host: reviews, subset: v1, http: {path: /subset}");
  expect(path(any)).toBe("/any");
  expect(path([any, host, other].join("---"))).toBe("/host");
  expect(path([any, host, port, subset].join("---"))).toBe("/port");
  expect(path([host, port, subset].join("---"), `outbound|9080|v1|${HOST}`)).toBe("/subset");
  const young = check("young", "host: reviews, http: {path: /young}", "2026-02-01T00:00:00Z");
  const twice = made(mesh(REVIEWS, [young, host].join("---")), CLIENT, CLUSTER_TYPE, NAME);
  expect(twice.warnings).toEqual([
    expect.stringContaining(
      "HealthCheck default/young and HealthCheck default/host check the same endpoints",
    ),
  ]);
  expect(twice.owners).toContain("HealthCheck/default/host");
  expect(path([young, host].join("---"))).toBe("/host");
});

test("a HealthCheck of another namespace than the client's and the service's holds only from the root namespace", () => {
  const elsewhere = (namespace: string): number =>
    cluster(
      mesh(
        REVIEWS,
        check("a", `host: ${HOST}, http: {path: /a}`).replace(
          "{name: a",
          `{name: a, namespace: ${namespace}`,
        ),
      ),
      CLIENT,
      NAME,
    ).healthChecks.length;
  expect([elsewhere("shop"), elsewhere("istio-system")]).toEqual([0, 1]);
});

test("proxyless gRPC clients get no active check and a warning, but what passive says", () => {
  const yaml = check(
    "reviews",
    "host: reviews, http: {path: /}, passive: {failurePercentage: {threshold: 10}}",
  );
  const at = mesh(REVIEWS, yaml);
  const bare = cluster(at, GRPC_CLIENT, NAME);
  expect(bare.healthChecks).toEqual([]);
  expect(bare.outlierDetection?.failurePercentageThreshold).toBe(10);
  expect(made(at, GRPC_CLIENT, CLUSTER_TYPE, NAME).warnings).toEqual([
    expect.stringContaining("the HealthCheck is left out"),
  ]);
});

test("the statuses that are errors are told to sidecars, and clients that do not know them are told of", () => {
  const yaml = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: r}
spec: {host: reviews, trafficPolicy: {outlierDetection: {outlierDetectionHttpErrorCodes: [404, 503]}}}
`;
  const at = mesh(REVIEWS, yaml);
  const ours = made(at, CLIENT, CLUSTER_TYPE, NAME);
  expect(ours.warnings).toEqual([]);
  expect(cluster(at, CLIENT, NAME).metadata?.filterMetadata["tulle.dev"]).toMatchObject({
    outlierErrorStatuses: [404, 503],
  });
  expect(made(at, GRPC_CLIENT, CLUSTER_TYPE, NAME).warnings).toEqual([
    expect.stringContaining("outlierDetectionHttpErrorCodes"),
  ]);
});
