import type { TransportSocket } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import { RawBufferSchema } from "@tulle/xds/gen/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js";
import { SubjectAltNameMatcher_SanType as SanType } from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import { DownstreamTlsContextSchema } from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { holds, typeName, unpack } from "./any.js";
import { at, invalid } from "./invalid.js";
import { validationContext } from "./upstream-tls.js";

/** How a filter chain takes connections. */
export interface DownstreamTransport {
  readonly transport: "mtls" | "plaintext";
  readonly trustDomains: readonly string[];
}

const PLAINTEXT: DownstreamTransport = { transport: "plaintext", trustDomains: [] };

/** Compiles a filter chain's transport socket: none or a raw buffer is plaintext, a TLS context must ask for client certificates. */
export function compileDownstream(field: string, socket: TransportSocket | undefined): DownstreamTransport {
  const config = socket?.configType.value;
  if (config === undefined || holds(config, RawBufferSchema)) return PLAINTEXT;
  const here = at(field, "typed_config");
  if (!holds(config, DownstreamTlsContextSchema))
    throw invalid(here, `transport socket ${typeName(config)} is not supported`);
  const context = unpack(here, config, DownstreamTlsContextSchema);
  if (context.requireClientCertificate !== true) {
    throw invalid(
      at(here, "require_client_certificate"),
      "must be true: TLS without client certificates is not supported",
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
  return { transport: "mtls", trustDomains };
}
