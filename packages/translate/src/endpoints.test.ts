import { ENDPOINT_TYPE } from "@tulle/xds";
import { expect, test } from "vitest";
import {
  addresses,
  assignment,
  CLIENT,
  GRPC_CLIENT,
  instance,
  made,
  mesh,
  plainInstance,
} from "../testdata/mesh.js";
import { HealthStatus } from "@tulle/xds/gen/envoy/config/core/v3/health_check_pb.js";

const HOST = "reviews.default.svc.cluster.local";
const NAME = `outbound|9080||${HOST}`;

function review(last: number, more: Parameters<typeof instance>[0] | object = {}) {
  return instance({
    service: "reviews",
    servicePort: 9080,
    id: `node/reviews-${last}`,
    address: { host: `10.0.0.${last}`, port: 8080 },
    ...more,
  });
}

test("outboundEndpoints lists those instances that may get traffic, and for Tulle's sidecars those that are drained", () => {
  const at = mesh([
    review(1),
    review(2, { health: "critical" }),
    review(3, { health: "maintenance" }),
    review(4, { health: "warning" }),
    review(5, { weight: 0 }),
  ]);
  expect(addresses(at, GRPC_CLIENT, NAME)).toEqual(["10.0.0.1:8080", "10.0.0.4:8080"]);
  const found = assignment(at, CLIENT, NAME).endpoints.flatMap(({ lbEndpoints }) => lbEndpoints);
  expect(found.map(({ healthStatus }) => HealthStatus[healthStatus])).toEqual([
    "HEALTHY",
    "DRAINING",
    "HEALTHY",
  ]);
});

