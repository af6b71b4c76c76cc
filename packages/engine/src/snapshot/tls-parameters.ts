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
  /** Equal where all of it is. */
  readonly key: string;
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
  const settings = {
    minVersion: minVersion ?? least,
    maxVersion: maxVersion ?? "TLSv1.3",
    ciphers: names(at(here, "cipher_suites"), parameters?.cipherSuites),
    curves: names(at(here, "ecdh_curves"), parameters?.ecdhCurves),
  };
  if (settings.minVersion > settings.maxVersion)
    throw invalid(at(here, "tls_minimum_protocol_version"), "must not be above the maximum version");
  if ((parameters?.signatureAlgorithms.length ?? 0) > 0)
    throw invalid(at(here, "signature_algorithms"), "is not supported: leave it out");
  return { ...settings, key: JSON.stringify(settings) };
}

/** Suites of TLS 1.2 (Istio's list) and curves that the mesh may be told to speak. */
const MESH_CIPHERS: ReadonlySet<string> = new Set([
  ...["ECDHE-ECDSA", "ECDHE-RSA"].flatMap((kind) =>
    ["AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305", "AES128-SHA", "AES256-SHA"].map(
      (cipher) => `${kind}-${cipher}`,
    ),
  ),
  "AES128-GCM-SHA256",
  "AES256-GCM-SHA384",
  "AES128-SHA",
  "AES256-SHA",
]);
const MESH_CURVES: ReadonlySet<string> = new Set(["X25519", "P-256", "P-384", "P-521"]);

/** Those of the mesh's own mutual TLS. A name that is not known is refused: a sidecar that cannot speak as it is told has no connections. */
export function compileMeshParameters(here: string, parameters: TlsParameters | undefined): TlsSettings {
  const settings = compileTlsParameters(here, parameters, "TLSv1.3");
  refuseUnknown(at(here, "cipher_suites"), settings.ciphers, MESH_CIPHERS);
  refuseUnknown(at(here, "ecdh_curves"), settings.curves, MESH_CURVES);
  return settings;
}

function refuseUnknown(here: string, names: readonly string[], known: ReadonlySet<string>): void {
  const wrong = names.find((name) => !known.has(name));
  if (wrong !== undefined)
    throw invalid(here, `${wrong} is not known: give some of ${[...known].join(", ")}`);
}

/** What mutual TLS is spoken with where nothing is said. */
export const MESH_PARAMETERS: TlsSettings = compileMeshParameters("", undefined);

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
