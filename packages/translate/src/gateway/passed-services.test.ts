import { fromBinary } from "@bufbuild/protobuf";
import { CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE } from "@tulle/xds";
import { ClusterSchema } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterLoadAssignmentSchema } from "@tulle/xds/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import { ListenerSchema } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import type { Instance } from "@tulle/api";
import fc from "fast-check";
import { expect, test } from "vitest";
import { CLIENT, instance, mesh } from "../../testdata/mesh.js";
import type { ClientView } from "../contract.js";
import { parsePassedName, passedName } from "../names.js";
import { translate } from "../translate.js";

const EASTWEST: ClientView = {
  ...CLIENT,
  namespace: "istio-system",
  labels: { istio: "eastwestgateway" },
  gateway: { trustedProxies: 0 },
};

const WEB = "web.shop.svc.cluster.local";
/** An instance without a sidecar. */
function bare(service: string): Instance {
  const { meshAddress: _none, ...own } = instance({ service, servicePort: 80, namespace: "shop" });
  return own;
}

const SERVICES = [
  instance({ service: "web", servicePort: 80, namespace: "shop" }),
  bare("web"),
  instance({ service: "bank", servicePort: 80, namespace: "bank" }),
  bare("legacy"),
];

const gateway = (hosts: string) => `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: eastwest, namespace: istio-system}
spec:
  selector: {istio: eastwestgateway}
  servers: [{port: {number: 15443, protocol: TLS, name: tls}, tls: {mode: AUTO_PASSTHROUGH}, hosts: [${hosts}]}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: shop}
spec: {host: web, trafficPolicy: {tls: {mode: SIMPLE}}, subsets: [{name: v1, labels: {version: v1}}]}
`;

function make(text: string, typeUrl: string, name: string, view = EASTWEST): Uint8Array | undefined {
  return translate(mesh(SERVICES, text).reader, view, typeUrl, name).resource?.bytes;
}

function chains(text: string): readonly (readonly string[])[] {
  const bytes = make(text, LISTENER_TYPE, "virtualInbound");
  if (bytes === undefined) return [];
  return fromBinary(ListenerSchema, bytes).filterChains.map(({ filterChainMatch }) => [
    ...(filterChainMatch?.serverNames ?? []),
  ]);
}

test("every port and subset of the mesh's services whose host it has is a name that passes", () => {
  expect(chains(gateway("'*.local'"))).toEqual([
    ["outbound_.80_._.bank.bank.svc.cluster.local"],
    [`outbound_.80_._.${WEB}`],
    [`outbound_.80_.v1_.${WEB}`],
  ]);
  expect(chains(gateway("shop/*"))).toHaveLength(2);
  expect(chains(gateway(WEB))).toHaveLength(2);
  expect(chains(gateway("'*.example.com'"))).toEqual([]);
});

test("bytes go as they are to the sidecars of a service's instances, and to nothing else", () => {
  const name = passedName(WEB, 80, "");
  const cluster = fromBinary(ClusterSchema, make(gateway("'*.local'"), CLUSTER_TYPE, name)!);
  expect(cluster).toMatchObject({ name, transportSocketMatches: [], healthChecks: [] });
  expect(cluster.transportSocket).toBeUndefined();
  expect(cluster.typedExtensionProtocolOptions).toEqual({});
  const { endpoints } = fromBinary(
    ClusterLoadAssignmentSchema,
    make(gateway("'*.local'"), ENDPOINT_TYPE, name)!,
  );
  expect(endpoints.flatMap(({ lbEndpoints }) => lbEndpoints)).toHaveLength(1);
});

test("what no server has, and who is no such gateway, is not told of them", () => {
  const passed = gateway("shop/*");
  for (const type of [CLUSTER_TYPE, ENDPOINT_TYPE]) {
    expect(make(passed, type, passedName(WEB, 80, ""))).toBeDefined();
    expect(make(passed, type, passedName(WEB, 80, ""), { ...EASTWEST, labels: {} })).toBeUndefined();
    expect(make(passed, type, passedName(WEB, 80, ""), CLIENT)).toBeUndefined();
    expect(make(passed, type, passedName("bank.bank.svc.cluster.local", 80, ""))).toBeUndefined();
    expect(make(passed, type, passedName("legacy.shop.svc.cluster.local", 80, ""))).toBeUndefined();
    expect(make(passed, type, passedName(WEB, 81, ""))).toBeUndefined();
  }
});

test("such a server shares its port with others of TLS, whatever their hosts", () => {
  const own = `
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: own, namespace: istio-system}
spec:
  selector: {istio: eastwestgateway}
  servers: [{port: {number: 15443, protocol: TLS, name: tls}, tls: {mode: ISTIO_MUTUAL}, hosts: ["*.local"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bank, namespace: istio-system}
spec: {hosts: ['*.local'], gateways: [own], tcp: [{route: [{destination: {host: bank.bank.svc.cluster.local}}]}]}
`;
  expect(chains(gateway("'*.local'") + own)).toEqual([
    ["outbound_.80_._.bank.bank.svc.cluster.local"],
    [`outbound_.80_._.${WEB}`],
    [`outbound_.80_.v1_.${WEB}`],
    ["*.local"],
  ]);
});

test("a name is read as it is written, and nothing else is a name", () => {
  fc.assert(
    fc.property(
      fc.stringMatching(/^[a-z][a-z0-9-]{0,20}(\.[a-z]{1,8}){0,3}$/),
      fc.integer({ min: 1, max: 65_535 }),
      fc.stringMatching(/^([a-z][a-z0-9-]{0,20})?$/),
      (host, port, subset) => {
        expect(parsePassedName(passedName(host, port, subset))).toEqual({
          direction: "outbound",
          host,
          port,
          subset,
        });
      },
    ),
  );
  fc.assert(
    fc.property(fc.string(), (text) => {
      const read = parsePassedName(text);
      if (read !== undefined) expect(passedName(read.host, read.port, read.subset)).toBe(text);
    }),
  );
  for (const text of [
    "outbound|80||a",
    "outbound_.0_._.a",
    "outbound_.080_._.a",
    "outbound_.80_._.",
    "outbound_.80_._.a|b",
  ])
    expect(parsePassedName(text)).toBeUndefined();
});
