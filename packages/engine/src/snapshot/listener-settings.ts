import type { Any } from "@bufbuild/protobuf/wkt";
import { TrafficDirection } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import type { Listener } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { FilterChainMatch_ConnectionSourceType as SourceType } from "@tulle/xds/gen/envoy/config/listener/v3/listener_components_pb.js";
import type {
  FilterChain,
  FilterChainMatch,
} from "@tulle/xds/gen/envoy/config/listener/v3/listener_components_pb.js";
import { compileGuard, isGuard } from "../authorization/guard-kinds.js";
import type { ConnectionGuard } from "../authorization/connection-guard.js";
import { SourceRanges } from "../route/source-ranges.js";
import type { InboundListener, ProxyProtocolFilter } from "./contract.js";
import { compileDownstream } from "./downstream-tls.js";
import type { DownstreamTransport } from "./downstream-tls.js";
import { compileTaking } from "./detected-chain.js";
import type { Taking } from "./detected-chain.js";
import { durationMs, MAX_TIMER_MS } from "./duration.js";
import { compileHttp } from "./http-settings.js";
import type { HttpSettings } from "./http-settings.js";
import { at, invalid } from "./invalid.js";
import { compileProxyProtocolFilter } from "./proxy-protocol-filter.js";
import { compileTcp, isTcpProxy } from "./tcp-settings.js";
import type { TcpSettings } from "./tcp-settings.js";
import { MESH_PARAMETERS, type TlsSettings } from "./tls-parameters.js";

/** What a filter chain's connections are told from those of others by. */
interface MatchSettings {
  readonly destinationPort: number | undefined;
  readonly serverNames: readonly string[];
  readonly sources: SourceRanges | undefined;
  readonly applicationProtocols: readonly string[];
  /** `tls`, `raw_buffer`, or "" when it does not say. */
  readonly wantedTransport: string;
}

/** A filter chain. */
export interface FilterChainSettings extends DownstreamTransport, MatchSettings {
  readonly isDefault: boolean;
  /** Where it stands in its listener, for messages. */
  readonly field: string;
  readonly name: string;
  readonly behaviour: Behaviour;
}

/** What a filter chain does with its connections. */
export type Behaviour = { readonly http: HttpSettings } | { readonly tcp: TcpSettings };

interface ChainsSettings {
  readonly name: string;
  /** `listener_filters_timeout`. */
  readonly silenceMs: number;
  readonly chains: readonly FilterChainSettings[];
}

/**
 * A compiled Listener: one that names an authority and binds nothing (an API listener, or an outbound one whose only
 * chain is a tcp_proxy; `detected` with several chains), or one that accepts connections.
 */
export type ListenerSettings =
  | { readonly kind: "authority"; readonly name: string; readonly behaviour: Behaviour }
  | ({ readonly kind: "detected"; readonly taking: readonly Taking[] } & ChainsSettings)
  | ({
      readonly kind: "chains";
      readonly port: number;
      readonly direction: "inbound" | "outbound";
      readonly addresses: InboundListener["addresses"];
      readonly proxyProtocol: ProxyProtocolFilter | undefined;
      readonly meshTls: TlsSettings;
    } & ChainsSettings);

/** Silence after which a server may speak, where a listener does not say: Envoy's wait is for another purpose, and long. */
const DEFAULT_SILENCE_MS = 1000;

/** Compiles a Listener. Of its listener filters the PROXY protocol's counts; the others detect what the proxy finds out itself. */
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
  const bufferBytes = listener.perConnectionBufferLimitBytes;
  const chains = listener.filterChains.map((chain, index) =>
    compileChain(`filter_chains[${index}]`, chain, name, direction, bufferBytes),
  );
  if (listener.defaultFilterChain !== undefined) {
    const chain = compileChain(
      "default_filter_chain",
      listener.defaultFilterChain,
      name,
      direction,
      bufferBytes,
    );
    chains.push({ ...chain, isDefault: true });
  }
  const [first] = chains;
  if (first === undefined) throw invalid("filter_chains", "must not be empty, or api_listener be set");
  const silenceMs = silenceOf(listener);
  const addresses = addressesOf(listener);
  // What has an address takes connections: of a sidecar's workload, or of a gateway's clients.
  if (
    direction === "inbound" ||
    addresses.length > 0 ||
    chains.every(({ behaviour }) => "http" in behaviour)
  ) {
    if (direction === "inbound") refuseSources(chains);
    const proxyProtocol = compileProxyProtocolFilter(listener.listenerFilters);
    return {
      kind: "chains",
      name,
      direction,
      port: addresses[0]?.port ?? 0,
      addresses,
      proxyProtocol,
      meshTls: meshTlsOf(chains),
      silenceMs,
      chains: chains.map(passingTls),
    };
  }
  refuseSources(chains);
  const taking = compileTaking(chains);
  return chains.length === 1
    ? { kind: "authority", name, behaviour: first.behaviour }
    : { kind: "detected", name, silenceMs, chains, taking };
}

/** Zero is no timeout, as with Envoy: the client is waited for. */
function silenceOf(listener: Listener): number {
  const ms = durationMs("listener_filters_timeout", listener.listenerFiltersTimeout);
  return ms === 0 ? MAX_TIMER_MS : (ms ?? DEFAULT_SILENCE_MS);
}

