import { create } from "@bufbuild/protobuf";
import { TransportSocketSchema, type TransportSocket } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import {
  ApiConfigSource_ApiType,
  ApiVersion,
  ConfigSourceSchema,
} from "@tulle/xds/gen/envoy/config/core/v3/config_source_pb.js";
import { RawBufferSchema } from "@tulle/xds/gen/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js";
import {
  SubjectAltNameMatcher_SanType,
  SubjectAltNameMatcherSchema,
  type SubjectAltNameMatcher,
} from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import {
  SdsSecretConfigSchema,
  type SdsSecretConfig,
} from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import {
  CommonTlsContextSchema,
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
  type CommonTlsContext,
} from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import type { HttpVersion } from "./mesh-service.js";
import { packed } from "./messages.js";
import { meshParameters } from "./tls-parameters.js";
import type { Translation } from "./translation.js";

/** SDS secret with the workload's own certificate and key. */
const IDENTITY_SECRET = "default";
/** SDS secret with the roots that peers are verified against. */
export const ROOT_SECRET = "ROOTCA";
/** Cluster by which a proxy reaches its agent's SDS (Istio's bootstrap has it). */
const SDS_CLUSTER = "sds-grpc";

/** ALPN protocols towards a server outside the mesh: what it is known to speak, or either where it may be both. */
export function alpnFor(version: HttpVersion): readonly string[] {
  if (version === "client") return MESH_ALPN;
  return [version === "http2" ? "h2" : "http/1.1"];
}

/** ALPN protocols between sidecars: HTTP/2 carries every version of HTTP; a peer without it takes HTTP/1.1. */
export const MESH_ALPN: readonly string[] = ["h2", "http/1.1"];

/** Plaintext. */
export function rawBuffer(): TransportSocket {
  return create(TransportSocketSchema, {
    name: "envoy.transport_sockets.raw_buffer",
    configType: { case: "typedConfig", value: packed(RawBufferSchema) },
  });
}

export interface MeshTlsOptions {
  readonly serverName: string;
  /** SPIFFE ids that the peer may present; never empty. */
  readonly identities: readonly string[];
  readonly alpn: readonly string[];
}

/** Mutual TLS with the workload's SVID, towards one of `identities`. */
export function meshTls(t: Translation, options: MeshTlsOptions): TransportSocket {
  return tlsSocket(
    packed(UpstreamTlsContextSchema, {
      sni: options.serverName,
      commonTlsContext: meshContext(t, options.identities.map(exactly), options.alpn),
    }),
  );
}

/** The inbound side of {@link meshTls}: takes every SVID of the trust domains that are let in; who may do what is authorization's business. */
export function meshTlsServer(t: Translation, alpn: readonly string[]): TransportSocket {
  const { trustDomain, trustDomainAliases = [], federatedTrustDomains = [] } = t.settings;
  const domains = new Set([trustDomain, ...trustDomainAliases, ...federatedTrustDomains]);
  const anyone = [...domains].map((name) =>
    create(SubjectAltNameMatcherSchema, {
      sanType: SubjectAltNameMatcher_SanType.URI,
      matcher: { matchPattern: { case: "prefix", value: `spiffe://${name}/` } },
    }),
  );
  return tlsSocket(
    packed(DownstreamTlsContextSchema, {
      commonTlsContext: meshContext(t, anyone, alpn),
      requireClientCertificate: true,
      // A resumed session would outlive the certificate that it was made with.
      sessionTicketKeysType: { case: "disableStatelessSessionResumption", value: true },
      disableStatefulSessionResumption: true,
    }),
  );
}

function meshContext(
  t: Translation,
  names: SubjectAltNameMatcher[],
  alpn: readonly string[],
): CommonTlsContext {
  return create(CommonTlsContextSchema, {
    tlsParams: meshParameters(t),
    alpnProtocols: [...alpn],
    tlsCertificateSdsSecretConfigs: [secret(IDENTITY_SECRET)],
    validationContextType: {
      case: "combinedValidationContext",
      value: {
        defaultValidationContext: { matchTypedSubjectAltNames: names },
        validationContextSdsSecretConfig: secret(ROOT_SECRET),
      },
    },
  });
}

function exactly(identity: string): SubjectAltNameMatcher {
  return create(SubjectAltNameMatcherSchema, {
    sanType: SubjectAltNameMatcher_SanType.URI,
    matcher: { matchPattern: { case: "exact", value: identity } },
  });
}

function secret(name: string): SdsSecretConfig {
  return create(SdsSecretConfigSchema, {
    name,
    sdsConfig: create(ConfigSourceSchema, {
      resourceApiVersion: ApiVersion.V3,
      configSourceSpecifier: {
        case: "apiConfigSource",
        value: {
          apiType: ApiConfigSource_ApiType.GRPC,
          transportApiVersion: ApiVersion.V3,
          grpcServices: [{ targetSpecifier: { case: "envoyGrpc", value: { clusterName: SDS_CLUSTER } } }],
        },
      },
    }),
  });
}

/** A TLS transport socket. */
export function tlsSocket(typedConfig: ReturnType<typeof packed>): TransportSocket {
  return create(TransportSocketSchema, {
    name: "envoy.transport_sockets.tls",
    configType: { case: "typedConfig", value: typedConfig },
  });
}