test("outboundEndpoints sends unhealthy instances where a rule says from when on they are used", () => {
  const rule = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec: {host: reviews, trafficPolicy: {outlierDetection: {minHealthPercent: 40}}}
`;
  const at = mesh([review(1), review(2, { health: "critical" })], rule);
  const found = assignment(at, CLIENT, NAME).endpoints.flatMap(({ lbEndpoints }) => lbEndpoints);
  expect(found.map(({ healthStatus }) => HealthStatus[healthStatus])).toEqual(["HEALTHY", "UNHEALTHY"]);
  expect(addresses(at, GRPC_CLIENT, NAME)).toEqual(["10.0.0.1:8080"]);
});

test("outboundEndpoints says what its endpoints are", () => {
  const [locality] = assignment(mesh([review(1, { version: "v2", weight: 3 })]), CLIENT, NAME).endpoints;
  expect(locality).toMatchObject({ priority: 0, loadBalancingWeight: 3, locality: {} });
  expect(locality?.lbEndpoints[0]).toMatchObject({
    loadBalancingWeight: 3,
    metadata: {
      filterMetadata: {
        "envoy.transport_socket_match": { tlsMode: "istio" },
        istio: { workload: "reviews-v2;default;reviews;v2;tulle" },
      },
    },
  });
});

test("outboundEndpoints selects a declared subset by its labels and any other by version", () => {
  const at = mesh(
    [review(1, { version: "v1" }), review(2, { version: "v2" }), review(3, { labels: { track: "canary" } })],
    `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec: {host: reviews, subsets: [{name: canary, labels: {track: canary}}, {name: all}]}
`,
  );
  const subset = (name: string) => addresses(at, CLIENT, `outbound|9080|${name}|${HOST}`);
  expect(subset("canary")).toEqual(["10.0.0.3:15006"]);
  expect(subset("all")).toHaveLength(3);
  expect(subset("v2")).toEqual(["10.0.0.2:15006"]);
  expect(subset("v3")).toEqual([]);
  const { warnings } = made(at, CLIENT, ENDPOINT_TYPE, `outbound|9080|v3|${HOST}`);
  expect(warnings).toEqual([
    expect.stringContaining('no DestinationRule declares subset "v3"'),
    expect.stringContaining('subset "v3" of reviews.default.svc.cluster.local has no healthy instance'),
  ]);
});

test("outboundEndpoints serves the instances of the port only, and all of a portless service", () => {
  const declared = mesh([review(1), review(2, { servicePort: 9081 })]);
  expect(addresses(declared, CLIENT, NAME)).toEqual(["10.0.0.1:15006"]);
  const portless = mesh(
    [1, 2].map((last) =>
      plainInstance({ service: "reviews", address: { host: `10.0.0.${last}`, port: 8000 + last } }),
    ),
  );
  expect(addresses(portless, CLIENT, `outbound|9999||${HOST}`)).toEqual(["10.0.0.1:8001", "10.0.0.2:8002"]);
});

test("outboundEndpoints groups by locality in a fixed order", () => {
  const locality = (zone: string) => ({ locality: { region: "eu", zone, subzone: "" } });
  const at = mesh([review(1, locality("b")), review(2, locality("a")), review(3, locality("b"))]);
  const { endpoints } = assignment(at, CLIENT, NAME);
  expect(
    endpoints.map((group) => [group.locality?.zone, group.lbEndpoints.length, group.loadBalancingWeight]),
  ).toEqual([
    ["a", 1, 1],
    ["b", 2, 2],
  ]);
});

test("outboundEndpoints lists an address once", () => {
  const at = mesh([review(1), review(1, { id: "node/again" })]);
  expect(addresses(at, CLIENT, NAME)).toEqual(["10.0.0.1:15006"]);
});

test("outboundEndpoints depends on instances and shape of its service and on the rules that it reads", () => {
  expect(made(mesh([review(1)]), CLIENT, ENDPOINT_TYPE, NAME).dependencies).toEqual([
    "endpoints:default/reviews",
    "objects:consul.hashicorp.com/ServiceResolver",
    "objects:kuma.io/MeshCircuitBreaker",
    "objects:kuma.io/MeshLoadBalancingStrategy",
    "objects:kuma.io/MeshTimeout",
    "objects:networking.istio.io/DestinationRule",
    "objects:tulle.dev/MeshConfig",
    "service:default/reviews",
  ]);
});

function fallingBack(annotation: string, instances: Parameters<typeof mesh>[0]) {
  return mesh(
    instances,
    `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, annotations: {tulle.dev/subset-fallback: ${annotation}}}
spec: {host: reviews, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
`,
  );
}

/** Addresses of a subset's endpoints by priority. */
function byPriority(at: ReturnType<typeof mesh>, subset: string, view = CLIENT): readonly string[][] {
  const found: string[][] = [];
  for (const { priority, lbEndpoints } of assignment(at, view, `outbound|9080|${subset}|${HOST}`).endpoints) {
    for (const { hostIdentifier } of lbEndpoints) {
      const address = hostIdentifier.case === "endpoint" ? hostIdentifier.value.address?.address : undefined;
      if (address?.case === "socketAddress") (found[priority] ??= []).push(address.value.address);
    }
  }
  return found;
}

const VERSIONS = [review(1, { version: "v1" }), review(2, { version: "v2" }), review(3, { version: "v3" })];

test("a subset's endpoints are followed by those that its rule names for when none of them is usable", () => {
  const any = fallingBack("ANY_ENDPOINT", VERSIONS);
  for (const view of [CLIENT, GRPC_CLIENT]) {
    expect(byPriority(any, "v2", view)).toEqual([["10.0.0.2"], ["10.0.0.1", "10.0.0.3"]]);
    expect(byPriority(any, "", view)).toEqual([["10.0.0.1", "10.0.0.2", "10.0.0.3"]]);
  }
  expect(assignment(any, CLIENT, `outbound|9080|v2|${HOST}`).policy?.overprovisioningFactor).toBe(1_000_000);
  expect(assignment(any, CLIENT, NAME).policy).toBeUndefined();
  const first = fallingBack("v1", VERSIONS);
  expect(byPriority(first, "v2")).toEqual([["10.0.0.2"], ["10.0.0.1"]]);
  expect(byPriority(first, "v1")).toEqual([["10.0.0.1"]]);
  expect(byPriority(fallingBack("NO_FALLBACK", VERSIONS), "v2")).toEqual([["10.0.0.2"]]);
  const list = fallingBack('"v1, v2, ANY_ENDPOINT"', VERSIONS);
  expect(byPriority(list, "v1")).toEqual([["10.0.0.1"], ["10.0.0.2"], ["10.0.0.3"]]);
  expect(byPriority(list, "v2")).toEqual([["10.0.0.2"], ["10.0.0.1"], ["10.0.0.3"]]);
});

test("a subset without an instance is its fallback, and a warning says so", () => {
  const at = fallingBack("v1", [VERSIONS[0]!]);
  expect(byPriority(at, "v2")).toEqual([["10.0.0.1"]]);
  const { warnings } = made(at, CLIENT, ENDPOINT_TYPE, `outbound|9080|v2|${HOST}`);
  expect(warnings).toEqual([expect.stringContaining("others take its requests")]);
});

test("a fallback that no rule declares has no effect", () => {
  const at = fallingBack("v9", VERSIONS);
  expect(byPriority(at, "v2")).toEqual([["10.0.0.2"]]);
  expect(made(at, CLIENT, ENDPOINT_TYPE, `outbound|9080|v2|${HOST}`).warnings).toEqual([
    expect.stringContaining("tulle.dev/subset-fallback"),
  ]);
});
