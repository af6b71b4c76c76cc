import { CLUSTER_TYPE } from "@tulle/xds";
import { Cluster_LbPolicy } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { expect, test } from "vitest";
import { CLIENT, cluster, instance, made, mesh } from "../testdata/mesh.js";

const HOST = "reviews.default.svc.cluster.local";
const REVIEWS = [instance({ service: "reviews", servicePort: 9080, version: "v1" })];

function rule(name: string, policy: string, more = "", metadata = ""): string {
  return `---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ${name}${metadata}}
spec: {host: ${HOST}, trafficPolicy: {${policy}}${more}}
`;
}

function connections(yaml: string, view = CLIENT, subset = ""): number | undefined {
  const { circuitBreakers } = cluster(mesh(REVIEWS, yaml), view, `outbound|9080|${subset}|${HOST}`);
  return circuitBreakers?.thresholds[0]?.maxConnections;
}

const limit = (count: number) => `connectionPool: {tcp: {maxConnections: ${count}}}`;

test("destinationRuleFor prefers the client's namespace, then the service's, then the root namespace", () => {
  const client = rule("client", limit(1), "", ", namespace: client");
  const service = rule("service", limit(2));
  const root = rule("root", limit(3), "", ", namespace: istio-system");
  const view = { ...CLIENT, namespace: "client" };
  expect(connections(root + service + client, view)).toBe(1);
  expect(connections(root + service, view)).toBe(2);
  expect(connections(root, view)).toBe(3);
  expect(connections(client)).toBe(4_294_967_295);
});

test("destinationRuleFor leaves out rules that are not exported to the client", () => {
  const own = rule("a", limit(1), ', exportTo: ["."]');
  expect(connections(own)).toBe(1);
  expect(connections(own, { ...CLIENT, namespace: "client" })).toBe(4_294_967_295);
});

test("destinationRuleFor merges rules of one host: the first's settings, the subsets of all", () => {
  const yaml =
    rule("a", limit(1), ", subsets: [{name: v1, labels: {version: v1}}]") +
    rule("b", limit(2), `, subsets: [{name: v2, trafficPolicy: {${limit(7)}}}]`);
  expect(connections(yaml)).toBe(1);
  expect(connections(yaml, CLIENT, "v2")).toBe(7);
  const { owners, warnings } = made(mesh(REVIEWS, yaml), CLIENT, CLUSTER_TYPE, `outbound|9080|v1|${HOST}`);
  expect(owners).toEqual(["DestinationRule/default/a", "DestinationRule/default/b"]);
  expect(warnings).toEqual([]);
});

test("destinationRuleFor prefers a rule that selects the client's workload", () => {
  const yaml = rule("a", limit(1)) + rule("b", limit(2), ", workloadSelector: {matchLabels: {app: batch}}");
  expect(connections(yaml)).toBe(1);
  expect(connections(yaml, { ...CLIENT, labels: { app: "batch" } })).toBe(2);
});

test("effectivePolicy lets a subset replace settings one by one", () => {
  const yaml = rule(
    "a",
    `${limit(1)}, loadBalancer: {simple: RANDOM}`,
    ", subsets: [{name: v1, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}]",
  );
  const made = cluster(mesh(REVIEWS, yaml), CLIENT, `outbound|9080|v1|${HOST}`);
  expect(made.lbPolicy).toBe(Cluster_LbPolicy.ROUND_ROBIN);
  expect(made.circuitBreakers?.thresholds[0]?.maxConnections).toBe(1);
});

test("effectivePolicy lets settings of a port replace all others", () => {
  const yaml = rule(
    "a",
    `${limit(1)}, portLevelSettings: [{port: {number: 9080}, loadBalancer: {simple: RANDOM}}]`,
  );
  const made = cluster(mesh(REVIEWS, yaml), CLIENT, `outbound|9080||${HOST}`);
  expect(made.lbPolicy).toBe(Cluster_LbPolicy.RANDOM);
  expect(made.circuitBreakers?.thresholds[0]?.maxConnections).toBe(4_294_967_295);
});
