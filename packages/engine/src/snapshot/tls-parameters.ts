import {
  TlsParameters_TlsProtocol as Protocol,
  type TlsParameters,
} from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import { at, invalid } from "./invalid.js";

export type TlsVersion = "TLSv1.2" | "TLSv1.3";

/** Versions, ciphers and curves of a TLS endpoint. */
export interface TlsSettings {
  readonly minVersion: TlsVersion;
  readonly maxVersion: TlsVersion;
  /** OpenSSL's names, for TLS 1.2; empty = the default ones. */
  readonly ciphers: readonly string[];
  /** `X25519`, `P-256`, …; empty = the default ones. */
  readonly curves: readonly string[];
}

const NAME = /^[A-Za-z0-9_+.-]{1,64}$/;

/** Compiles TLS parameters. What is not set is `least` to TLS 1.3 with the default ciphers and curves. */
export function compileTlsParameters(
  here: string,
  parameters: TlsParameters | undefined,
  least: TlsVersion,
): TlsSettings {
  const minVersion = versionOf(
    at(here, "tls_minimum_protocol_version"),
    parameters?.tlsMinimumProtocolVersion,
  );
  const maxVersion = versionOf(
    at(here, "tls_maximum_protocol_version"),
    parameters?.tlsMaximumProtocolVersion,
  );
  const settings: TlsSettings = {
    minVersion: minVersion ?? least,
    maxVersion: maxVersion ?? "TLSv1.3",
    ciphers: names(at(here, "cipher_suites"), parameters?.cipherSuites),
    curves: names(at(here, "ecdh_curves"), parameters?.ecdhCurves),
  };
  if (settings.minVersion > settings.maxVersion)
    throw invalid(at(here, "tls_minimum_protocol_version"), "must not be above the maximum version");
  if ((parameters?.signatureAlgorithms.length ?? 0) > 0)
    throw invalid(at(here, "signature_algorithms"), "is not supported: leave it out");
  return settings;
}

function versionOf(here: string, version: Protocol | undefined): TlsVersion | undefined {
  switch (version) {
    case undefined:
    case Protocol.TLS_AUTO:
      return undefined;
    case Protocol.TLSv1_2:
      return "TLSv1.2";
    case Protocol.TLSv1_3:
      return "TLSv1.3";
    default:
      throw invalid(here, "must be TLSv1_2 or TLSv1_3: older versions are not safe");
  }
}

/** BoringSSL writes alternatives as `[A|B]`; OpenSSL wants a plain list. */
function names(here: string, given: readonly string[] | undefined): string[] {
  const each = (given ?? []).flatMap((item) => item.replace(/^\[(.*)\]$/, "$1").split("|"));
  const wrong = each.find((name) => !NAME.test(name));
  if (wrong !== undefined) throw invalid(here, `${JSON.stringify(wrong)} is not a name`);
  return each;
}
