import type { MessageInitShape } from "@bufbuild/protobuf";
import { CLUSTER_TYPE, LISTENER_TYPE, ROUTE_TYPE } from "@tulle/xds";
import { TrafficDirection } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import type { FilterChainSchema } from "@tulle/xds/gen/envoy/config/listener/v3/listener_components_pb.js";
import { ListenerSchema } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { TcpProxySchema } from "@tulle/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { HttpProtocolOptionsSchema } from "@tulle/xds/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import { expect, test } from "vitest";
import type { DetectedChain, OutboundChain } from "./contract.js";
import { createLoadTable } from "../load/load-table.js";
import { routeConnection } from "../route/route-connection.js";
import { chainForServerName } from "../route/server-names.js";
import { change, edsCluster, endpoints, manager, packed, routes, routeTo } from "../testing/resources.js";
import { createSnapshotSource } from "./snapshot-source.js";

type ChainInit = MessageInitShape<typeof FilterChainSchema>;

const tcpTo = (cluster: string) => ({
  name: "tcp",
  configType: {
    case: "typedConfig" as const,
    value: packed(TcpProxySchema, { clusterSpecifier: { case: "cluster", value: cluster } }),
  },
});
const HTTP_FILTER = {
  name: "http",
  configType: {
    case: "typedConfig" as const,
    value: manager({ routeSpecifier: { case: "rds", value: { routeConfigName: "r" } } }),
  },
};
const HTTP: ChainInit = {
  filterChainMatch: { transportProtocol: "raw_buffer", applicationProtocols: ["http/1.1", "h2c"] },
  filters: [HTTP_FILTER],
};
const named = (cluster: string, ...serverNames: string[]): ChainInit => ({
  filterChainMatch: { transportProtocol: "tls", serverNames },
  filters: [tcpTo(cluster)],
});
const AS_CLIENT = {
  "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": packed(HttpProtocolOptionsSchema, {
    upstreamProtocolOptions: { case: "useDownstreamProtocolConfig", value: {} },
  }),
};
const REST: ChainInit = { filters: [tcpTo("rest")] };

function applied(filterChains: ChainInit[], defaultFilterChain?: ChainInit, nanos = 50_000_000) {
  const load = createLoadTable({ maxSlots: 100 });
  const source = createSnapshotSource({ load });
  const [rejection] = source.apply([
    change(LISTENER_TYPE, "db:1", ListenerSchema, {
      name: "db:1",
      trafficDirection: TrafficDirection.OUTBOUND,
      filterChains,
      ...(defaultFilterChain !== undefined && { defaultFilterChain }),
      listenerFiltersTimeout: { nanos },
    }),
  ]);
  const chain = (): OutboundChain | undefined | null => source.current.outbound("db:1");
  return { source, load, chain, message: rejection?.message };
}

test("a timeout of zero is none: a silent client is waited for", () => {
  const chain = applied([HTTP], REST, 0).chain();
  expect(chain?.protocol === "detected" && chain.silenceMs).toBeGreaterThan(3_600_000);
});

test("outbound gives a chain that tells HTTP, TLS by name and the rest apart", () => {
  const { source, load, chain } = applied([HTTP, named("a", "A.example"), named("wild", "*.example")], REST);
  expect(chain()).toMatchObject({ protocol: "detected", silenceMs: 50, warm: false });
  const wanted = source.wanted(["db:1"]);
  expect(wanted.get(ROUTE_TYPE)).toEqual(new Set(["r"]));
  expect(wanted.get(CLUSTER_TYPE)).toEqual(new Set(["a", "wild", "rest"]));
  const clusters = ["a", "wild", "rest", "web"];
  source.apply([
    routes("r", [routeTo("web")]),
    ...clusters.map((name) => edsCluster(name)),
    ...clusters.map((name) => endpoints(name, [{ address: "10.0.0.1" }])),
  ]);
  const detected = chain() as DetectedChain;
  expect(detected).toMatchObject({ warm: true, http: { protocol: "http", warm: true }, tcp: { warm: true } });
  const view = { snapshot: source.current, load, now: 0, entropy: 0 };
  const clusterFor = (name: string): string =>
    routeConnection(view, chainForServerName(detected, name)).cluster.name;
  expect(["a.example", "b.example", "example", "", "evil-a.example.org"].map(clusterFor)).toEqual([
    "a",
    "wild",
    "rest",
    "rest",
    "rest",
  ]);
});

test("a chain for TLS without names takes every name that no other has", () => {
  const { chain } = applied([named("any"), named("a", "a.example")], REST);
  const detected = chain() as DetectedChain;
  const [any, a] = detected.tls.map(({ tcp }) => tcp);
  expect(chainForServerName(detected, "a.example")).toBe(a);
  expect(chainForServerName(detected, "b.example")).toBe(any);
  expect(chainForServerName(detected, "")).toBe(any);
  expect(detected.http).toBeUndefined();
});

test("a detected chain stays the same object for as long as nothing of it changes", () => {
  const { source, chain } = applied([HTTP], REST);
  const before = chain();
  source.apply([edsCluster("unrelated")]);
  expect(chain()).toBe(before);
  source.apply([edsCluster("rest"), endpoints("rest", [])]);
  expect(chain()).not.toBe(before);
});

test.each([
  [[HTTP, HTTP], REST, "may have one chain for plaintext HTTP"],
  [[HTTP, named("a", "a")], undefined, "needs one tcp_proxy that takes what the others do not"],
  [[REST], REST, "needs one tcp_proxy that takes what the others do not"],
  [
    [{ filters: [HTTP_FILTER] }],
    REST,
    "filter_chains[0].filter_chain_match: of HTTP must be application_protocols",
  ],
  [
    [{ ...HTTP, filterChainMatch: { applicationProtocols: ["h2"], transportProtocol: "tls" } }],
    REST,
    "filter_chains[0].filter_chain_match: of HTTP must be",
  ],
  [
    [{ filterChainMatch: { applicationProtocols: ["redis"] }, filters: [tcpTo("a")] }],
    REST,
    "filter_chain_match.application_protocols: is supported for HTTP only",
  ],
] as readonly [ChainInit[], ChainInit | undefined, string][])(
  "an outbound listener with chains that cannot be told apart is refused (%#)",
  (chains, rest, message) => {
    expect(applied(chains, rest).message).toContain(message);
  },
);

test("an endpoint in plaintext speaks HTTP/2 to clients that do, where its cluster says so", () => {
  const load = createLoadTable({ maxSlots: 100 });
  const source = createSnapshotSource({ load });
  source.apply([edsCluster("a"), endpoints("a", [{ address: "10.0.0.1" }])]);
  expect(source.current.cluster("a")?.endpoints[0]).toMatchObject({ http2: false, overHttp2: undefined });
  source.apply([edsCluster("a", { typedExtensionProtocolOptions: AS_CLIENT })]);
  const [endpoint] = source.current.cluster("a")?.endpoints ?? [];
  expect(endpoint).toMatchObject({ http2: false, overHttp2: { http2: true, slot: endpoint?.slot } });
});
