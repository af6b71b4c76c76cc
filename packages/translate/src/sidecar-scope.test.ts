import { fromBinary } from "@bufbuild/protobuf";
import { CLUSTER_TYPE, LISTENER_TYPE, NAME_TABLE_TYPE, ROUTE_TYPE } from "@tulle/xds";
import { ClusterSchema } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { NameTableSchema } from "@tulle/xds/gen/istio/networking/nds/v1/nds_pb.js";
import { expect, test } from "vitest";
import { CLIENT, instance, made, mesh, SETTINGS, type TestMesh } from "../testdata/mesh.js";
import type { ClientView } from "./contract.js";
import { translate } from "./translate.js";

const SERVICES = [
  instance({ service: "reviews", servicePort: 9080 }),
  instance({ service: "ratings", servicePort: 9080 }),
  instance({ service: "cart", namespace: "shop", servicePort: 80 }),
];
const ENTRY = `---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: e, namespace: shop}
spec: {hosts: [api.example, "*.cdn.example"], resolution: DNS, endpoints: [{address: x.example}], ports: [{number: 80, name: http}]}
`;

function sidecar(name: string, spec: string, metadata = ""): string {
  return `---\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: ${name}${metadata}}\nspec: ${spec}\n`;
}

const at = (yaml: string): TestMesh => mesh(SERVICES, ENTRY + yaml);

function isThere(yaml: string, authority: string, view = CLIENT): boolean {
  return translate(at(yaml).reader, view, LISTENER_TYPE, authority).resource !== undefined;
}

const ALL = ["reviews:9080", "ratings:9080", "cart.shop:80", "api.example:80", "a.cdn.example:80"];

/** Which of the authorities a client may call. */
function called(hosts: string, view: ClientView = CLIENT): readonly string[] {
  return ALL.filter((authority) => isThere(sidecar("a", `{egress: [{hosts: [${hosts}]}]}`), authority, view));
}

test.each([
  ['"*/*"', ALL],
  ['"./*"', ["reviews:9080", "ratings:9080"]],
  ['"~/*"', []],
  ['"shop/*"', ["cart.shop:80", "api.example:80", "a.cdn.example:80"]],
  ['"*/reviews.default.svc.cluster.local"', ["reviews:9080"]],
  ['"shop/reviews.default.svc.cluster.local"', []],
  ['"*/*.default.svc.cluster.local"', ["reviews:9080", "ratings:9080"]],
  ['"*/api.example", "./ratings.default.svc.cluster.local"', ["ratings:9080", "api.example:80"]],
  ['"*/*.cdn.example"', ["a.cdn.example:80"]],
  ['"*/a.cdn.example"', ["a.cdn.example:80"]],
])("a Sidecar with the hosts %s lets clients call %j", (hosts, expected) => {
  expect(called(hosts)).toEqual(expected);
});

test("a Sidecar without egress hides nothing", () => {
  expect(ALL.filter((authority) => isThere(sidecar("a", "{}"), authority))).toEqual(ALL);
});

test("an item of egress for a port counts alone for that port", () => {
  const yaml = sidecar(
    "a",
    '{egress: [{port: {number: 9080}, hosts: ["./ratings.default.svc.cluster.local"]}, {hosts: ["*/*"]}]}',
  );
  expect(ALL.filter((authority) => isThere(yaml, authority))).toEqual(ALL.slice(1));
});

test("the Sidecar that selects the workload wins over its namespace's, that over the root's", () => {
  const root = sidecar("r", '{egress: [{hosts: ["./*"]}]}', `, namespace: ${SETTINGS.rootNamespace}`);
  const own = sidecar("n", '{egress: [{hosts: ["shop/*"]}]}');
  const selecting = sidecar("s", '{workloadSelector: {labels: {app: web}}, egress: [{hosts: ["~/*"]}]}');
  const web = { ...CLIENT, labels: { app: "web" } };
  const firsts = (yaml: string, view: ClientView) => ALL.filter((one) => isThere(yaml, one, view));
  expect(firsts(root, web)).toEqual(["reviews:9080", "ratings:9080"]);
  // "." is the client's own namespace, wherever the Sidecar is.
  expect(firsts(root, { ...CLIENT, namespace: "shop" })).toEqual(ALL.slice(2));
  expect(firsts(root + own, web)).toEqual(ALL.slice(2));
  expect(firsts(root + own + selecting, web)).toEqual([]);
  expect(firsts(root + own + selecting, CLIENT)).toEqual(ALL.slice(2));
});

