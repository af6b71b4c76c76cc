import {
  CertificateValidationContext_TrustChainVerification as TrustChain,
  SubjectAltNameMatcher_SanType as SanType,
  type CertificateValidationContext,
} from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import type {
  CommonTlsContext,
  UpstreamTlsContext,
} from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import type { OriginatedTls, PeerName } from "./contract.js";
import { at, invalid } from "./invalid.js";
import { compileTlsParameters } from "./tls-parameters.js";
import {
  compileCertificate,
  compileTrust,
  secretName,
  type CertificateSource,
  type SecretName,
  type TrustSource,
} from "./tls-sources.js";

/** SDS secret with the roots of the mesh: a context that uses it is the mesh's own TLS. */
const MESH_ROOTS = "ROOTCA";

/** Whether a TLS context is for servers outside the mesh: it does not verify them against the mesh's roots. */
export function originates(common: CommonTlsContext | undefined): boolean {
  const type = common?.validationContextType;
  if (type?.case !== "combinedValidationContext") return true;
  const { validationContextSdsSecretConfig: secret } = type.value;
  return secret !== undefined && secret.name !== MESH_ROOTS;
}

/**
 * Compiles TLS with a server outside the mesh. Servers are verified, and by name: a context that does not say against
 * what is refused. Only one that says ACCEPT_UNTRUSTED believes any server.
 */
export function compileOriginatedTls(here: string, context: UpstreamTlsContext): OriginatedTls {
  const common = context.commonTlsContext;
  const field = at(here, "common_tls_context");
  if (context.allowRenegotiation)
    throw invalid(at(here, "allow_renegotiation"), "is not supported: leave it out");
  const { trust, names } = compileValidation(field, common);
  const tls = {
    kind: "originated",
    sni: context.sni,
    alpn: common?.alpnProtocols ?? [],
    trust,
    names,
    certificate: clientCertificate(field, common),
    settings: compileTlsParameters(at(field, "tls_params"), common?.tlsParams, "TLSv1.2"),
  } as const;
  return { ...tls, key: JSON.stringify(tls) };
}

function compileValidation(
  field: string,
  common: CommonTlsContext | undefined,
): { trust: TrustSource | SecretName | undefined; names: readonly PeerName[] } {
  const type = common?.validationContextType;
  switch (type?.case) {
    case "validationContext": {
      const here = at(field, "validation_context");
      const trust = compileTrust(here, type.value);
      const accepts = type.value.trustChainVerification === TrustChain.ACCEPT_UNTRUSTED;
      if (accepts) return { trust: undefined, names: [] };
      if (trust === undefined)
        throw invalid(here, "must say whose certificates to believe: trusted_ca or system_root_certs");
      return { trust, names: peerNames(here, type.value) };
    }
    case "combinedValidationContext": {
      const { defaultValidationContext: context, validationContextSdsSecretConfig: secret } = type.value;
      const here = at(field, "combined_validation_context");
      if (secret === undefined)
        throw invalid(at(here, "validation_context_sds_secret_config"), "must be set");
      const names = peerNames(at(here, "default_validation_context"), context);
      return { trust: secretName(at(here, "validation_context_sds_secret_config"), secret), names };
    }
    case "validationContextSdsSecretConfig":
      throw invalid(
        at(field, "validation_context_sds_secret_config"),
        "is not supported: use combined_validation_context, which names the server, too",
      );
    default:
      throw invalid(at(field, "validation_context"), "must be set: servers are verified");
  }
}

function peerNames(here: string, context: CertificateValidationContext | undefined): readonly PeerName[] {
  const field = at(here, "match_typed_subject_alt_names");
  const names = (context?.matchTypedSubjectAltNames ?? []).map(({ sanType, matcher }, index): PeerName => {
    if (matcher?.matchPattern.case !== "exact") throw invalid(`${field}[${index}].matcher`, "must be exact");
    const type = NAME_TYPES.get(sanType);
    if (type === undefined) throw invalid(`${field}[${index}].san_type`, "must be DNS, URI or IP_ADDRESS");
    return { type, value: matcher.matchPattern.value };
  });
  if (names.length === 0)
    throw invalid(field, "must name the server: a certificate for any name is not believed");
  return names;
}

const NAME_TYPES: ReadonlyMap<SanType, PeerName["type"]> = new Map([
  [SanType.DNS, "dns"],
  [SanType.URI, "uri"],
  [SanType.IP_ADDRESS, "ip"],
]);

function clientCertificate(
  field: string,
  common: CommonTlsContext | undefined,
): CertificateSource | SecretName | undefined {
  const given = common?.tlsCertificates ?? [];
  const secrets = common?.tlsCertificateSdsSecretConfigs ?? [];
  if (given.length + secrets.length > 1)
    throw invalid(at(field, "tls_certificates"), "must be one: a client has one certificate");
  if (given[0] !== undefined) return compileCertificate(at(field, "tls_certificates[0]"), given[0]);
  if (secrets[0] === undefined) return undefined;
  return secretName(at(field, "tls_certificate_sds_secret_configs[0]"), secrets[0]);
}
