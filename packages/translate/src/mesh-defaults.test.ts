import { CLUSTER_TYPE } from "@tulle/xds";
import type { RouteAction } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { expect, test } from "vitest";
import { CLIENT, cluster, instance, made, mesh, routesOf } from "../testdata/mesh.js";

const HOST = "reviews.default.svc.cluster.local";
const REVIEWS = [instance({ service: "reviews", servicePort: 9080, version: "v1" })];
const AT = `outbound|9080||${HOST}`;

function meshConfig(spec: string, namespace = "istio-system"): string {
  return `---
apiVersion: tulle.dev/v1
kind: MeshConfig
metadata: {name: mesh, namespace: ${namespace}}
spec: {${spec}}
`;
}

function rule(policy: string): string {
  return `---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec: {host: ${HOST}, trafficPolicy: {${policy}}}
`;
}

const DEFAULTS = meshConfig(
  "connectTimeout: 2s, defaultTrafficPolicy: {connectionPool: {tcp: {maxConnections: 7}}, outlierDetection: {consecutive5xxErrors: 3}}",
);

const made9080 = (yaml: string) => cluster(mesh(REVIEWS, yaml), CLIENT, AT);

test("a MeshConfig says how services are called of which no DestinationRule says more", () => {
  const plain = made9080(DEFAULTS);
  expect(plain).toMatchObject({
    connectTimeout: { seconds: 2n },
    outlierDetection: { consecutive5xx: 3 },
    circuitBreakers: { thresholds: [{ maxConnections: 7 }] },
  });
  const ruled = made9080(DEFAULTS + rule("outlierDetection: {consecutive5xxErrors: 9}"));
  expect(ruled.outlierDetection?.consecutive5xx).toBe(9);
  expect(ruled.circuitBreakers?.thresholds[0]?.maxConnections).toBe(7);
  // A pool is said whole.
  const pooled = made9080(DEFAULTS + rule("connectionPool: {http: {http2MaxRequests: 5}}"));
  expect(pooled.circuitBreakers?.thresholds[0]).toMatchObject({
    maxConnections: 4_294_967_295,
    maxRequests: 5,
  });
  expect(pooled.connectTimeout?.seconds).toBe(10n);
  const port = "portLevelSettings: [{port: {number: 9080}, loadBalancer: {simple: RANDOM}}]";
  expect(made9080(DEFAULTS + rule(port)).outlierDetection?.consecutive5xx).toBe(3);
});

test("a MeshConfig of another namespace says nothing, and clusters belong to the one that does", () => {
  const elsewhere = meshConfig("connectTimeout: 2s", "default");
  expect(made9080(elsewhere).connectTimeout?.seconds).toBe(10n);
  expect(made(mesh(REVIEWS, DEFAULTS), CLIENT, CLUSTER_TYPE, AT).dependencies).toContain(
    "objects:tulle.dev/MeshConfig",
  );
});

test("a MeshConfig's retries hold where a route says nothing of them", () => {
  const retries = (yaml: string) =>
    routesOf(mesh(REVIEWS, yaml), CLIENT, `${HOST}:9080`).map(
      ({ action: { value } }) => (value as RouteAction).retryPolicy?.numRetries,
    );
  const defaults = meshConfig("defaultHttpRetryPolicy: {attempts: 5, retryOn: '503'}");
  expect(retries(defaults)).toEqual([5]);
  const virtualService = (more: string) => `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec: {hosts: [reviews], http: [{${more}route: [{destination: {host: reviews}}]}]}
`;
  expect(retries(defaults + virtualService(""))).toEqual([5]);
  expect(retries(defaults + virtualService("retries: {attempts: 1}, "))).toEqual([1]);
});
