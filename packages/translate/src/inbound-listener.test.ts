import { anyUnpack } from "@bufbuild/protobuf/wkt";
import type { HttpRetry } from "@tulle/api";
import { CLUSTER_TYPE, LISTENER_TYPE } from "@tulle/xds";
import {
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
} from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import type { RouteAction } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import type { FilterChain } from "@tulle/xds/gen/envoy/config/listener/v3/listener_components_pb.js";
import {
  HttpConnectionManager_ForwardClientCertDetails as ForwardClientCert,
  HttpConnectionManagerSchema,
} from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { ProxyProtocolConfig_Version as Version } from "@tulle/xds/gen/envoy/config/core/v3/proxy_protocol_pb.js";
import { ProxyProtocolUpstreamTransportSchema } from "@tulle/xds/gen/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.js";
import { expect, test } from "vitest";
import {
  addresses,
  CLIENT,
  cluster,
  instance,
  listener,
  made,
  mesh,
  SETTINGS,
  type TestMesh,
} from "../testdata/mesh.js";
import type { ClientView } from "./contract.js";
import { translate } from "./translate.js";

const HOST = "reviews.default.svc.cluster.local";
const REVIEWS = mesh([
  instance({ service: "reviews", servicePort: 9080 }),
  instance({ service: "reviews", servicePort: 9090 }),
]);

function view(...ports: readonly (readonly [servicePort: number, appPort: number])[]): ClientView {
  return {
    ...CLIENT,
    inbound: ports.map(([servicePort, appPort]) => ({
      service: "reviews",
      namespace: "default",
      servicePort,
      appPort,
    })),
  };
}

function chains(at: TestMesh, client: ClientView): FilterChain[] {
  return listener(at, client, "virtualInbound").filterChains;
}

function managerOf(chain: FilterChain | undefined) {
  const config = chain?.filters[0]?.configType;
  const manager =
    config?.case === "typedConfig" ? anyUnpack(config.value, HttpConnectionManagerSchema) : undefined;
  if (manager?.routeSpecifier.case !== "routeConfig") throw new Error("the chain has no routes of its own");
  return { manager, hosts: manager.routeSpecifier.value.virtualHosts };
}

function policy(mode: string): string {
  return `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: ${mode}}}
`;
}

test("inboundListener has a chain of mutual TLS for each port and one of plaintext", () => {
  const made = chains(REVIEWS, view([9080, 8080], [9090, 8081]));
  expect(
    made.map(({ filterChainMatch }) => [filterChainMatch?.transportProtocol, filterChainMatch?.serverNames]),
  ).toEqual([
    ["tls", [`outbound_.9080_._.${HOST}`]],
    ["tls", [`outbound_.9090_._.${HOST}`]],
    ["raw_buffer", []],
  ]);
});

test("inboundListener chooses the port of plaintext requests by Host, the first by default", () => {
  const { hosts, manager } = managerOf(chains(REVIEWS, view([9080, 8080], [9090, 8081])).at(-1));
  const clusterFor = (domain: string) => {
    const action = hosts.find(({ domains }) => domains.includes(domain))?.routes[0]?.action;
    return action?.case === "route" ? action.value.clusterSpecifier.value : undefined;
  };
  expect(clusterFor("reviews:9090")).toBe(`inbound|9090||${HOST}`);
  expect(clusterFor(`${HOST}:9080`)).toBe(`inbound|9080||${HOST}`);
  expect(clusterFor("*")).toBe(`inbound|9080||${HOST}`);
  const domains = hosts.flatMap((host) => host.domains);
  expect(new Set(domains).size).toBe(domains.length);
  expect(manager.forwardClientCertDetails).toBe(ForwardClientCert.SANITIZE);
});

test("inboundListener retries only what never reached the application", () => {
  const { hosts, manager } = managerOf(chains(REVIEWS, view([9080, 8080]))[0]);
  expect(hosts[0]?.routes[0]?.action.value).toMatchObject({
    retryPolicy: { retryOn: "reset-before-request", numRetries: 2 },
  });
  expect(manager.setCurrentClientCertDetails?.uri).toBe(true);
});

test("the mesh may say what a sidecar tries again towards its application", () => {
  const policyWith = (defaultInboundHttpRetryPolicy: HttpRetry) => {
    const at = {
      reader: { ...REVIEWS.reader, settings: { ...SETTINGS, defaultInboundHttpRetryPolicy } },
    };
    const route = managerOf(chains(at, view([9080, 8080]))[0]).hosts[0]?.routes[0];
    const action = route?.action.value as RouteAction | undefined;
    return [action?.retryPolicy, route?.metadata?.filterMetadata["tulle.dev"]];
  };
  expect(policyWith({})).toEqual([undefined, undefined]);
  expect(policyWith({ retryOn: "503" })).toEqual([undefined, { retryOnStated: true }]);
  expect(policyWith({ attempts: 1 })).toMatchObject([
    { retryOn: "reset-before-request", numRetries: 1, retryHostPredicate: [] },
    undefined,
  ]);
  expect(policyWith({ attempts: 3, retryOn: "503,reset" })).toMatchObject([
    { retryOn: "reset,retriable-status-codes", retriableStatusCodes: [503], numRetries: 3 },
    { retryOnStated: true },
  ]);
});

