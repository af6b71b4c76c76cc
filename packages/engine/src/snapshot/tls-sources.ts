import type { DataSource } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import type { SdsSecretConfig } from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import type {
  CertificateValidationContext,
  TlsCertificate,
} from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import { at, invalid } from "./invalid.js";

/** Text in PEM: of a file on the proxy's machine, or as it is. */
export type PemSource = { readonly file: string } | { readonly pem: string };

/** A certificate, leaf first, with its key. */
export interface CertificateSource {
  readonly chain: PemSource;
  readonly key: PemSource;
}

/** Whose certificates are believed. */
export interface TrustSource {
  /** `system`: the operating system's authorities. */
  readonly roots: PemSource | "system";
  /** Certificates that were taken back; with it every authority of a chain must have its list. */
  readonly crl: PemSource | undefined;
}

/** Name of a Secret that the control plane sends (SDS). */
export interface SecretName {
  readonly secret: string;
}

/** A certificate with its key as it stands in a TLS context or in a Secret. */
export function compileCertificate(here: string, certificate: TlsCertificate): CertificateSource {
  if (certificate.privateKeyProvider !== undefined)
    throw invalid(at(here, "private_key_provider"), "is not supported: give private_key");
  if (certificate.password !== undefined)
    throw invalid(at(here, "password"), "is not supported: give a key without a password");
  return {
    chain: pemSource(at(here, "certificate_chain"), certificate.certificateChain),
    key: pemSource(at(here, "private_key"), certificate.privateKey),
  };
}

/** Whose certificates a validation context believes; undefined when it names no authority. */
export function compileTrust(here: string, context: CertificateValidationContext): TrustSource | undefined {
  refuseChecks(here, context);
  const { trustedCa, systemRootCerts, crl } = context;
  const list = crl && pemSource(at(here, "crl"), crl);
  if (trustedCa !== undefined) return { roots: pemSource(at(here, "trusted_ca"), trustedCa), crl: list };
  if (systemRootCerts !== undefined) return { roots: "system", crl: list };
  if (list !== undefined) throw invalid(at(here, "crl"), "needs trusted_ca or system_root_certs");
  return undefined;
}

/** The name of a Secret that is asked of the control plane. */
export function secretName(here: string, { name }: SdsSecretConfig): SecretName {
  if (name === "") throw invalid(at(here, "name"), "must be set");
  return { secret: name };
}

/** What stands there to make verification stricter and is not carried out. */
function refuseChecks(here: string, context: CertificateValidationContext): void {
  const unsupported: readonly (readonly [string, boolean])[] = [
    ["verify_certificate_spki", context.verifyCertificateSpki.length > 0],
    ["verify_certificate_hash", context.verifyCertificateHash.length > 0],
    ["require_signed_certificate_timestamp", context.requireSignedCertificateTimestamp === true],
    ["custom_validator_config", context.customValidatorConfig !== undefined],
    ["only_verify_leaf_cert_crl", context.onlyVerifyLeafCertCrl],
    ["max_verify_depth", context.maxVerifyDepth !== undefined],
    ["allow_expired_certificate", context.allowExpiredCertificate],
  ];
  for (const [field, given] of unsupported) {
    if (given) throw invalid(at(here, field), "is not supported: leave it out");
  }
}

/** Text in PEM from wherever it stands. */
export function pemSource(here: string, source: DataSource | undefined): PemSource {
  switch (source?.specifier.case) {
    case "filename":
      if (source.specifier.value === "") break;
      return { file: source.specifier.value };
    case "inlineString":
      return { pem: source.specifier.value };
    case "inlineBytes":
      return { pem: Array.from(source.specifier.value, (byte) => String.fromCharCode(byte)).join("") };
    case "environmentVariable":
      throw invalid(at(here, "environment_variable"), "is not supported: give a file or the text itself");
    case undefined:
      break;
  }
  throw invalid(here, "must be set");
}
