import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { CLUSTER_TYPE, LISTENER_TYPE } from "@tulle/xds";
import { TcpProxySchema } from "@tulle/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { UpstreamTlsContextSchema } from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { expect, test } from "vitest";
import {
  CLIENT,
  cluster,
  instance,
  listener,
  made,
  mesh,
  tcpClustersOf,
  tcpProxy,
} from "../../testdata/mesh.js";
import type { ClientView } from "../contract.js";
import { translate } from "../translate.js";

const HOST = "db.default.svc.cluster.local";
const DB = [
  instance({ service: "db", servicePort: 5432, protocol: "tcp", version: "v1" }),
  instance({ service: "db", servicePort: 5432, protocol: "tcp", version: "v2" }),
];

function rule(tcp: string, more = ""): string {
  return `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: db}
spec: {hosts: [db], tcp: [${tcp}]${more}}
`;
}

const subset = (name: string, weight: number): string =>
  `{destination: {host: db, subset: ${name}}, weight: ${weight}}`;

const SUBSETS = `---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: db}
spec:
  host: db
  trafficPolicy: {connectionPool: {tcp: {idleTimeout: 90s}}}
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
`;

function clusters(yaml: string, view: ClientView = CLIENT): string[] {
  const proxy = tcpProxy(mesh(DB, yaml), view, "db:5432");
  return proxy === undefined ? [] : tcpClustersOf(proxy);
}

function warnings(yaml: string, name = "db:5432"): readonly string[] {
  return made(mesh(DB, yaml), CLIENT, LISTENER_TYPE, name).warnings;
}

test.each(["db:5432", "db", "db.default:5432", HOST])("outboundListener carries bytes of %s", (name) => {
  const proxy = tcpProxy(mesh(DB), CLIENT, name);
  expect(proxy).toMatchObject({ maxConnectAttempts: 3 });
  expect(proxy?.idleTimeout).toBeUndefined();
  expect(proxy && tcpClustersOf(proxy)).toEqual([`outbound|5432||${HOST}`]);
  expect(listener(mesh(DB), CLIENT, name).apiListener).toBeUndefined();
});

test.each(["tcp", "tls", "https"] as const)("outboundListener carries bytes of a port of %s", (protocol) => {
  const at = mesh([instance({ service: "db", servicePort: 5432, protocol })]);
  expect(tcpProxy(at, CLIENT, "db:5432")).toBeDefined();
});

test("outboundListener gives proxyless gRPC no listener that carries bytes", () => {
  const { resource } = translate(mesh(DB).reader, { ...CLIENT, dialect: "grpc" }, LISTENER_TYPE, "db:5432");
  expect(resource).toBeDefined();
  expect(tcpProxy(mesh(DB), { ...CLIENT, dialect: "grpc" }, "db:5432")).toBeUndefined();
});

test("the cluster of a port that carries bytes negotiates no protocol", () => {
  const made = cluster(mesh(DB), CLIENT, `outbound|5432||${HOST}`);
  const config = made.transportSocketMatches[0]?.transportSocket?.configType.value;
  const context = config && anyUnpack(config, UpstreamTlsContextSchema);
  expect(context?.commonTlsContext?.alpnProtocols).toEqual([]);
  expect(context?.sni).toBe(`outbound_.5432_._.${HOST}`);
});

test("tcpRoute splits by weight, without destinations that get nothing", () => {
  const yaml = rule(`{route: [${subset("v1", 90)}, ${subset("v2", 10)}]}`) + SUBSETS;
  const proxy = tcpProxy(mesh(DB, yaml), CLIENT, "db:5432");
  expect(proxy?.clusterSpecifier.value).toMatchObject({
    clusters: [
      { name: `outbound|5432|v1|${HOST}`, weight: 90 },
      { name: `outbound|5432|v2|${HOST}`, weight: 10 },
    ],
  });
  expect(proxy?.idleTimeout?.seconds).toBe(90n);
  expect(warnings(yaml)).toEqual([]);
  expect(clusters(rule(`{route: [${subset("v1", 100)}, ${subset("v2", 0)}]}`) + SUBSETS)).toEqual([
    `outbound|5432|v1|${HOST}`,
  ]);
});

