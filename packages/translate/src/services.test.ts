import { readFileSync } from "node:fs";
import { ENDPOINT_TYPE } from "@tulle/xds";
import { Cluster_DiscoveryType } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { expect, test } from "vitest";
import { addresses, CLIENT, cluster, clustersOf, instance, made, mesh, routesOf } from "../testdata/mesh.js";

const EXTERNAL = readFileSync(new URL("../testdata/external.yaml", import.meta.url), "utf8");

function entry(name: string, spec: string, metadata = ""): string {
  return `---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}${metadata}}
spec: {ports: [{number: 80, name: http, protocol: HTTP}], ${spec}}
`;
}

const fixed = (address: string) => `resolution: STATIC, endpoints: [{address: ${address}}]`;

test("entryService looks up the host itself where no endpoint is listed", () => {
  const made = cluster(mesh([], EXTERNAL), CLIENT, "outbound|443||payments.example.com");
  expect(made.clusterDiscoveryType.value).toBe(Cluster_DiscoveryType.STRICT_DNS);
  expect(
    JSON.stringify(made.loadAssignment, (_, value: unknown) =>
      typeof value === "bigint" ? Number(value) : value,
    ),
  ).toMatch(/"address":"payments.example.com".*"value":8443/);
});

test("entryService selects workloads by label, each on its own port", () => {
  const at = mesh([], EXTERNAL);
  expect(addresses(at, CLIENT, "outbound|80||vms.internal")).toEqual(["192.0.2.2:8080", "192.0.2.1:80"]);
  expect(made(at, CLIENT, ENDPOINT_TYPE, "outbound|80||vms.internal").dependencies).toContain(
    "objects:networking.istio.io/WorkloadEntry",
  );
});

test("entryService uses the caller's own destination for wildcards", () => {
  const at = mesh([], EXTERNAL);
  expect(clustersOf(routesOf(at, CLIENT, "a.wild.example.com:80"))).toEqual([
    "outbound|80||*.wild.example.com",
  ]);
  expect(cluster(at, CLIENT, "outbound|80||*.wild.example.com").clusterDiscoveryType.value).toBe(
    Cluster_DiscoveryType.ORIGINAL_DST,
  );
});

test("tulleDialect leaves out Unix sockets and says so", () => {
  const endpoints = 'endpoints: [{address: "unix:///run/a.sock"}, {address: 192.0.2.1}]';
  const at = mesh([], entry("a", `hosts: [a.example], resolution: STATIC, ${endpoints}`));
  expect(addresses(at, CLIENT, "outbound|80||a.example")).toEqual(["192.0.2.1:80"]);
  expect(made(at, CLIENT, ENDPOINT_TYPE, "outbound|80||a.example").warnings).toEqual([
    expect.stringContaining("Unix sockets"),
  ]);
});

test("resolveHost prefers a registered service to a ServiceEntry of its name", () => {
  const yaml = entry("a", `hosts: [reviews.default.svc.cluster.local], ${fixed("192.0.2.1")}`);
  const name = "outbound|80||reviews.default.svc.cluster.local";
  expect(addresses(mesh([], yaml), CLIENT, name)).toEqual(["192.0.2.1:80"]);
  expect(addresses(mesh([instance({ service: "reviews", servicePort: 80 })], yaml), CLIENT, name)).toEqual([
    expect.stringMatching(/:15006$/),
  ]);
});

test("resolveHost prefers an exact host to a wildcard and the client's namespace to others", () => {
  const wild = entry("wild", `hosts: ["*.example"], ${fixed("192.0.2.1")}`);
  const far = entry("far", `hosts: [a.example], ${fixed("192.0.2.2")}`, ", namespace: far");
  const near = entry("near", `hosts: [a.example], ${fixed("192.0.2.3")}`);
  const address = (yaml: string) => addresses(mesh([], yaml), CLIENT, "outbound|80||a.example");
  expect(address(wild)).toEqual(["192.0.2.1:80"]);
  expect(address(wild + far)).toEqual(["192.0.2.2:80"]);
  expect(address(wild + far + near)).toEqual(["192.0.2.3:80"]);
});

test("resolveHost does not see entries that are not exported to the client", () => {
  const at = mesh([], entry("a", `hosts: [a.example], exportTo: ["."], ${fixed("192.0.2.1")}`));
  expect(addresses(at, CLIENT, "outbound|80||a.example")).toEqual(["192.0.2.1:80"]);
  expect(addresses(at, { ...CLIENT, namespace: "other" }, "outbound|80||a.example")).toEqual([]);
});

test("resolveHost finds services that were registered in capitals", () => {
  const at = mesh([instance({ service: "Reviews", servicePort: 80 })]);
  const name = "outbound|80||reviews.default.svc.cluster.local";
  expect(addresses(at, CLIENT, name)).toHaveLength(1);
  expect(made(at, CLIENT, ENDPOINT_TYPE, name).dependencies).toContain("endpoints:default/Reviews");
});
