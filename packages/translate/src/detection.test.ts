import { create } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import type { AppProtocol } from "@tulle/api";
import { LISTENER_TYPE } from "@tulle/xds";
import { ListenerSchema } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { HttpProtocolOptionsSchema } from "@tulle/xds/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import type { FilterChain } from "@tulle/xds/gen/envoy/config/listener/v3/listener_components_pb.js";
import { expect, test } from "vitest";
import {
  apiManager,
  CLIENT,
  cluster,
  instance,
  listener,
  made,
  mesh,
  targetsOf,
  tcpProxy,
  type TestMesh,
} from "../testdata/mesh.js";

const HOST = "db.default.svc.cluster.local";
const OWN = `outbound|5432||${HOST}`;

const at = (protocol: AppProtocol, yaml = ""): TestMesh =>
  mesh([instance({ service: "db", servicePort: 5432, protocol })], yaml);

function rules(...tls: readonly string[]): string {
  return `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: db}
spec:
  hosts: [db, "*.example.com", a.example.com]
  tls: [${tls.join(", ")}]
`;
}

const to = (port: number, ...matches: readonly string[]): string =>
  `{match: [${matches.join(", ")}], route: [{destination: {host: db, port: {number: ${port}}}}]}`;

/** Where a chain leads: to routes, or to the clusters of its tcp_proxy. */
function leadsTo(chain: FilterChain | undefined): string {
  const { routes, clusters } = targetsOf(create(ListenerSchema, { filterChains: chain ? [chain] : [] }));
  return [...routes, ...clusters].join(",");
}

function described(mesh: TestMesh, name = "db:5432") {
  const { filterChains, defaultFilterChain, listenerFilters, ...rest } = listener(mesh, CLIENT, name);
  return {
    chains: filterChains.map((chain) => [chain.filterChainMatch?.serverNames.join(","), leadsTo(chain)]),
    rest: leadsTo(defaultFilterChain),
    inspectors: listenerFilters.map((filter) => filter.name.split(".").at(-1)),
    silence: rest.listenerFiltersTimeout?.nanos,
    goesOn: rest.continueOnListenerFiltersTimeout,
  };
}

test("outboundListener tells HTTP from the rest where nobody declares a protocol", () => {
  expect(described(at("auto"))).toEqual({
    chains: [["", `${HOST}:5432`]],
    rest: OWN,
    inspectors: ["tls_inspector", "http_inspector"],
    silence: 50_000_000,
    goesOn: true,
  });
  const { filterChains, address, apiListener } = listener(at("auto"), CLIENT, "db:5432");
  expect(filterChains[0]?.filterChainMatch).toMatchObject({
    transportProtocol: "raw_buffer",
    applicationProtocols: ["http/1.1", "h2c"],
  });
  expect([address, apiListener]).toEqual([undefined, undefined]);
});

test("outboundListener gives proxyless gRPC the API listener that it asks for", () => {
  expect(apiManager(at("auto"), { ...CLIENT, dialect: "grpc" }, "db:5432").routeSpecifier.case).toBe("rds");
});

test("outboundListener does not look into what is declared", () => {
  for (const protocol of ["tcp", "tls", "https"] as const) {
    expect(tcpProxy(at(protocol), CLIENT, "db:5432")).toBeDefined();
    expect(listener(at(protocol), CLIENT, "db:5432").listenerFilters).toEqual([]);
  }
});

test.each(["tls", "https"] as const)(
  "outboundListener chooses by server name on a port of %s",
  (protocol) => {
    expect(described(at(protocol, rules(to(1, '{sniHosts: ["*.example.com"]}'))))).toMatchObject({
      chains: [["*.example.com", `outbound|1||${HOST}`]],
      rest: OWN,
      inspectors: ["tls_inspector"],
    });
  },
);

test("outboundListener takes of several rules for a name the first that can hold", () => {
  const yaml = rules(
    to(1, "{sniHosts: [A.example.com], port: 1}"),
    to(2, "{sniHosts: [A.example.com], port: 5432}", '{sniHosts: ["*.example.com"], sourceLabels: {app: x}}'),
    to(3, '{sniHosts: [a.example.com, "*.example.com"]}'),
    to(4, "{sniHosts: [a.example.com]}"),
  );
  expect(described(at("tls", yaml)).chains).toEqual([
    ["a.example.com", `outbound|2||${HOST}`],
    ["*.example.com", `outbound|3||${HOST}`],
  ]);
});

test("outboundListener says which rules have no effect", () => {
  const warnings = (protocol: AppProtocol): readonly string[] =>
    made(at(protocol, rules(to(5432, "{sniHosts: [a.example.com]}"))), CLIENT, LISTENER_TYPE, "db:5432")
      .warnings;
  expect(warnings("tcp")).toEqual([expect.stringContaining("tls rules have no effect on")]);
  expect(warnings("tls")).toEqual([]);
  expect(warnings("auto")).toEqual([]);
});

test("the cluster of a port that nobody declares serves HTTP of any version, and bytes", () => {
  const made = cluster(at("auto"), CLIENT, OWN);
  const [options] = Object.values(made.typedExtensionProtocolOptions);
  const http = options && anyUnpack(options, HttpProtocolOptionsSchema);
  expect(http?.upstreamProtocolOptions.case).toBe("useDownstreamProtocolConfig");
});

test("the name of a ServiceEntry's port declares a protocol where nothing else does", () => {
  const entry = mesh(
    [],
    `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop}
spec:
  hosts: [shop.example]
  resolution: STATIC
  endpoints: [{address: 192.0.2.1}]
  ports:
  - {number: 1, name: http-web}
  - {number: 2, name: mysql}
  - {number: 3, name: anything}
  - {number: 4, name: http-really, protocol: TCP}
`,
  );
  expect(apiManager(entry, CLIENT, "shop.example:1").routeSpecifier.case).toBe("rds");
  expect(tcpProxy(entry, CLIENT, "shop.example:2")).toBeDefined();
  expect(described(entry, "shop.example:3").inspectors).toHaveLength(2);
  expect(tcpProxy(entry, CLIENT, "shop.example:4")).toBeDefined();
});

test("a MeshConfig says how long detection waits, of listeners that detect and of unknown destinations", () => {
  const yaml = (timeout: string): string => `
apiVersion: tulle.dev/v1
kind: MeshConfig
metadata: {name: mesh, namespace: istio-system}
spec: {protocolDetectionTimeout: ${timeout}}
`;
  const timeoutOf = (text: string, name: string) =>
    listener(at("auto", text), CLIENT, name).listenerFiltersTimeout;
  expect(timeoutOf("", "db:5432")).toMatchObject({ seconds: 0n, nanos: 50_000_000 });
  expect(timeoutOf("", "virtualOutbound")).toBeUndefined();
  for (const name of ["db:5432", "virtualOutbound"]) {
    expect(timeoutOf(yaml("1500ms"), name)).toMatchObject({ seconds: 1n, nanos: 500_000_000 });
    expect(timeoutOf(yaml("0s"), name)).toMatchObject({ seconds: 0n, nanos: 0 });
  }
});
