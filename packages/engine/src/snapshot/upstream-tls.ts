import type { TransportSocket } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import type { Cluster } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { ProxyProtocolConfig_Version as Version } from "@tulle/xds/gen/envoy/config/core/v3/proxy_protocol_pb.js";
import { ProxyProtocolUpstreamTransportSchema } from "@tulle/xds/gen/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.js";
import { RawBufferSchema } from "@tulle/xds/gen/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js";
import type { CertificateValidationContext } from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import { SubjectAltNameMatcher_SanType as SanType } from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import type {
  CommonTlsContext,
  UpstreamTlsContext,
} from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { UpstreamTlsContextSchema } from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import type { JsonObject } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import type { MeshTls, UpstreamTls, UpstreamTlvs } from "./contract.js";
import { holds, typeName, unpack } from "./any.js";
import { at, invalid } from "./invalid.js";
import { includes } from "./metadata.js";
import { compileUpstreamTlvs } from "./proxy-tlvs.js";
import { compileMeshParameters } from "./tls-parameters.js";
import { compileOriginatedTls, originates } from "./originated-tls.js";

/** How connections to an endpoint begin. */
export interface UpstreamTransport {
  /** Undefined = plaintext. */
  readonly tls: UpstreamTls | undefined;
  /** Version of the PROXY header before everything else; undefined = none. */
  readonly proxyProtocol: 1 | 2 | undefined;
  /** What else that header says. */
  readonly proxyTlvs: UpstreamTlvs | undefined;
}

const PLAINTEXT: UpstreamTransport = { tls: undefined, proxyProtocol: undefined, proxyTlvs: undefined };

/** Ways to reach a cluster's endpoints. */
export interface TransportChoice {
  /** The way to an endpoint with this `envoy.transport_socket_match` metadata. */
  of(match: JsonObject | undefined): UpstreamTransport;
  /** Names of the Secrets that any of them needs. */
  readonly secrets: readonly string[];
}

/** Compiles a cluster's transport sockets: the first match whose criteria the endpoint has, else the cluster's own. */
export function compileTransport(cluster: Cluster): TransportChoice {
  const own = compileSocket("transport_socket", cluster.transportSocket);
  const matches = cluster.transportSocketMatches.map((one, index) => {
    const field = `transport_socket_matches[${index}]`;
    return {
      criteria: one.match ?? {},
      transport: compileSocket(at(field, "transport_socket"), one.transportSocket),
    };
  });
  return {
    of: (metadata) => {
      for (const { criteria, transport } of matches) if (includes(metadata, criteria)) return transport;
      return own;
    },
    secrets: [own, ...matches.map(({ transport }) => transport)].flatMap(({ tls }) => secretsOf(tls)),
  };
}

function secretsOf(tls: UpstreamTls | undefined): readonly string[] {
  if (tls?.kind !== "originated") return [];
  return [tls.trust, tls.certificate].flatMap((source) =>
    source !== undefined && "secret" in source ? [source.secret] : [],
  );
}

/** Plaintext for no socket or a raw buffer, TLS for its context, and either behind a PROXY header. */
function compileSocket(field: string, socket: TransportSocket | undefined): UpstreamTransport {
  if (socket === undefined) return PLAINTEXT;
  const config = socket.configType.value;
  if (config === undefined) {
    if (socket.name === "envoy.transport_sockets.raw_buffer") return PLAINTEXT;
    throw invalid(at(field, "typed_config"), "must be set");
  }
  const here = at(field, "typed_config");
  if (holds(config, RawBufferSchema)) return PLAINTEXT;
  if (holds(config, ProxyProtocolUpstreamTransportSchema)) return compileProxyProtocol(here, config);
  if (!holds(config, UpstreamTlsContextSchema))
    throw invalid(here, `transport socket ${typeName(config)} is not supported`);
  return { ...PLAINTEXT, tls: compileTls(here, config) };
}

function compileProxyProtocol(here: string, any: Any): UpstreamTransport {
  const { config, transportSocket } = unpack(here, any, ProxyProtocolUpstreamTransportSchema);
  const inner = at(here, "transport_socket");
  const { tls, proxyProtocol } = compileSocket(inner, transportSocket);
  if (proxyProtocol !== undefined) throw invalid(inner, "must not be of the PROXY protocol again");
  const proxyTlvs = config && compileUpstreamTlvs(at(here, "config"), config);
  if (config?.version === Version.V2) return { tls, proxyProtocol: 2, proxyTlvs };
  if (proxyTlvs !== undefined) throw invalid(at(here, "config.version"), "must be V2: V1 has no TLVs");
  return { tls, proxyProtocol: 1, proxyTlvs: undefined };
}

function compileTls(here: string, config: Any): UpstreamTls {
  const context = unpack(here, config, UpstreamTlsContextSchema);
  return originates(context.commonTlsContext)
    ? compileOriginatedTls(here, context)
    : compileMeshTls(here, context);
}

/** The peer's identity and SNI. */
function compileMeshTls(here: string, context: UpstreamTlsContext): MeshTls {
  const common = context.commonTlsContext;
  const ids = common === undefined ? [] : exactIds(at(here, "common_tls_context"), validationContext(common));
  if (ids.length === 0) {
    throw invalid(
      here,
      "the validation context must name the peer's SPIFFE ids in match_typed_subject_alt_names (san_type URI, exact)",
    );
  }
  const alpn = common?.alpnProtocols ?? [];
  const sorted = [...new Set(ids)].sort();
  const settings = compileMeshParameters(at(here, "common_tls_context.tls_params"), common?.tlsParams);
  return {
    kind: "mesh",
    key: JSON.stringify([context.sni, alpn, sorted, settings.key]),
    sni: context.sni,
    alpn,
    spiffeIds: new Set(sorted),
    settings,
  };
}

/** The part of a TLS context that says which peers are let in, wherever it stands. */
export function validationContext(common: CommonTlsContext): CertificateValidationContext | undefined {
  const type = common.validationContextType;
  if (type.case === "validationContext") return type.value;
  if (type.case === "combinedValidationContext") return type.value.defaultValidationContext;
  return undefined;
}

function exactIds(field: string, context: CertificateValidationContext | undefined): string[] {
  if (context === undefined) return [];
  const ids: string[] = [];
  context.matchTypedSubjectAltNames.forEach(({ sanType, matcher }, index) => {
    const here = at(field, `match_typed_subject_alt_names[${index}]`);
    if (sanType !== SanType.URI) throw invalid(at(here, "san_type"), "must be URI");
    if (matcher?.matchPattern.case !== "exact") throw invalid(at(here, "matcher"), "must be exact");
    ids.push(matcher.matchPattern.value);
  });
  context.matchSubjectAltNames.forEach((matcher, index) => {
    if (matcher.matchPattern.case !== "exact")
      throw invalid(at(field, `match_subject_alt_names[${index}]`), "must be exact");
    ids.push(matcher.matchPattern.value);
  });
  return ids;
}
