import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { CLUSTER_TYPE, ENDPOINT_TYPE } from "@tulle/xds";
import {
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  type Cluster,
} from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import {
  UpstreamTlsContextSchema,
  type UpstreamTlsContext,
} from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import type { TransportSocket } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import { ProxyProtocolConfig_Version as Version } from "@tulle/xds/gen/envoy/config/core/v3/proxy_protocol_pb.js";
import { ProxyProtocolUpstreamTransportSchema } from "@tulle/xds/gen/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.js";
import { expect, test } from "vitest";
import {
  addresses,
  CLIENT,
  cluster,
  GRPC_CLIENT,
  instance,
  made,
  mesh,
  plainInstance,
  routesOf,
  type TestMesh,
} from "../testdata/mesh.js";
import type { ClientView } from "./contract.js";
import { translate } from "./translate.js";

const HOST = "reviews.default.svc.cluster.local";
const NAME = `outbound|9080||${HOST}`;
const MESHED = instance({ service: "reviews", servicePort: 9080, address: { host: "10.9.0.1", port: 8080 } });
const PLAIN = plainInstance({
  service: "reviews",
  servicePort: 9080,
  address: { host: "10.9.0.2", port: 8080 },
});
const PLAINTEXT = { ...CLIENT, mtls: false };

function rule(policy: string): string {
  return `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec: {host: reviews, trafficPolicy: {${policy}}}
`;
}

function tlsOf(at: Cluster): UpstreamTlsContext | undefined {
  const config = at.transportSocket?.configType.value;
  return config && anyUnpack(config, UpstreamTlsContextSchema);
}

test("outboundCluster uses mutual TLS with those endpoints that take it", () => {
  const at = mesh([MESHED, PLAIN]);
  expect(cluster(at, CLIENT, NAME).transportSocketMatches.map(({ match }) => match)).toEqual([
    { tlsMode: "istio" },
    {},
  ]);
  expect(addresses(at, CLIENT, NAME)).toEqual(["10.9.0.1:15006", "10.9.0.2:8080"]);
});

test("outboundCluster is plaintext when either side cannot do mutual TLS", () => {
  for (const [at, view] of [
    [mesh([PLAIN]), CLIENT],
    [mesh([MESHED]), PLAINTEXT],
  ] as const) {
    const made = cluster(at, view, NAME);
    expect([made.transportSocketMatches, made.transportSocket]).toEqual([[], undefined]);
    expect(addresses(at, view, NAME)[0]).toMatch(/:8080$/);
  }
});

test("outboundCluster does what the DestinationRule's TLS mode says", () => {
  const modes: Record<string, (at: TestMesh) => void> = {
    "mode: DISABLE": (at) => {
      expect(cluster(at, CLIENT, NAME).transportSocketMatches).toEqual([]);
      expect(addresses(at, CLIENT, NAME)).toEqual(["10.9.0.1:15006"]);
    },
    "mode: ISTIO_MUTUAL": (at) => {
      expect(tlsOf(cluster(at, CLIENT, NAME))?.sni).toBe(`outbound_.9080_._.${HOST}`);
      expect(addresses(at, CLIENT, NAME)).toEqual(["10.9.0.1:15006"]);
    },
    "mode: SIMPLE, sni: a.example, caCertificates: /ca.pem": (at) => {
      const context = tlsOf(cluster(at, CLIENT, NAME));
      expect(context?.sni).toBe("a.example");
      expect(context?.commonTlsContext?.validationContextType.value).toMatchObject({
        trustedCa: { specifier: { value: "/ca.pem" } },
      });
      expect(addresses(at, CLIENT, NAME)).toEqual(["10.9.0.1:8080"]);
    },
    "mode: MUTUAL, clientCertificate: /c.pem, privateKey: /k.pem": (at) => {
      const context = tlsOf(cluster(at, CLIENT, NAME))?.commonTlsContext;
      expect(context?.tlsCertificates).toHaveLength(1);
      expect(context?.validationContextType.value).toMatchObject({ systemRootCerts: {} });
    },
  };
  expect.assertions(9);
  for (const [tls, check] of Object.entries(modes)) check(mesh([MESHED], rule(`tls: {${tls}}`)));
});

function headerOf(socket: TransportSocket | undefined): Version | undefined {
  const config = socket?.configType.value;
  return config && anyUnpack(config, ProxyProtocolUpstreamTransportSchema)?.config?.version;
}

