import type { MessageInitShape } from "@bufbuild/protobuf";
import { CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE } from "@tulle/xds";
import { TrafficDirection } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import { ListenerSchema } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { TcpProxySchema } from "@tulle/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { expect, test } from "vitest";
import { Cluster_LbPolicy } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { affinityOf } from "../affinity/affinity-of.js";
import type { EndpointPart, TcpChain } from "./contract.js";
import { createLoadTable } from "../load/load-table.js";
import { pick } from "../pick/pick.js";
import { routeConnection } from "../route/route-connection.js";
import { change, edsCluster, endpoints, manager, packed } from "../testing/resources.js";
import { createSnapshotSource } from "./snapshot-source.js";

type TcpInit = MessageInitShape<typeof TcpProxySchema>;

function filter(init: TcpInit) {
  return { name: "tcp", configType: { case: "typedConfig", value: packed(TcpProxySchema, init) } } as const;
}

function tcpListener(name: string, init: TcpInit, chains = 1) {
  return change(LISTENER_TYPE, name, ListenerSchema, {
    name,
    trafficDirection: TrafficDirection.OUTBOUND,
    filterChains: Array.from({ length: chains }, () => ({ filters: [filter(init)] })),
  });
}

const TO_A: TcpInit = { clusterSpecifier: { case: "cluster", value: "a" } };

function sourceOf() {
  const load = createLoadTable({ maxSlots: 100 });
  return { load, source: createSnapshotSource({ load }) };
}

test("outbound gives a TCP chain that is warm when its cluster and endpoints have come", () => {
  const { source } = sourceOf();
  expect(source.apply([tcpListener("db:5432", TO_A)])).toEqual([]);
  const chain = (): TcpChain => source.current.outbound("db:5432") as TcpChain;
  expect(chain()).toMatchObject({ protocol: "tcp", direction: "outbound", warm: false });
  expect(source.wanted(["db:5432"]).get(CLUSTER_TYPE)).toEqual(new Set(["a"]));
  source.apply([edsCluster("a")]);
  expect(source.wanted(["db:5432"]).get(ENDPOINT_TYPE)).toEqual(new Set(["a"]));
  source.apply([endpoints("a", [])]);
  expect(chain().warm).toBe(true);
  expect(source.current.inbound("db:5432")).toBeUndefined();
});

test("routeConnection gives one plan for its cluster, with Envoy's defaults", () => {
  const { source, load } = sourceOf();
  source.apply([tcpListener("l", TO_A), edsCluster("a"), endpoints("a", [{ address: "10.0.0.1" }])]);
  const view = { snapshot: source.current, load, now: 0, entropy: 7 };
  const plan = routeConnection(view, source.current.outbound("l") as TcpChain);
  expect(plan).toMatchObject({ cluster: { name: "a" }, idleTimeoutMs: 3_600_000, retry: undefined });
  expect(routeConnection(view, source.current.outbound("l") as TcpChain)).toBe(plan);
  expect((pick(view, plan, { attempts: 0, triedSlots: [] }) as EndpointPart).host).toBe("10.0.0.1");
});

test("routeConnection leads another try to another endpoint when there may be several", () => {
  const { source, load } = sourceOf();
  source.apply([
    tcpListener("l", { ...(TO_A as object), maxConnectAttempts: 3, idleTimeout: { seconds: 9n } }),
    edsCluster("a"),
    endpoints("a", [{ address: "10.0.0.1" }, { address: "10.0.0.2" }]),
  ]);
  for (let entropy = 0; entropy < 50; entropy++) {
    const view = { snapshot: source.current, load, now: 0, entropy };
    const plan = routeConnection(view, source.current.outbound("l") as TcpChain);
    expect(plan).toMatchObject({ idleTimeoutMs: 9000, retry: { attempts: 2 } });
    const first = pick(view, plan, { attempts: 0, triedSlots: [] }) as EndpointPart;
    const second = pick(view, plan, { attempts: 1, triedSlots: [first.slot] }) as EndpointPart;
    expect(second.host).not.toBe(first.host);
  }
});

test("routeConnection splits connections by weight", () => {
  const { source, load } = sourceOf();
  const clusters = [
    { name: "a", weight: 80 },
    { name: "b", weight: 20 },
  ];
  source.apply([tcpListener("l", { clusterSpecifier: { case: "weightedClusters", value: { clusters } } })]);
  expect(source.wanted(["l"]).get(CLUSTER_TYPE)).toEqual(new Set(["a", "b"]));
  let toA = 0;
  for (let entropy = 0; entropy < 2000; entropy++) {
    const view = { snapshot: source.current, load, now: 0, entropy };
    if (routeConnection(view, source.current.outbound("l") as TcpChain).cluster.name === "a") toA++;
  }
  expect(toA).toBeGreaterThan(1500);
  expect(toA).toBeLessThan(1700);
});

