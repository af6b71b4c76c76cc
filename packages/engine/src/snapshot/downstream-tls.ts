import type { TransportSocket } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import { RawBufferSchema } from "@tulle/xds/gen/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js";
import { SubjectAltNameMatcher_SanType as SanType } from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import {
  DownstreamTlsContextSchema,
  type DownstreamTlsContext,
} from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { holds, typeName, unpack } from "./any.js";
import type { InboundChain } from "./contract.js";
import { at, invalid } from "./invalid.js";
import { compileServerTls } from "./server-tls.js";
import { compileMeshParameters, type TlsSettings } from "./tls-parameters.js";
import { validationContext } from "./upstream-tls.js";

/** How a filter chain takes connections. */
export interface DownstreamTransport extends Pick<InboundChain, "transport" | "trustDomains" | "tls"> {
  /** With `mtls` only. */
  readonly meshTls: TlsSettings | undefined;
}

const NEITHER = { trustDomains: [], tls: undefined, meshTls: undefined } as const;
const PLAINTEXT: DownstreamTransport = { ...NEITHER, transport: "plaintext" };

/** SDS secret with the workload's own certificate: a context that uses it is the mesh's own TLS. */
const MESH_IDENTITY = "default";

/**
 * Compiles a filter chain's transport socket: none or a raw buffer is plaintext; a TLS context with the mesh's identity must
 * ask for client certificates, one with other certificates says what it asks for.
 */
export function compileDownstream(field: string, socket: TransportSocket | undefined): DownstreamTransport {
  const config = socket?.configType.value;
  if (config === undefined || holds(config, RawBufferSchema)) return PLAINTEXT;
  const here = at(field, "typed_config");
  if (!holds(config, DownstreamTlsContextSchema))
    throw invalid(here, `transport socket ${typeName(config)} is not supported`);
  const context = unpack(here, config, DownstreamTlsContextSchema);
  if (isMeshTls(context)) return compileMeshTls(here, context);
  return { ...NEITHER, transport: "tls", tls: compileServerTls(here, context) };
}

function isMeshTls({ commonTlsContext: common }: DownstreamTlsContext): boolean {
  const secrets = common?.tlsCertificateSdsSecretConfigs ?? [];
  const certificates = (common?.tlsCertificates.length ?? 0) + secrets.length;
  return certificates === 0 || secrets.some(({ name }) => name === MESH_IDENTITY);
}

function compileMeshTls(here: string, context: DownstreamTlsContext): DownstreamTransport {
  if (context.requireClientCertificate !== true) {
    throw invalid(
      at(here, "require_client_certificate"),
      "must be true: the mesh's own TLS without client certificates is not supported",
    );
  }
  const common = context.commonTlsContext;
  const validation = common === undefined ? undefined : validationContext(common);
  const names = at(here, "common_tls_context.match_typed_subject_alt_names");
  const trustDomains = (validation?.matchTypedSubjectAltNames ?? []).map(({ sanType, matcher }, index) => {
    const prefix = matcher?.matchPattern.case === "prefix" ? matcher.matchPattern.value : "";
    const domain = /^spiffe:\/\/([a-z0-9._-]+)\/$/.exec(prefix)?.[1];
    if (sanType !== SanType.URI || domain === undefined) {
      throw invalid(
        `${names}[${index}]`,
        "must be of san_type URI with a prefix of the form spiffe://<trust domain>/",
      );
    }
    return domain;
  });
  const meshTls = compileMeshParameters(at(here, "common_tls_context.tls_params"), common?.tlsParams);
  return { ...NEITHER, transport: "mtls", trustDomains, meshTls };
}