test("outboundCluster lets plaintext connections begin with the PROXY header of the DestinationRule", () => {
  const plain = (policy: string) =>
    headerOf(cluster(mesh([PLAIN], rule(policy)), CLIENT, NAME).transportSocket);
  expect(plain("proxyProtocol: {version: V2}")).toBe(Version.V2);
  expect(plain("proxyProtocol: {version: V1}")).toBe(Version.V1);
  expect(plain("proxyProtocol: {}")).toBe(Version.V1);
  const originated = cluster(mesh([PLAIN], rule("proxyProtocol: {}, tls: {mode: SIMPLE}")), CLIENT, NAME);
  expect(headerOf(originated.transportSocket)).toBe(Version.V1);
});

test("outboundCluster sends no PROXY header to sidecars, nor from proxyless clients, and says so", () => {
  const policy = "proxyProtocol: {version: V2}";
  const [mtls, plaintext] = cluster(mesh([MESHED, PLAIN], rule(policy)), CLIENT, NAME).transportSocketMatches;
  expect(headerOf(mtls?.transportSocket)).toBeUndefined();
  expect(headerOf(plaintext?.transportSocket)).toBe(Version.V2);
  const told = (at: TestMesh, view: ClientView): string =>
    made(at, view, CLUSTER_TYPE, NAME).warnings.join("\n");
  expect(told(mesh([MESHED], rule(`${policy}, tls: {mode: ISTIO_MUTUAL}`)), CLIENT)).toContain(
    "proxyProtocol has no effect",
  );
  expect(told(mesh([PLAIN], rule(policy)), GRPC_CLIENT)).toContain("send no PROXY header");
});

test("outboundCluster trusts nobody when ISTIO_MUTUAL is asked for and no identity is known", () => {
  const yaml = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a}
spec:
  hosts: [a.example]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 192.0.2.1}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a}