test("what a Sidecar hides has no routes and no name", () => {
  const yaml = sidecar("a", '{egress: [{hosts: ["shop/*"]}]}');
  const { reader } = at(yaml);
  const hidden = "reviews.default.svc.cluster.local";
  expect(translate(reader, CLIENT, ROUTE_TYPE, `${hidden}:9080`).resource).toBeUndefined();
  const named = { ...reader, virtualIp: () => "240.240.0.1" };
  const { resource } = translate(named, CLIENT, NAME_TABLE_TYPE, "name-table");
  const { table } = fromBinary(NameTableSchema, resource?.bytes ?? new Uint8Array());
  expect(Object.keys(table)).toEqual(["cart.shop.svc.cluster.local", "api.example"]);
});

test("a destination of a route that may be used needs no import of its own", () => {
  const yaml = `${sidecar("a", '{egress: [{hosts: ["./reviews.default.svc.cluster.local"]}]}')}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: v}
spec: {hosts: [reviews], http: [{route: [{destination: {host: ratings}}]}]}
`;
  const name = "outbound|9080||ratings.default.svc.cluster.local";
  const { warnings, owners } = made(at(yaml), CLIENT, ROUTE_TYPE, "reviews.default.svc.cluster.local:9080");
  expect([warnings, owners]).toEqual([[], ["Sidecar/default/a", "VirtualService/default/v"]]);
  expect(made(at(yaml), CLIENT, CLUSTER_TYPE, name).resource.name).toBe(name);
});

test("rules that a Sidecar does not import do not hold", () => {
  const rules = `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: v, namespace: shop}
spec: {hosts: [reviews.default.svc.cluster.local], http: [{directResponse: {status: 418}}]}
`;
  const owners = (hosts: string) =>
    made(
      at(rules + sidecar("a", `{egress: [{hosts: [${hosts}]}]}`)),
      CLIENT,
      ROUTE_TYPE,
      "reviews.default.svc.cluster.local:9080",
    ).owners;
  expect(owners('"./*"')).toEqual(["Sidecar/default/a"]);
  expect(owners('"./*", "shop/*"')).toEqual(["Sidecar/default/a", "VirtualService/shop/v"]);
});

test.each([
  ["{}", "PassthroughCluster"],
  ["{outboundTrafficPolicy: {mode: REGISTRY_ONLY}}", "BlackHoleCluster"],
  ["{outboundTrafficPolicy: {mode: ALLOW_ANY}}", "PassthroughCluster"],
  ["{outboundTrafficPolicy: {}}", "BlackHoleCluster"],
])("a Sidecar %s sends unknown destinations to %s", (spec, cluster) => {
  const { resource } = made(at(sidecar("a", spec)), CLIENT, LISTENER_TYPE, "virtualOutbound");
  expect(Buffer.from(resource.bytes).includes(cluster)).toBe(true);
});

test.each([
  ["unix:///run/app.sock", "/run/app.sock"],
  ["unix://@app", "@app"],
])("an ingress with the endpoint %s leads to a Unix socket", (endpoint, path) => {
  const inbound = [{ service: "reviews", namespace: "default", servicePort: 9080, appPort: 8080 }];
  const yaml = sidecar("a", `{ingress: [{port: {number: 8080}, defaultEndpoint: '${endpoint}'}]}`);
  const name = "inbound|9080||reviews.default.svc.cluster.local";
  const { resource, warnings } = made(at(yaml), { ...CLIENT, inbound }, CLUSTER_TYPE, name);
  const cluster = fromBinary(ClusterSchema, resource.bytes);
  const address = cluster.loadAssignment?.endpoints[0]?.lbEndpoints[0]?.hostIdentifier;
  expect(address?.value).toMatchObject({ address: { address: { case: "pipe", value: { path } } } });
  expect(warnings).toEqual([]);
});

test.each([
  ["", "127.0.0.1", 8080],
  [", defaultEndpoint: '127.0.0.1:9000'", "127.0.0.1", 9000],
  [", defaultEndpoint: '0.0.0.0:9000'", "127.0.0.1", 9000],
  [", defaultEndpoint: '[::1]:9000'", "::1", 9000],
])("an ingress%s leads to %s:%d", (endpoint, host, port) => {
  const inbound = [{ service: "reviews", namespace: "default", servicePort: 9080, appPort: 8080 }];
  const yaml = sidecar("a", `{ingress: [{port: {number: 8080, protocol: GRPC}${endpoint}}]}`);
  const name = "inbound|9080||reviews.default.svc.cluster.local";
  const { resource, owners } = made(at(yaml), { ...CLIENT, inbound }, CLUSTER_TYPE, name);
  const cluster = fromBinary(ClusterSchema, resource.bytes);
  const address = cluster.loadAssignment?.endpoints[0]?.lbEndpoints[0]?.hostIdentifier;
  expect(address?.value).toMatchObject({
    address: { address: { value: { address: host, portSpecifier: { value: port } } } },
  });
  expect(owners).toEqual(["Sidecar/default/a"]);
  // It is declared as gRPC, whatever is registered.
  expect(Object.keys(cluster.typedExtensionProtocolOptions)).toHaveLength(1);
});