test("an inbound listener has HTTP and TCP chains beside each other", () => {
  const { source } = sourceOf();
  const http = manager({ routeSpecifier: { case: "routeConfig", value: { name: "r" } } });
  const rejections = source.apply([
    change(LISTENER_TYPE, "virtualInbound", ListenerSchema, {
      name: "virtualInbound",
      filterChains: [
        { name: "bytes", filters: [filter(TO_A)] },
        { name: "http", filters: [{ name: "http", configType: { case: "typedConfig", value: http } }] },
      ],
    }),
  ]);
  expect(rejections).toEqual([]);
  const [bytes, other] = source.current.inbound("virtualInbound")?.chains ?? [];
  expect(bytes).toMatchObject({ name: "bytes", http: undefined, tcp: { protocol: "tcp", warm: false } });
  expect(other).toMatchObject({ name: "http", tcp: undefined, http: { protocol: "http", warm: true } });
});

test.each([
  [{}, 1, "must set one of cluster, weighted_clusters"],
  [{ clusterSpecifier: { case: "cluster", value: "" } } as const, 1, "cluster: must not be empty"],
  [
    { clusterSpecifier: { case: "weightedClusters", value: { clusters: [] } } } as const,
    1,
    "the sum of the weights",
  ],
  [{ ...(TO_A as object), maxConnectAttempts: 0 }, 1, "max_connect_attempts: must be at least 1"],
  [TO_A, 2, "filter_chains: an outbound listener"],
])("a tcp_proxy of %j in %i chains is refused", (init, chains, message) => {
  const { source } = sourceOf();
  const [rejection] = source.apply([tcpListener("l", init as TcpInit, chains)]);
  expect(rejection?.message).toContain(message);
});

test.each([
  [{ hostname: "" }, "tunneling_config.hostname: must be a host with a port"],
  [{ hostname: "a" }, "tunneling_config.hostname"],
  [{ hostname: "a:0" }, "tunneling_config.hostname"],
  [{ hostname: "a b:1" }, "tunneling_config.hostname"],
  [{ hostname: "a:1\r\nx: y" }, "tunneling_config.hostname"],
  [{ hostname: "%REQUESTED_SERVER_NAME%:443" }, "tunneling_config.hostname"],
  [{ hostname: "a:1", usePost: true }, "tunneling_config.use_post: is not supported"],
  [{ hostname: "a:1", headersToAdd: [{}] }, "tunneling_config.headers_to_add: is not supported"],
])("a tcp_proxy with the tunnel %j is refused", (tunnelingConfig, message) => {
  const { source } = sourceOf();
  const [rejection] = source.apply([tcpListener("l", { ...(TO_A as object), tunnelingConfig } as TcpInit)]);
  expect(rejection?.message).toContain(message);
});

test("a TCP chain has the tunnel of its tcp_proxy", () => {
  const { source } = sourceOf();
  const tunnelled = { ...(TO_A as object), tunnelingConfig: { hostname: "[2001:db8::1]:443" } } as TcpInit;
  expect(source.apply([tcpListener("l", tunnelled), tcpListener("m", TO_A)])).toEqual([]);
  expect(source.current.outbound("l")).toMatchObject({ tunnel: { target: "[2001:db8::1]:443" } });
  expect(source.current.outbound("m")).toMatchObject({ tunnel: undefined });
});

test("connections from one address go to one endpoint where the source is hashed", () => {
  const { source, load } = sourceOf();
  const hashPolicy = [{ policySpecifier: { case: "sourceIp", value: {} } }] as const;
  const hosts = ["a", "b", "c", "d"].map((address) => ({ address }));
  const rejected = source.apply([
    tcpListener("l", { ...TO_A, hashPolicy: [...hashPolicy] } as TcpInit),
    edsCluster("a", { lbPolicy: Cluster_LbPolicy.MAGLEV }),
    endpoints("a", hosts),
  ]);
  expect(rejected).toEqual([]);
  const goes = (client: string, entropy: number): string => {
    const view = { snapshot: source.current, load, now: 0, entropy };
    const plan = routeConnection(view, source.current.outbound("l") as TcpChain);
    const affinity = affinityOf(view, plan, undefined, client);
    return (pick(view, plan, { attempts: 0, triedSlots: [], affinity }) as EndpointPart).host;
  };
  const count = (hostsOf: string[]): number => new Set(hostsOf).size;
  expect(count(Array.from({ length: 30 }, (_, entropy) => goes("192.0.2.1", entropy)))).toBe(1);
  expect(count(Array.from({ length: 30 }, (_, last) => goes(`192.0.2.${last}`, 0)))).toBe(4);
});