spec: {host: a.example, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}
`;
  const context = tlsOf(cluster(mesh([], yaml), CLIENT, "outbound|80||a.example"));
  expect(context?.commonTlsContext?.validationContextType.value).toMatchObject({
    defaultValidationContext: {
      matchTypedSubjectAltNames: [
        { matcher: { matchPattern: { value: "spiffe://cluster.local/ns/default/sa/" } } },
      ],
    },
  });
});

test("outboundCluster names the accounts of all instances, whatever their health", () => {
  const other = instance({
    service: "reviews",
    servicePort: 9080,
    serviceAccount: "second",
    health: "critical",
  });
  const [match] = cluster(mesh([MESHED, other]), CLIENT, NAME).transportSocketMatches;
  const config = match?.transportSocket?.configType.value;
  const context = config && anyUnpack(config, UpstreamTlsContextSchema);
  expect(JSON.stringify(context?.commonTlsContext?.validationContextType.value)).toMatch(
    /sa\/reviews.*sa\/second/,
  );
});

test("outboundCluster does not depend on endpoints", () => {
  const at = mesh([MESHED, PLAIN]);
  const before = made(at, CLIENT, CLUSTER_TYPE, NAME);
  expect(before.dependencies.filter((one) => one.startsWith("endpoints:"))).toEqual([]);
  const after = made(mesh([{ ...MESHED, health: "critical" }, PLAIN]), CLIENT, CLUSTER_TYPE, NAME);
  expect(after.resource.version).toBe(before.resource.version);
});

test.each([`outbound|1||${HOST}`, "outbound|80||nowhere.default.svc.cluster.local"])(
  "outboundCluster is a cluster without endpoints for %s, which does not exist",
  (name) => {
    const at = mesh([MESHED]);
    expect(cluster(at, CLIENT, name).clusterDiscoveryType.value).toBe(Cluster_DiscoveryType.EDS);
    expect(addresses(at, CLIENT, name)).toEqual([]);
    expect(made(at, CLIENT, CLUSTER_TYPE, name).dependencies).toContain(
      name.includes("nowhere") ? "service:default/nowhere" : "service:default/reviews",
    );
  },
);

test.each(["", "x", "outbound|80|", "inbound|9080||reviews.default.svc.cluster.local"])(
  "translate makes no cluster of %j",
  (name) => {
    expect(translate(mesh([MESHED]).reader, CLIENT, CLUSTER_TYPE, name).resource).toBeUndefined();
    expect(translate(mesh([MESHED]).reader, CLIENT, ENDPOINT_TYPE, name).resource).toBeUndefined();
  },
);

test("outboundCluster asks for HTTP/2 towards gRPC services", () => {
  const at = mesh([{ ...MESHED, protocol: "grpc" as const }]);
  const made = cluster(at, CLIENT, NAME);
  expect(Object.keys(made.typedExtensionProtocolOptions)).toHaveLength(1);
  const config = made.transportSocketMatches[0]?.transportSocket?.configType.value;
  expect(config && anyUnpack(config, UpstreamTlsContextSchema)?.commonTlsContext?.alpnProtocols).toEqual([
    "h2",
    "http/1.1",
  ]);
});

test("outboundCluster gives hash policies as they are, with the bound that an annotation asks for", () => {
  const settings = "loadBalancer: {consistentHash: {httpHeaderName: x, maglev: {tableSize: 1021}}}";
  const plain = cluster(mesh([MESHED], rule(settings)), CLIENT, NAME);
  expect(plain.lbPolicy).toBe(Cluster_LbPolicy.MAGLEV);
  expect(plain.lbConfig).toMatchObject({ case: "maglevLbConfig", value: { tableSize: 1021n } });
  expect(plain.commonLbConfig?.consistentHashingLbConfig).toBeUndefined();
  const bounded = annotated(settings, 'tulle.dev/hash-balance-factor: "150"');
  const { commonLbConfig } = cluster(mesh([MESHED], bounded), CLIENT, NAME);
  expect(commonLbConfig?.consistentHashingLbConfig?.hashBalanceFactor).toBe(150);
});

test("outboundCluster asks for peak EWMA as a list that ends in a policy that every proxy knows", () => {
  const at = mesh(
    [MESHED],
    annotated("loadBalancer: {simple: LEAST_REQUEST}", "tulle.dev/load-balancer: PEAK_EWMA"),
  );
  const policies = cluster(at, CLIENT, NAME).loadBalancingPolicy?.policies;
  expect(policies?.map(({ typedExtensionConfig }) => typedExtensionConfig?.name)).toEqual([
    "tulle.peak_ewma",
    "envoy.load_balancing_policies.least_request",
  ]);
  expect(cluster(at, GRPC_CLIENT, NAME).lbPolicy).toBe(Cluster_LbPolicy.ROUND_ROBIN);
});

test("outboundCluster has the DestinationRule's retry budget, its interval as metadata", () => {
  const made = cluster(
    mesh([MESHED], rule("retryBudget: {percent: 12.5, minRetryConcurrency: 7, budgetInterval: 5s}")),
    CLIENT,
    NAME,
  );
  expect(made.circuitBreakers?.thresholds[0]?.retryBudget).toMatchObject({
    budgetPercent: { value: 12.5 },
    minRetryConcurrency: 7,
  });
  expect(made.metadata?.filterMetadata["tulle.dev"]).toEqual({ retryBudgetIntervalMs: 5000 });
  const plain = cluster(mesh([MESHED], rule("retryBudget: {percent: 10}")), CLIENT, NAME);
  expect(plain.metadata?.filterMetadata).not.toHaveProperty("tulle.dev");
});

test("outboundCluster looks each host up by its own name that a DYNAMIC_DNS entry covers", () => {
  const yaml = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: cdn}
spec: {hosts: ["*.cdn.example", api.example], resolution: DYNAMIC_DNS, ports: [{number: 80, name: http}]}
`;
  const at = mesh([], yaml);
  for (const host of ["a.cdn.example", "b.cdn.example", "api.example"]) {
    expect(cluster(at, CLIENT, `outbound|80||${host}`)).toMatchObject({
      clusterDiscoveryType: { value: Cluster_DiscoveryType.STRICT_DNS },
      loadAssignment: {
        endpoints: [
          {
            lbEndpoints: [
              { hostIdentifier: { value: { address: { address: { value: { address: host } } } } } },
            ],
          },
        ],
      },
    });
  }
  expect(routesOf(at, CLIENT, "a.cdn.example:80").map(({ action }) => action.value)).toMatchObject([
    { clusterSpecifier: { value: "outbound|80||a.cdn.example" } },
  ]);
});

test.each([
  [
    "loadBalancer: {simple: LEAST_REQUEST}",
    "tulle.dev/load-balancer: EWMA",
    "annotation tulle.dev/load-balancer must be PEAK_EWMA",
  ],
  [
    "loadBalancer: {simple: LEAST_REQUEST}",
    'tulle.dev/hash-balance-factor: "99"',
    "must be a whole number from 100 on",
  ],
  ["loadBalancer: {simple: RANDOM}", "tulle.dev/load-balancer: PEAK_EWMA", "PEAK_EWMA has no effect beside"],
  [
    "loadBalancer: {warmup: {duration: 10s}}",
    "tulle.dev/load-balancer: PEAK_EWMA",
    "PEAK_EWMA goes without warmup",
  ],
])("outboundCluster warns of %s with %s", (settings, annotation, warning) => {
  const { warnings } = made(mesh([MESHED], annotated(settings, annotation)), CLIENT, CLUSTER_TYPE, NAME);
  expect(warnings).toEqual([expect.stringContaining(warning)]);
});

function annotated(settings: string, annotation: string): string {
  return `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, annotations: {${annotation}}}
spec: {host: reviews, trafficPolicy: {${settings}}}
`;
}
