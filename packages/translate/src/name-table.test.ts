import { fromBinary } from "@bufbuild/protobuf";
import { CLUSTER_TYPE, LISTENER_TYPE, NAME_TABLE_TYPE } from "@tulle/xds";
import { Cluster_DiscoveryType, ClusterSchema } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { ListenerSchema } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { HttpConnectionManagerSchema } from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { TcpProxySchema } from "@tulle/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import {
  NameTable_DnsFault_Failure as Failure,
  NameTableSchema,
  type NameTable,
} from "@tulle/xds/gen/istio/networking/nds/v1/nds_pb.js";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { CLIENT, GRPC_CLIENT, instance, made, mesh, SETTINGS, type TestMesh } from "../testdata/mesh.js";
import type { ClientView, MeshSettings } from "./contract.js";
import { NAME_TABLE } from "./name-table.js";
import { translate } from "./translate.js";

function entry(name: string, spec: string): string {
  return `---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}, namespace: shop}
spec: {ports: [{number: 80, name: http, protocol: HTTP}], ${spec}}
`;
}

const ENTRIES =
  entry("payments", "hosts: [Payments.example.com], resolution: DNS") +
  entry(
    "own",
    "hosts: [own.example], addresses: [192.0.2.9, 198.51.100.0/24], resolution: STATIC, endpoints: [{address: 10.1.1.1}]",
  ) +
  entry("any", "hosts: ['*.wild.example'], resolution: STATIC, endpoints: [{address: 10.1.1.2}]") +
  entry("none", "hosts: [none.example]") +
  entry("private", "hosts: [private.example], resolution: DNS, exportTo: ['.']");

function withIps({ reader }: TestMesh): TestMesh {
  let next = 0;
  const ips = new Map<string, string>();
  const virtualIp = (host: string): string => {
    const ip = ips.get(host) ?? `240.240.0.${++next}`;
    ips.set(host, ip);
    return ip;
  };
  return { reader: { ...reader, virtualIp } };
}

function table(at: TestMesh, view: ClientView = CLIENT): NameTable["table"] {
  return fromBinary(NameTableSchema, made(at, view, NAME_TABLE_TYPE, NAME_TABLE).resource.bytes).table;
}

test("nameTable names registered services with their short forms' parts", () => {
  const at = withIps(
    mesh([instance({ service: "Reviews" }), instance({ service: "cart", namespace: "shop" })]),
  );
  expect(table(at)).toMatchObject({
    "reviews.default.svc.cluster.local": {
      ips: [expect.stringMatching(/^240/), expect.stringMatching(/^2001:2::f0f0:/)],
      registry: "Kubernetes",
      shortname: "reviews",
      namespace: "default",
    },
    "cart.shop.svc.cluster.local": { shortname: "cart", namespace: "shop" },
  });
});

test("nameTable names hosts of ServiceEntries that the client sees, with the addresses that they bring", () => {
  const seen = table(withIps(mesh([], ENTRIES)));
  expect(Object.keys(seen).sort()).toEqual(["own.example", "payments.example.com"]);
  expect(seen["own.example"]?.ips).toEqual(["192.0.2.9"]);
  expect(seen["payments.example.com"]).toMatchObject({
    registry: "External",
    ips: ["240.240.0.1", "2001:2::f0f0:1"],
  });
  const own = table(withIps(mesh([], ENTRIES)), { ...CLIENT, namespace: "shop" });
  expect(Object.keys(own)).toContain("private.example");
});

test("nameTable is made anew when virtual IPs or ServiceEntries change, and leaves out who has none yet", () => {
  const at = mesh([instance({ service: "reviews" })], ENTRIES);
  const { dependencies, resource } = made(at, CLIENT, NAME_TABLE_TYPE, NAME_TABLE);
  expect(dependencies).toEqual([
    "objects:networking.istio.io/ServiceEntry",
    "objects:networking.istio.io/Sidecar",
    "objects:networking.istio.io/VirtualService",
    "virtual-ips",
  ]);
  expect(Object.keys(fromBinary(NameTableSchema, resource.bytes).table)).toEqual(["own.example"]);
});

test("nameTable of an empty mesh is made anew when the first service comes", () => {
  expect(made(mesh([]), CLIENT, NAME_TABLE_TYPE, NAME_TABLE).dependencies).toContain("virtual-ips");
});

test("translate gives name tables to Tulle's sidecars alone", () => {
  const { reader } = mesh([]);
  expect(translate(reader, GRPC_CLIENT, NAME_TABLE_TYPE, NAME_TABLE).resource).toBeUndefined();
  expect(translate(reader, CLIENT, NAME_TABLE_TYPE, "another").resource).toBeUndefined();
});