/** The mesh's mutual TLS is answered before anything tells the chain: its chains must agree on what is spoken. */
function meshTlsOf(chains: readonly FilterChainSettings[]): TlsSettings {
  let found: TlsSettings | undefined;
  for (const { meshTls, field } of chains) {
    if (meshTls === undefined || meshTls.key === found?.key) continue;
    if (found !== undefined)
      throw invalid(at(field, "transport_socket"), "must have the tls_params of the listener's other chains");
    found = meshTls;
  }
  return found ?? MESH_PARAMETERS;
}

/** Only at a gateway there are clients of which some come from elsewhere than others. */
function refuseSources(chains: readonly FilterChainSettings[]): void {
  const choosing = chains.find(({ sources }) => sources !== undefined);
  if (choosing !== undefined)
    throw invalid(
      at(choosing.field, "filter_chain_match.source_prefix_ranges"),
      "is supported for gateways only",
    );
}

function addressesOf({ address, additionalAddresses }: Listener): InboundListener["addresses"] {
  return [address, ...additionalAddresses.map((each) => each.address)].flatMap((each) => {
    const where = each?.address;
    const port = where?.case === "socketAddress" ? where.value.portSpecifier : undefined;
    return where?.case === "socketAddress" && port?.case === "portValue"
      ? [{ host: where.value.address, port: port.value }]
      : [];
  });
}

/** Bytes that are TLS and have no certificate of ours are passed on as they are. */
function passingTls(chain: FilterChainSettings): FilterChainSettings {
  const passes =
    chain.transport === "plaintext" && chain.wantedTransport === "tls" && "tcp" in chain.behaviour;
  return passes ? { ...chain, transport: "passthrough" } : chain;
}

function compileChain(
  field: string,
  chain: FilterChain,
  listenerName: string,
  direction: "inbound" | "outbound",
  bufferBytes: number | undefined,
): FilterChainSettings {
  const match = compileMatch(at(field, "filter_chain_match"), chain.filterChainMatch);
  const transport = compileDownstream(at(field, "transport_socket"), chain.transportSocket);
  const { wantedTransport: wanted } = match;
  const matching = transport.transport === "plaintext" ? "raw_buffer" : "tls";
  // Outbound, TLS is told from plaintext to be carried as it is.
  if (wanted !== "" && wanted !== matching && direction === "inbound") {
    throw invalid(
      at(field, "filter_chain_match.transport_protocol"),
      `is ${JSON.stringify(wanted)}, but the transport socket makes it ${matching}`,
    );
  }
  const filters = chain.filters.map(({ configType }) =>
    configType.case === "typedConfig" ? configType.value : undefined,
  );
  const config = filters.at(-1);
  const guards = filters.slice(0, -1);
  if (filters.length === 0 || (guards.length > 0 && !isTcpProxy(config)) || !guards.every(isGuard)) {
    throw invalid(
      at(field, "filters"),
      "must be an HttpConnectionManager, or a TcpProxy with RBACs and ext_authz before it: other network filters are not supported",
    );
  }
  const here = at(field, `filters[${guards.length}].typed_config`);
  return {
    ...transport,
    ...match,
    field,
    name: chain.name === "" ? field : chain.name,
    isDefault: false,
    behaviour: isTcpProxy(config)
      ? { tcp: compileTcp(here, config, listenerName, direction, compileGuards(field, guards)) }
      : { http: compileHttp(here, config, listenerName, direction, bufferBytes) },
  };
}

function compileGuards(field: string, guards: readonly (Any | undefined)[]): readonly ConnectionGuard[] {
  return guards.flatMap((config, index) =>
    config === undefined ? [] : [compileGuard(at(field, `filters[${index}].typed_config`), config)],
  );
}

/** What a match asks for; conditions that connections here are not told apart by are refused. */
function compileMatch(field: string, match: FilterChainMatch | undefined): MatchSettings {
  if (match === undefined)
    return {
      serverNames: [],
      sources: undefined,
      applicationProtocols: [],
      wantedTransport: "",
      destinationPort: undefined,
    };
  const others: readonly (readonly [string, boolean])[] = [
    ["prefix_ranges", match.prefixRanges.length > 0],
    ["address_suffix", match.addressSuffix !== ""],
    ["suffix_len", match.suffixLen !== undefined],
    ["direct_source_prefix_ranges", match.directSourcePrefixRanges.length > 0],
    ["source_type", match.sourceType !== SourceType.ANY],
    ["source_ports", match.sourcePorts.length > 0],
  ];
  for (const [name, set] of others)
    if (set)
      throw invalid(
        at(field, name),
        "is not supported: use destination_port, server_names, transport_protocol, application_protocols and, at gateways, source_prefix_ranges",
      );
  return {
    serverNames: match.serverNames.map((name) => name.toLowerCase()),
    sources:
      match.sourcePrefixRanges.length === 0
        ? undefined
        : new SourceRanges(at(field, "source_prefix_ranges"), match.sourcePrefixRanges),
    applicationProtocols: [...match.applicationProtocols],
    wantedTransport: match.transportProtocol,
    destinationPort: match.destinationPort,
  };
}
