import { TrafficDirection } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import type { Listener } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { FilterChainMatch_ConnectionSourceType as SourceType } from "@tulle/xds/gen/envoy/config/listener/v3/listener_components_pb.js";
import type {
  FilterChain,
  FilterChainMatch,
} from "@tulle/xds/gen/envoy/config/listener/v3/listener_components_pb.js";
import type { ProxyProtocolFilter } from "../contract.js";
import { compileDownstream } from "./downstream-tls.js";
import type { DownstreamTransport } from "./downstream-tls.js";
import { compileHttp } from "./http-settings.js";
import type { HttpSettings } from "./http-settings.js";
import { at, invalid } from "./invalid.js";
import { compileProxyProtocolFilter } from "./proxy-protocol-filter.js";
import { compileTcp, isTcpProxy } from "./tcp-settings.js";
import type { TcpSettings } from "./tcp-settings.js";

/** A filter chain of a listener that accepts connections. */
export interface FilterChainSettings extends DownstreamTransport {
  readonly name: string;
  readonly destinationPort: number | undefined;
  readonly isDefault: boolean;
  readonly serverNames: readonly string[];
  readonly behaviour: Behaviour;
}

/** What a filter chain does with its connections. */
export type Behaviour = { readonly http: HttpSettings } | { readonly tcp: TcpSettings };

/**
 * A compiled Listener: one that names an authority and binds nothing (an API listener, or an outbound one whose only
 * chain is a tcp_proxy), or one with filter chains.
 */
export type ListenerSettings =
  | { readonly kind: "authority"; readonly name: string; readonly behaviour: Behaviour }
  | {
      readonly kind: "chains";
      readonly name: string;
      readonly port: number;
      readonly proxyProtocol: ProxyProtocolFilter | undefined;
      readonly chains: readonly FilterChainSettings[];
    };

/** Compiles a Listener. Of its listener filters the PROXY protocol's counts; the others sniff what the proxy finds out itself. */
export function compileListener(listener: Listener): ListenerSettings {
  const { name } = listener;
  if (listener.apiListener !== undefined) {
    const direction = listener.trafficDirection === TrafficDirection.INBOUND ? "inbound" : "outbound";
    return {
      kind: "authority",
      name,
      behaviour: {
        http: compileHttp("api_listener.api_listener", listener.apiListener.apiListener, name, direction),
      },
    };
  }
  if (listener.filterChainMatcher !== undefined)
    throw invalid("filter_chain_matcher", "is not supported: use filter_chain_match");
  const direction = listener.trafficDirection === TrafficDirection.OUTBOUND ? "outbound" : "inbound";
  const chains = listener.filterChains.map((chain, index) =>
    compileChain(`filter_chains[${index}]`, chain, name, direction),
  );
  if (listener.defaultFilterChain !== undefined) {
    const chain = compileChain("default_filter_chain", listener.defaultFilterChain, name, direction);
    chains.push({ ...chain, isDefault: true });
  }
  const [first] = chains;
  if (first === undefined) throw invalid("filter_chains", "must not be empty, or api_listener be set");
  if (direction === "outbound" && "tcp" in first.behaviour) {
    if (chains.length > 1 || first.transport !== "plaintext" || isConditional(first)) {
      throw invalid("filter_chains", "an outbound listener with a tcp_proxy must have it as its only chain");
    }
    return { kind: "authority", name, behaviour: first.behaviour };
  }
  const proxyProtocol = compileProxyProtocolFilter(listener.listenerFilters);
  return { kind: "chains", name, port: portOf(listener), proxyProtocol, chains };
}

function isConditional({ serverNames, destinationPort }: FilterChainSettings): boolean {
  return serverNames.length > 0 || destinationPort !== undefined;
}

function portOf({ address }: Listener): number {
  const where = address?.address;
  const port = where?.case === "socketAddress" ? where.value.portSpecifier : undefined;
  return port?.case === "portValue" ? port.value : 0;
}

function compileChain(
  field: string,
  chain: FilterChain,
  listenerName: string,
  direction: "inbound" | "outbound",
): FilterChainSettings {
  const match = compileMatch(at(field, "filter_chain_match"), chain.filterChainMatch);
  const transport = compileDownstream(at(field, "transport_socket"), chain.transportSocket);
  const wanted = chain.filterChainMatch?.transportProtocol ?? "";
  const matching = transport.transport === "mtls" ? "tls" : "raw_buffer";
  if (wanted !== "" && wanted !== matching) {
    throw invalid(
      at(field, "filter_chain_match.transport_protocol"),
      `is ${JSON.stringify(wanted)}, but the transport socket makes it ${matching}`,
    );
  }
  const filter = chain.filters[0];
  if (filter === undefined || chain.filters.length > 1) {
    throw invalid(
      at(field, "filters"),
      "must be one filter, an HttpConnectionManager or a TcpProxy: other network filters are not supported",
    );
  }
  const config = filter.configType.case === "typedConfig" ? filter.configType.value : undefined;
  const here = at(field, "filters[0].typed_config");
  return {
    ...transport,
    ...match,
    name: chain.name === "" ? field : chain.name,
    isDefault: false,
    behaviour: isTcpProxy(config)
      ? { tcp: compileTcp(here, config, listenerName, direction) }
      : { http: compileHttp(here, config, listenerName, direction) },
  };
}

/** What of a match connections are told apart by here; other conditions are refused. */
function compileMatch(
  field: string,
  match: FilterChainMatch | undefined,
): Pick<FilterChainSettings, "destinationPort" | "serverNames"> {
  if (match === undefined) return { destinationPort: undefined, serverNames: [] };
  const others: readonly (readonly [string, boolean])[] = [
    ["prefix_ranges", match.prefixRanges.length > 0],
    ["address_suffix", match.addressSuffix !== ""],
    ["suffix_len", match.suffixLen !== undefined],
    ["direct_source_prefix_ranges", match.directSourcePrefixRanges.length > 0],
    ["source_type", match.sourceType !== SourceType.ANY],
    ["source_prefix_ranges", match.sourcePrefixRanges.length > 0],
    ["source_ports", match.sourcePorts.length > 0],
    ["application_protocols", match.applicationProtocols.length > 0],
  ];
  for (const [name, set] of others)
    if (set)
      throw invalid(
        at(field, name),
        "is not supported: use destination_port, server_names and transport_protocol",
      );
  const serverNames = match.serverNames.map((name) => name.toLowerCase());
  return { destinationPort: match.destinationPort, serverNames };
}
