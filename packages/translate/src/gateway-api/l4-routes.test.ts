import { LISTENER_TYPE } from "@tulle/xds";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { TcpProxySchema } from "@tulle/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { expect, test } from "vitest";
import { routeYaml } from "../../testdata/gateway-api.js";
import { addresses, CLIENT, instance, listener, made, mesh, tcpClustersOf } from "../../testdata/mesh.js";
import { NOBODY } from "../names.js";

type Protocol = "tcp" | "tls" | "auto" | "http";

const at = (protocol: Protocol, yaml: string) =>
  mesh(
    ["db", "db-v2"].map((service) => instance({ service, servicePort: 5432, protocol })),
    yaml,
  );
const db = (name: string, more = "") => `{name: ${name}, port: 5432${more}}`;

function route(
  kind: "TCPRoute" | "TLSRoute",
  backends: string,
  options: { name?: string; hosts?: string } = {},
) {
  return routeYaml(`[{backendRefs: [${backends}]}]`, {
    kind,
    name: options.name ?? "db",
    namespace: "default",
    parent: "{kind: Service, group: '', name: db}",
    createdAt: options.name === "old" ? "2025-01-01T00:00:00Z" : "2026-01-01T00:00:00Z",
    spec: options.hosts === undefined ? "" : `hostnames: ${options.hosts}`,
  });
}

/** The chains of a listener: which server names lead to which clusters, with their weights. */
function chains(protocol: Protocol, yaml: string): Record<string, string> {
  const { filterChains, defaultFilterChain } = listener(at(protocol, yaml), CLIENT, "db:5432");
  const all = defaultFilterChain === undefined ? filterChains : [...filterChains, defaultFilterChain];
  const entries = all.map((chain) => {
    const names =
      chain === defaultFilterChain ? "rest" : (chain.filterChainMatch?.serverNames.join() ?? "all");
    const config = chain.filters[0]?.configType;
    const proxy = config?.case === "typedConfig" ? anyUnpack(config.value, TcpProxySchema) : undefined;
    if (proxy === undefined) return ["http", ""];
    const { clusterSpecifier } = proxy;
    const weights =
      clusterSpecifier.case === "weightedClusters"
        ? clusterSpecifier.value.clusters.map(({ weight }) => weight)
        : [];
    return [
      names,
      tcpClustersOf(proxy)
        .map((name, index) => short(name, weights[index]))
        .join(" "),
    ];
  });
  return Object.fromEntries(entries) as Record<string, string>;
}

function short(cluster: string, weight: number | undefined): string | undefined {
  const name: string | undefined =
    cluster === NOBODY ? "nobody" : (cluster.split("|")[3] ?? "").split(".")[0];
  return weight === undefined ? name : `${name}=${weight}`;
}

test.each<[what: string, backends: string, expected: string]>([
  ["one backend", db("db-v2"), "db-v2"],
  ["weights", `${db("db", ", weight: 3")}, ${db("db-v2")}`, "db=3 db-v2=1"],
  ["a backend of weight 0", `${db("db", ", weight: 0")}, ${db("db-v2")}`, "db-v2"],
  ["a backend that is not there", `${db("db")}, ${db("gone", ", weight: 4")}`, "db=1 nobody=4"],
  ["no backend that is there", db("gone"), "nobody"],
  ["no weight", db("db", ", weight: 0"), "nobody"],
])("a TCPRoute leads connections to %s", (_what, backends, expected) => {
  expect(Object.values(chains("tcp", route("TCPRoute", backends)))).toEqual([expected]);
});

test("nobody has no endpoints, so that connections to it are closed", () => {
  expect(addresses(at("tcp", ""), CLIENT, NOBODY)).toEqual([]);
});

test("the oldest TCPRoute holds, and the others' status says so", () => {
  const yaml = route("TCPRoute", db("db-v2"), { name: "old" }) + route("TCPRoute", db("db"), { name: "new" });
  expect(Object.values(chains("tcp", yaml))).toEqual(["db-v2"]);
  expect(made(at("tcp", yaml), CLIENT, LISTENER_TYPE, "db:5432").warnings).toEqual([
    "TCPRoute default/new has no effect on db.default.svc.cluster.local:5432: default/old is older, and connections can go one way only",
  ]);
});

test("TLSRoutes lead connections by server name, and close those that ask for another", () => {
  const yaml =
    route("TLSRoute", db("db-v2"), { hosts: "[a.example, '*.b.example']" }) +
    route("TLSRoute", db("db"), { name: "late", hosts: "[a.example, c.example]" });
  expect(chains("tls", yaml)).toEqual({
    "a.example,*.b.example": "db-v2",
    "c.example": "db",
    "": "nobody",
    rest: "db",
  });
});

test("a TLSRoute without hostnames takes every TLS connection", () => {
  expect(chains("tls", route("TLSRoute", db("db-v2")))).toEqual({ "": "db-v2", rest: "db" });
});

test("a TLSRoute on a port whose protocol is found out leaves what is no TLS to the service", () => {
  expect(chains("auto", route("TLSRoute", db("db-v2"), { hosts: "[a.example]" }))).toEqual({
    http: "",
    "a.example": "db-v2",
    "": "nobody",
    rest: "db",
  });
});

test("the more specific kind of route holds alone", () => {
  const tls = route("TLSRoute", db("db-v2"), { hosts: "[a.example]" });
  expect(chains("tls", tls + route("TCPRoute", db("db-v2")))).toMatchObject({ rest: "db" });
});

test("routes of connections mean nothing on a port that carries HTTP, nor TLSRoutes on one declared as tcp", () => {
  expect(listener(at("http", route("TCPRoute", db("db-v2"))), CLIENT, "db:5432").filterChains).toEqual([]);
  expect(Object.values(chains("tcp", route("TLSRoute", db("db-v2"))))).toEqual(["db"]);
});

test("rules of a VirtualService hold instead, and both objects' status says so", () => {
  const yaml = `${route("TCPRoute", db("db-v2"))}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: db}
spec: {hosts: [db], tcp: [{route: [{destination: {host: db}}]}]}
`;
  expect(Object.values(chains("tcp", yaml))).toEqual(["db"]);
  const { warnings, owners } = made(at("tcp", yaml), CLIENT, LISTENER_TYPE, "db:5432");
  expect(warnings).toEqual([
    "TCPRoute default/db has no effect on db.default.svc.cluster.local:5432: VirtualService default/db rules the same host",
  ]);
  expect(owners).toEqual(["TCPRoute/default/db", "VirtualService/default/db"]);
});