test.each([
  ["STRICT", ["tls"]],
  ["PERMISSIVE", ["tls", "raw_buffer"]],
  ["DISABLE", ["raw_buffer"]],
])("inboundListener under %s takes %j", (mode, expected) => {
  const at = mesh(REVIEWS.reader.catalog.service("default", "reviews")?.instances ?? [], policy(mode));
  expect(
    chains(at, view([9080, 8080])).map(({ filterChainMatch }) => filterChainMatch?.transportProtocol),
  ).toEqual(expected);
  expect(made(at, view([9080, 8080]), LISTENER_TYPE, "virtualInbound").owners).toEqual([
    "PeerAuthentication/default/default",
  ]);
});

test("inboundListener tells redirected connections apart by their port, and those of its own by the listener's", () => {
  const matches = (at: TestMesh) =>
    chains(at, { ...view([9080, 8080], [9090, 8081]), intercepts: true }).map(
      ({ name, filterChainMatch: match }) => [
        match?.destinationPort,
        match?.transportProtocol,
        match?.serverNames.length,
        name.split("|")[0],
      ],
    );
  const direct = [
    [15_006, "tls", 1, "inbound"],
    [15_006, "tls", 1, "inbound"],
  ];
  expect(matches(REVIEWS)).toEqual([
    ...direct,
    [15_006, "raw_buffer", 0, "virtualInbound-plaintext"],
    [8080, "tls", 0, "0.0.0.0_8080"],
    [8080, "raw_buffer", 0, "0.0.0.0_8080"],
    [8081, "tls", 0, "0.0.0.0_8081"],
    [8081, "raw_buffer", 0, "0.0.0.0_8081"],
    [undefined, "raw_buffer", 0, "InboundPassthroughCluster"],
  ]);
  // Nothing in plaintext then, to no port.
  const registered = REVIEWS.reader.catalog.service("default", "reviews")?.instances ?? [];
  expect(matches(mesh(registered, policy("STRICT")))).toEqual([
    ...direct,
    [8080, "tls", 0, "0.0.0.0_8080"],
    [8081, "tls", 0, "0.0.0.0_8081"],
  ]);
});

test("inboundListener of redirected connections finds out what each of several ports carries", () => {
  const client = { ...view([9080, 8080], [9090, 8081]), intercepts: true };
  const plaintext = chains(mesh([]), client).filter(
    ({ filterChainMatch: match }) =>
      match?.transportProtocol === "raw_buffer" && match.destinationPort !== 15_006,
  );
  expect(
    plaintext.map(({ filterChainMatch: match, filters }) => [
      match?.destinationPort,
      match?.applicationProtocols.length,
      filters[0]?.name.split(".").at(-1),
    ]),
  ).toEqual([
    [8080, 2, "http_connection_manager"],
    [8080, 0, "tcp_proxy"],
    [8081, 2, "http_connection_manager"],
    [8081, 0, "tcp_proxy"],
    [undefined, 0, "tcp_proxy"],
  ]);
});

test("inboundListener of redirected connections takes plaintext bytes on each of several ports", () => {
  const tcp = view([9080, 8080], [9090, 8081]);
  const client = {
    ...tcp,
    intercepts: true,
    inbound: tcp.inbound.map((port) => ({ ...port, protocol: "tcp" as const })),
  };
  const bytes = chains(mesh([]), client).filter(
    ({ filterChainMatch: match }) => match?.transportProtocol === "raw_buffer",
  );
  expect(bytes.map(({ filterChainMatch }) => filterChainMatch?.destinationPort)).toEqual([
    8080,
    8081,
    undefined,
  ]);
});

test("inboundCluster lets the application know its client by a PROXY header, where it wants one", () => {
  const plain = view([9080, 8080]);
  const client = { ...plain, inbound: plain.inbound.map((port) => ({ ...port, proxyProtocol: 2 as const })) };
  const name = `inbound|9080||${HOST}`;
  expect(cluster(REVIEWS, plain, name).transportSocket).toBeUndefined();
  const socket = cluster(REVIEWS, client, name).transportSocket?.configType.value;
  expect(socket && anyUnpack(socket, ProxyProtocolUpstreamTransportSchema)?.config?.version).toBe(Version.V2);
});

test("inboundPassthrough leads to the original destination, for clients that are redirected to only", () => {
  const name = "InboundPassthroughCluster";
  const made = cluster(REVIEWS, { ...view([9080, 8080]), intercepts: true }, name);
  expect(made.clusterDiscoveryType.value).toBe(Cluster_DiscoveryType.ORIGINAL_DST);
  expect(made.lbPolicy).toBe(Cluster_LbPolicy.CLUSTER_PROVIDED);
  expect(translate(REVIEWS.reader, view([9080, 8080]), CLUSTER_TYPE, name).resource).toBeUndefined();
});