test("tcpRoute takes the first rule that can hold for the client, else the service itself", () => {
  const to = (name: string, match: string): string =>
    `{match: [${match}], route: [{destination: {host: db, subset: ${name}}}]}`;
  const where = (tcp: string, view = CLIENT): string[] => clusters(rule(tcp) + SUBSETS, view);
  expect(where(`${to("v1", "{port: 1}")}, ${to("v2", "{port: 5432}")}`)).toEqual([
    `outbound|5432|v2|${HOST}`,
  ]);
  expect(where(to("v1", "{port: 1}"))).toEqual([`outbound|5432||${HOST}`]);
  expect(where(to("v1", "{gateways: [shop/front]}"))).toEqual([`outbound|5432||${HOST}`]);
  const labelled = to("v1", "{sourceLabels: {app: web}}");
  expect(where(labelled)).toEqual([`outbound|5432||${HOST}`]);
  expect(where(labelled, { ...CLIENT, labels: { app: "web" } })).toEqual([`outbound|5432|v1|${HOST}`]);
});

test.each([
  ["240.240.0.0/16", "v1"],
  ["240.240.0.9", "v1"],
  ["10.0.0.0/8, 240.0.0.0/8", "v1"],
  ["10.0.0.0/8", ""],
  ["fd00::/8", ""],
])("tcpRoute takes a rule for the subnets %s by the service's virtual IP", (subnets, expected) => {
  const at = mesh(
    DB,
    rule(`{match: [{destinationSubnets: [${subnets}]}], route: [{destination: {host: db, subset: v1}}]}`) +
      SUBSETS,
  );
  const { reader } = at;
  const withAddress = { reader: { ...reader, virtualIp: () => "240.240.0.9" } };
  const proxy = tcpProxy(withAddress, CLIENT, "db:5432");
  expect(proxy && tcpClustersOf(proxy)).toEqual([`outbound|5432|${expected}|${HOST}`]);
});

test("tcpRoute compares subnets with a ServiceEntry's own addresses, and says where it cannot tell", () => {
  const entry = (addresses: string) => `---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: e}
spec: {hosts: [tcp.example], addresses: [${addresses}], ports: [{number: 5432, name: tcp}], resolution: STATIC, endpoints: [{address: 192.0.2.1}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: e}
spec:
  hosts: [tcp.example]
  tcp: [{match: [{destinationSubnets: [10.1.0.0/16]}], route: [{destination: {host: db}}]}]
`;
  const to = (addresses: string) => {
    const proxy = tcpProxy(mesh(DB, entry(addresses)), CLIENT, "tcp.example:5432");
    return proxy && tcpClustersOf(proxy);
  };
  expect(to("10.1.2.3")).toEqual([`outbound|5432||${HOST}`]);
  expect(to("10.1.7.0/24")).toEqual([`outbound|5432||${HOST}`]);
  expect(to("10.2.0.1")).toEqual(["outbound|5432||tcp.example"]);
  expect(to("10.0.0.0/8")).toEqual(["outbound|5432||tcp.example"]);
  const { warnings: said } = made(mesh(DB, entry("10.0.0.0/8")), CLIENT, LISTENER_TYPE, "tcp.example:5432");
  expect(said).toEqual([expect.stringContaining("tcp[0]: 10.0.0.0/8 is wider than 10.1.0.0/16")]);
});

test("tcpRoute says what it leaves out", () => {
  const only = "route: [{destination: {host: db}}]";
  expect(warnings(rule(`{match: [{sourceSubnet: 10.0.0.0/8}], ${only}}`))).toEqual([
    expect.stringContaining("tcp[0]: sourceSubnet is for gateways"),
  ]);
  const http = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: db}
spec: {hosts: [db], http: [{${only}}]}
`;
  expect(warnings(http)).toEqual([expect.stringContaining("http rules have no effect on")]);
});

const serving = (...protocols: ("http" | "tcp")[]): ClientView => ({
  ...CLIENT,
  inbound: protocols.map((protocol, index) => ({
    service: "own",
    namespace: "default",
    servicePort: 9000 + index,
    appPort: 8000 + index,
    protocol,
  })),
});

function inboundChains(view: ClientView) {
  return listener(mesh([]), view, "virtualInbound").filterChains.map(({ filterChainMatch, filters }) => {
    const config = filters[0]?.configType;
    const proxy = config?.case === "typedConfig" ? anyUnpack(config.value, TcpProxySchema) : undefined;
    return [filterChainMatch?.transportProtocol, proxy === undefined ? "http" : tcpClustersOf(proxy)[0]];
  });
}

test("inboundListener carries the bytes of a port by mutual TLS, and in plaintext when it is the only one", () => {
  const own = (port: number): string => `inbound|${port}||own.default.svc.cluster.local`;
  expect(inboundChains(serving("tcp"))).toEqual([
    ["tls", own(9000)],
    ["raw_buffer", own(9000)],
  ]);
  expect(inboundChains(serving("tcp", "http"))).toEqual([
    ["tls", own(9000)],
    ["tls", "http"],
    ["raw_buffer", "http"],
  ]);
  expect(inboundChains(serving("tcp", "tcp"))).toEqual([
    ["tls", own(9000)],
    ["tls", own(9001)],
  ]);
  expect(made(mesh([]), serving("tcp", "http"), LISTENER_TYPE, "virtualInbound").warnings).toEqual([
    expect.stringContaining("takes mutual TLS only"),
  ]);
});

test("inboundListener believes the registry before the workload", () => {
  const registered = instance({ service: "own", servicePort: 9000, protocol: "http" });
  const { filterChains } = listener(mesh([registered]), serving("tcp"), "virtualInbound");
  expect(filterChains[0]?.filters[0]?.name).toContain("http_connection_manager");
});

test("a host that no service has carries bytes by its tcp rules alone", () => {
  const alias = (tcp: string) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: alias}
spec: {hosts: [store.test], tcp: [${tcp}]}
`;
  const to = "route: [{destination: {host: db}}]";
  const proxyOf = (tcp: string, name: string) => {
    const proxy = tcpProxy(mesh(DB, alias(tcp)), CLIENT, name);
    return proxy && tcpClustersOf(proxy);
  };
  expect(proxyOf(`{${to}}`, "store.test:9000")).toEqual([`outbound|5432||${HOST}`]);
  expect(proxyOf(`{match: [{port: 9000}], ${to}}`, "store.test:9000")).toEqual([`outbound|5432||${HOST}`]);
  for (const match of ["port: 9001", "destinationSubnets: [10.0.0.0/8]"])
    expect(() => proxyOf(`{match: [{${match}}], ${to}}`, "store.test:9000")).toThrow("means nothing");
});

