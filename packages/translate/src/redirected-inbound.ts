import { create } from "@bufbuild/protobuf";
import type { Cluster } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import {
  FilterChainMatchSchema,
  type FilterChain,
} from "@tulle/xds/gen/envoy/config/listener/v3/listener_components_pb.js";
import { TcpProxySchema } from "@tulle/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { acceptedTls } from "./authentication.js";
import { connectionGuards } from "./authorization/filters.js";
import { mtlsChains, plaintextChains } from "./inbound-chains.js";
import type { Inbound } from "./inbound-ports.js";
import { originalDestinationCluster } from "./original-destination.js";
import { tcpChain } from "./tcp-proxy.js";
import type { Translation } from "./translation.js";

/** Where redirected connections to a port go that no service declares: to where they were made to (Istio's name). */
export const INBOUND_PASSTHROUGH = "InboundPassthroughCluster";

/** A port that nobody can declare: what holds for it holds for every one that nobody did. */
const UNDECLARED = 0;

/** Leaves to a chain the connections that were made to one port, in place. */
export function takeFrom(chain: FilterChain, destinationPort: number): void {
  chain.filterChainMatch ??= create(FilterChainMatchSchema);
  chain.filterChainMatch.destinationPort = destinationPort;
}

/**
 * The chains for connections that were redirected on their way to the workload, each chosen by the port that it was made
 * to. Other ports than the declared ones pass as they are, unless the workload takes mutual TLS only.
 */
export function redirectedChains(t: Translation, ports: readonly Inbound[]): FilterChain[] {
  const appPorts = [...new Set(ports.map(({ port }) => port.appPort))];
  const chains = appPorts.flatMap((appPort) => {
    const [first, ...others] = ports.filter(({ port }) => port.appPort === appPort);
    if (first === undefined) return [];
    const mtls = t.view.mtls && first.accepted !== "DISABLE" ? mtlsChains(t, first) : [];
    const plaintext = plaintextChains(t, first.carriage === "http" ? [first, ...others] : [first]);
    return [...mtls, ...plaintext].map((chain) => redirected(chain, appPort));
  });
  const passthrough = passthroughChain(t);
  return passthrough === undefined ? chains : [...chains, passthrough];
}

/** Turns a chain of the listener's own connections, in place, into one of those that were redirected from a port. */
function redirected(chain: FilterChain, destinationPort: number): FilterChain {
  takeFrom(chain, destinationPort);
  // The port says what server names say else; who was redirected may have asked for any.
  if (chain.filterChainMatch !== undefined) chain.filterChainMatch.serverNames = [];
  chain.name = `0.0.0.0_${destinationPort}|${chain.name}`;
  return chain;
}

/** The chain of every port that no other chain names; undefined for workloads that take mutual TLS only. */
function passthroughChain(t: Translation): FilterChain | undefined {
  if (acceptedTls(t, UNDECLARED) === "STRICT") return undefined;
  const proxy = create(TcpProxySchema, {
    statPrefix: INBOUND_PASSTHROUGH,
    clusterSpecifier: { case: "cluster", value: INBOUND_PASSTHROUGH },
  });
  const chain = { name: INBOUND_PASSTHROUGH, filterChainMatch: { transportProtocol: "raw_buffer" } };
  const guards = connectionGuards(t, { services: [], port: undefined }, INBOUND_PASSTHROUGH);
  return tcpChain(t, proxy, chain, guards);
}

/** The cluster of the original destination. */
export function inboundPassthrough(t: Translation): Cluster | undefined {
  return t.view.intercepts === true ? originalDestinationCluster(t, INBOUND_PASSTHROUGH) : undefined;
}