test("inboundListener takes every port's server name for a portless service", () => {
  const [chain] = chains(mesh([instance({ service: "reviews" })]), view([9001, 9001]));
  expect(chain?.filterChainMatch?.serverNames).toEqual([
    `outbound_.9001_._.${HOST}`,
    `outbound_.8080_._.${HOST}`,
    `*.${HOST}`,
  ]);
});

test("inboundListener works before its service is registered", () => {
  const at = (protocol: "http" | "tcp"): ClientView => ({
    ...CLIENT,
    inbound: [{ service: "reviews", namespace: "default", servicePort: 9080, appPort: 8080, protocol }],
  });
  expect(chains(mesh([]), at("http"))).toHaveLength(2);
  expect(chains(mesh([]), at("tcp"))).toHaveLength(2);
});

/** Transport, application protocols and kind of filter of each chain. */
function taken(at: TestMesh, client: ClientView) {
  return chains(at, client).map(({ filterChainMatch, filters }) => [
    filterChainMatch?.transportProtocol,
    filterChainMatch?.applicationProtocols,
    filters[0]?.name.split(".").at(-1),
  ]);
}

test("inboundListener has chains for HTTP and for bytes where nobody says what a port carries", () => {
  const auto = mesh([instance({ service: "reviews", servicePort: 9080, protocol: "auto" })]);
  const expected = [
    ["tls", ["h2", "http/1.1"], "http_connection_manager"],
    ["tls", [], "tcp_proxy"],
    ["raw_buffer", ["http/1.1", "h2c"], "http_connection_manager"],
    ["raw_buffer", [], "tcp_proxy"],
  ];
  expect(taken(auto, view([9080, 8080]))).toEqual(expected);
  expect(taken(mesh([]), view([9080, 8080]))).toEqual(expected);
  const { listenerFilters, listenerFiltersTimeout } = listener(auto, view([9080, 8080]), "virtualInbound");
  expect(listenerFilters.map(({ name }) => name)).toEqual([
    "envoy.filters.listener.tls_inspector",
    "envoy.filters.listener.http_inspector",
  ]);
  expect(listenerFiltersTimeout?.nanos).toBe(50_000_000);
});

test("inboundListener takes nothing but HTTP in plaintext where bytes could be for several ports", () => {
  const auto = mesh([instance({ service: "reviews", servicePort: 9080, protocol: "auto" })]);
  expect(taken(auto, view([9080, 8080], [9081, 8081])).slice(-1)).toEqual([
    ["raw_buffer", [], "http_connection_manager"],
  ]);
});

test("inboundListener believes the registry before the workload", () => {
  const client = view([9080, 8080]);
  const inbound = client.inbound.map((port) => ({ ...port, protocol: "tcp" as const }));
  expect(taken(REVIEWS, { ...client, inbound })).toHaveLength(2);
  const auto = mesh([instance({ service: "reviews", servicePort: 9080, protocol: "auto" })]);
  expect(taken(auto, { ...client, inbound }).map(([, , filter]) => filter)).toEqual([
    "tcp_proxy",
    "tcp_proxy",
  ]);
});

test("inboundListener is nothing for clients that cannot serve", () => {
  expect(translate(REVIEWS.reader, CLIENT, LISTENER_TYPE, "virtualInbound").resource).toBeUndefined();
  const strict = mesh([], policy("STRICT"));
  const plaintext = { ...view([9080, 8080]), mtls: false };
  expect(translate(strict.reader, plaintext, LISTENER_TYPE, "virtualInbound").resource).toBeUndefined();
});

test("inboundCluster leads to the application", () => {
  const made = cluster(REVIEWS, view([9080, 8080]), `inbound|9080||${HOST}`);
  const endpoint = made.loadAssignment?.endpoints[0]?.lbEndpoints[0]?.hostIdentifier.value;
  expect(endpoint).toMatchObject({ address: { address: { value: { address: "127.0.0.1" } } } });
  expect(addresses(REVIEWS, CLIENT, `outbound|9080||${HOST}`)).toHaveLength(1);
});

test("inboundCluster has the limits that the workload's Sidecar sets, of the port before those of all", () => {
  const services = [instance({ service: "reviews", servicePort: 9080 })];
  const limits = (yaml: string) => {
    const at = mesh(services, yaml);
    const { circuitBreakers } = cluster(at, view([9080, 8080]), `inbound|9080||${HOST}`);
    const { maxConnections, maxRequests } = circuitBreakers!.thresholds[0]!;
    return [maxConnections, maxRequests];
  };
  const sidecar = (ingress: string) => `
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: own}
spec:
  inboundConnectionPool: {tcp: {maxConnections: 10}, http: {http2MaxRequests: 20}}
  egress: [{hosts: ["*/*"]}]
  ${ingress}
`;
  expect(limits("")).toEqual([4_294_967_295, 4_294_967_295]);
  expect(limits(sidecar(""))).toEqual([10, 20]);
  const port = "port: {number: 8080, protocol: HTTP, name: http}";
  expect(limits(sidecar(`ingress: [{${port}, connectionPool: {tcp: {maxConnections: 3}}}]`))).toEqual([
    3, 4_294_967_295,
  ]);
});