const EGRESS = `---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: egress}
spec:
  hosts: [egress.example]
  resolution: STATIC
  endpoints: [{address: 192.0.2.3}]
  ports: [{number: 3128, name: tcp, protocol: TCP}, {number: 8080, name: http, protocol: HTTP}]
`;
const viaTunnel = (tunnel: string, subsets = ""): string => `---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: egress}
spec: {host: egress.example, trafficPolicy: {${tunnel}}${subsets}}
`;
const TUNNEL = "tunnel: {targetHost: db.corp, targetPort: 5432}";
const toEgress = (subset = "", weight = ""): string =>
  `{destination: {host: egress.example, port: {number: 3128}${subset}}${weight}}`;

test("connections that are led to a host with a tunnel are carried through it", () => {
  const yaml = rule(`{route: [${toEgress()}]}`) + EGRESS + viaTunnel(TUNNEL);
  expect(warnings(yaml)).toEqual([]);
  expect(tcpProxy(mesh(DB, yaml), CLIENT, "db:5432")).toMatchObject({
    clusterSpecifier: { value: "outbound|3128||egress.example" },
    tunnelingConfig: { hostname: "db.corp:5432", usePost: false },
  });
  // Those of the host itself, too, and no others.
  expect(tcpProxy(mesh(DB, yaml), CLIENT, "egress.example:3128")?.tunnelingConfig?.hostname).toBe(
    "db.corp:5432",
  );
  expect(tcpProxy(mesh(DB, EGRESS + viaTunnel(TUNNEL)), CLIENT, "db:5432")?.tunnelingConfig).toBeUndefined();
});

test("a tunnel by POST, and destinations whose tunnels differ, get nothing, which is said", () => {
  const post =
    rule(`{route: [${toEgress()}]}`) + EGRESS + viaTunnel(TUNNEL.replace("{", "{protocol: POST, "));
  const proxy = tcpProxy(mesh(DB, post), CLIENT, "db:5432");
  expect(proxy && tcpClustersOf(proxy)).not.toContain("outbound|3128||egress.example");
  expect(proxy?.tunnelingConfig).toBeUndefined();
  expect(warnings(post)).toEqual([expect.stringContaining("protocol POST is not supported")]);
  const mixed =
    rule(`{route: [${toEgress(", subset: a", ", weight: 1")}, ${toEgress("", ", weight: 1")}]}`) +
    EGRESS +
    viaTunnel(
      "connectionPool: {tcp: {idleTimeout: 9s}}",
      `, subsets: [{name: a, trafficPolicy: {${TUNNEL}}}]`,
    );
  expect(warnings(mixed)).toEqual([expect.stringContaining("must have the same tunnel")]);
});

test("a tunnel has no effect on HTTP, which is said", () => {
  const { warnings: said } = made(
    mesh([], EGRESS + viaTunnel(TUNNEL)),
    CLIENT,
    CLUSTER_TYPE,
    "outbound|8080||egress.example",
  );
  expect(said).toEqual([expect.stringContaining("no effect on HTTP")]);
});
