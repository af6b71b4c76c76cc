import type { CertificateValidationContext } from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import {
  CertificateValidationContext_TrustChainVerification as TrustChainVerification,
  SubjectAltNameMatcher_SanType as SanType,
} from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import type {
  CommonTlsContext,
  DownstreamTlsContext,
} from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import type { ClientDemand, PeerName, ServerTls } from "./contract.js";
import { at, invalid } from "./invalid.js";
import { compileTlsParameters } from "./tls-parameters.js";
import {
  compileCertificate,
  compileTrust,
  pemSource,
  secretName,
  type PemSource,
  type SecretName,
  type TrustSource,
} from "./tls-sources.js";

/** What is asked of clients' certificates. */
type ClientChecks = Pick<ServerTls, "trust" | "crl" | "names" | "spki" | "hashes">;

const NO_CHECKS: ClientChecks = { trust: undefined, crl: undefined, names: [], spki: [], hashes: [] };

/** Names of the Secrets that a server's TLS needs. */
export function secretsOfServer({ certificates, trust }: ServerTls): readonly string[] {
  return [...certificates, trust].flatMap((source) =>
    source !== undefined && "secret" in source ? [source.secret] : [],
  );
}

/** Compiles TLS that ends here with certificates other than the mesh's. */
export function compileServerTls(here: string, context: DownstreamTlsContext): ServerTls {
  const common = context.commonTlsContext;
  const field = at(here, "common_tls_context");
  const certificates = [
    ...(common?.tlsCertificates ?? []).map((certificate, index) =>
      compileCertificate(`${field}.tls_certificates[${index}]`, certificate),
    ),
    ...(common?.tlsCertificateSdsSecretConfigs ?? []).map((config, index) =>
      secretName(`${field}.tls_certificate_sds_secret_configs[${index}]`, config),
    ),
  ];
  if (certificates.length === 0)
    throw invalid(at(field, "tls_certificates"), "must have a certificate, or name a Secret that has one");
  const checks = compileChecks(field, common);
  const required = context.requireClientCertificate === true;
  if (required && demand(common, checks) === "unverified") {
    throw invalid(
      at(field, "validation_context.trust_chain_verification"),
      "must be VERIFY_TRUST_CHAIN where require_client_certificate is true",
    );
  }
  if (required && checks.trust === undefined) {
    throw invalid(
      at(field, "validation_context"),
      "must say whose certificates clients may have: trusted_ca or a Secret",
    );
  }
  const clients = required ? "required" : demand(common, checks);
  const tls = {
    certificates,
    clients,
    ...checks,
    alpn: common?.alpnProtocols ?? [],
    settings: compileTlsParameters(at(field, "tls_params"), common?.tlsParams, "TLSv1.2"),
  } as const;
  return { ...tls, key: JSON.stringify(tls), checks: JSON.stringify([clients, checks]) };
}

/** What is asked of clients that need no certificate. */
function demand(common: CommonTlsContext | undefined, { trust }: ClientChecks): ClientDemand {
  if (trust === undefined) return "none";
  const type = common?.validationContextType;
  const context =
    type?.case === "combinedValidationContext"
      ? type.value.defaultValidationContext
      : type?.case === "validationContext"
        ? type.value
        : undefined;
  return context?.trustChainVerification === TrustChainVerification.ACCEPT_UNTRUSTED
    ? "unverified"
    : "optional";
}

function compileChecks(field: string, common: CommonTlsContext | undefined): ClientChecks {
  const type = common?.validationContextType;
  switch (type?.case) {
    case "validationContext": {
      const here = at(field, "validation_context");
      return { ...checksOf(here, type.value), trust: trustOf(here, type.value), crl: undefined };
    }
    case "combinedValidationContext": {
      const { defaultValidationContext: context, validationContextSdsSecretConfig: secret } = type.value;
      const here = at(field, "combined_validation_context");
      if (secret === undefined)
        throw invalid(at(here, "validation_context_sds_secret_config"), "must be set");
      const trust = secretName(at(here, "validation_context_sds_secret_config"), secret);
      const inner = at(here, "default_validation_context");
      if (context === undefined) return { ...NO_CHECKS, trust };
      if (context.trustedCa !== undefined)
        throw invalid(at(inner, "trusted_ca"), "must not stand beside a Secret");
      return { ...checksOf(inner, context), trust, crl: crlOf(inner, context) };
    }
    case "validationContextSdsSecretConfig": {
      const here = at(field, "validation_context_sds_secret_config");
      return { ...NO_CHECKS, trust: secretName(here, type.value) };
    }
    default:
      return NO_CHECKS;
  }
}

/** Fingerprints are checked here and nowhere else. */
function trustOf(here: string, context: CertificateValidationContext): TrustSource | SecretName | undefined {
  return compileTrust(here, { ...context, verifyCertificateSpki: [], verifyCertificateHash: [] });
}

function crlOf(here: string, { crl }: CertificateValidationContext): PemSource | undefined {
  return crl && pemSource(at(here, "crl"), crl);
}

function checksOf(
  here: string,
  context: CertificateValidationContext,
): Pick<ServerTls, "names" | "spki" | "hashes"> {
  const hashes = context.verifyCertificateHash.map((hash) => hash.replaceAll(":", "").toLowerCase());
  const wrong = hashes.findIndex((hash) => !/^[0-9a-f]{64}$/.test(hash));
  if (wrong >= 0)
    throw invalid(`${here}.verify_certificate_hash[${wrong}]`, "must be a SHA-256 in hexadecimal");
  return {
    names: context.matchTypedSubjectAltNames.map(({ sanType, matcher }, index) => {
      const field = `${here}.match_typed_subject_alt_names[${index}]`;
      if (matcher?.matchPattern.case !== "exact") throw invalid(at(field, "matcher"), "must be exact");
      return { type: nameType(at(field, "san_type"), sanType), value: matcher.matchPattern.value };
    }),
    spki: [...context.verifyCertificateSpki],
    hashes,
  };
}

function nameType(field: string, type: SanType): PeerName["type"] {
  switch (type) {
    case SanType.DNS:
      return "dns";
    case SanType.URI:
      return "uri";
    case SanType.IP_ADDRESS:
      return "ip";
    default:
      throw invalid(field, "must be DNS, URI or IP_ADDRESS");
  }
}