test.each([
  [undefined, "PassthroughCluster"],
  ["ALLOW_ANY", "PassthroughCluster"],
  ["REGISTRY_ONLY", "BlackHoleCluster"],
] as const)("virtualOutbound leads to where policy %s says", (policy, cluster) => {
  const settings: MeshSettings =
    policy === undefined ? SETTINGS : { ...SETTINGS, outboundTrafficPolicy: policy };
  const { resource } = made(mesh([], "", settings), CLIENT, LISTENER_TYPE, "virtualOutbound");
  const listener = fromBinary(ListenerSchema, resource.bytes);
  const config = listener.defaultFilterChain?.filters[0]?.configType;
  const proxy = config?.case === "typedConfig" ? anyUnpack(config.value, TcpProxySchema) : undefined;
  expect(proxy?.clusterSpecifier).toEqual({ case: "cluster", value: cluster });
});

test("virtualOutboundHttp leads to the passthrough cluster under ALLOW_ANY, and is not there under REGISTRY_ONLY", () => {
  const open = made(mesh([]), CLIENT, LISTENER_TYPE, "virtualOutboundHttp");
  const listener = fromBinary(ListenerSchema, open.resource.bytes);
  const api = listener.apiListener?.apiListener;
  const manager = api && anyUnpack(api, HttpConnectionManagerSchema);
  const config = manager?.routeSpecifier.case === "routeConfig" ? manager.routeSpecifier.value : undefined;
  const [host] = config?.virtualHosts ?? [];
  expect(host?.domains).toEqual(["*"]);
  const action = host?.routes[0]?.action;
  const cluster = action?.case === "route" ? action.value.clusterSpecifier.value : undefined;
  expect(cluster).toBe("PassthroughCluster");
  const found = fromBinary(
    ClusterSchema,
    made(mesh([]), CLIENT, CLUSTER_TYPE, "PassthroughCluster").resource.bytes,
  );
  expect(found.clusterDiscoveryType.value).toBe(Cluster_DiscoveryType.ORIGINAL_DST);
  expect(found.circuitBreakers?.thresholds[0]?.maxConnectionPools).toBe(1024);
  const { reader } = mesh([], "", { ...SETTINGS, outboundTrafficPolicy: "REGISTRY_ONLY" });
  expect(translate(reader, CLIENT, LISTENER_TYPE, "virtualOutboundHttp").resource).toBeUndefined();
});

function faulty(annotations: string, hosts = "reviews"): string {
  return `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: faulty, namespace: default, annotations: {${annotations}}}
spec: {hosts: [${hosts}], http: [{route: [{destination: {host: reviews}}]}]}
`;
}

const REVIEWS = [instance({ service: "reviews", servicePort: 9080 }), instance({ service: "ratings" })];
const faultsOf = (yaml: string) =>
  Object.fromEntries(
    Object.entries(table(withIps(mesh(REVIEWS, ENTRIES + yaml)))).map(([host, { fault }]) => [host, fault]),
  );

test("nameTable says how lookups of hosts fail that a VirtualService is for, and of no others", () => {
  const yaml = faulty(
    'tulle.dev/fault-dns: servfail, tulle.dev/fault-dns-delay: 1.5s, tulle.dev/fault-dns-percentage: "25"',
    "reviews, payments.example.com",
  );
  const faults = faultsOf(yaml);
  const fault = { percentage: 25, failure: Failure.SERVFAIL, delayMs: 1500 };
  expect(faults["reviews.default.svc.cluster.local"]).toMatchObject(fault);
  expect(faults["payments.example.com"]).toMatchObject(fault);
  expect(faults["ratings.default.svc.cluster.local"]).toBeUndefined();
  expect(
    faultsOf(faulty("tulle.dev/fault-dns: nxdomain"))["reviews.default.svc.cluster.local"],
  ).toMatchObject({
    percentage: 100,
    failure: Failure.NXDOMAIN,
    delayMs: 0,
  });
  expect(Object.values(faultsOf(faulty("a: b"))).filter((one) => one !== undefined)).toEqual([]);
});

test.each([
  ["tulle.dev/fault-dns: refused", "must be nxdomain or servfail"],
  ["tulle.dev/fault-dns-delay: 1h", "must be a duration up to 30s"],
  ['tulle.dev/fault-dns: nxdomain, tulle.dev/fault-dns-percentage: "101"', "must be a number from 0 to 100"],
])("nameTable warns of a fault that means nothing: %s", (annotations, warning) => {
  const { warnings } = made(withIps(mesh(REVIEWS, faulty(annotations))), CLIENT, NAME_TABLE_TYPE, NAME_TABLE);
  expect(warnings).toEqual([expect.stringContaining(warning)]);
});
