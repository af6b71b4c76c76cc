import "reflect-metadata";
import { X509Certificate } from "node:crypto";

import type { ServerUnaryCall } from "@grpc/grpc-js";
import * as x509 from "@peculiar/x509";
import type { Clock } from "@tulle/base";

import { parseWorkloadSpiffeId, type WorkloadAccount } from "../ca/workload-id.js";

const SUBJECT_ALT_NAME_OID = "2.5.29.17";

/** Who a client of the gRPC port has proved to be. */
export interface PeerIdentity extends WorkloadAccount {
  readonly spiffeId: string;
  /** Milliseconds since the epoch. A stream must end when this passes. */
  readonly notAfter: number;
  readonly certificateDer: Uint8Array;
}

export interface PeerIdentityOptions {
  /** Roots that are trusted now; asked for on every check, so a root that is taken away counts at once. */
  readonly trustBundlePem: () => string;
  readonly trustDomain: string;
  readonly clock: Clock;
}

/** What of a gRPC call tells its peer. */
export type AuthenticatedCall = Pick<ServerUnaryCall<unknown, unknown>, "getAuthContext">;

/** Tells who made a call; see {@link createPeerIdentity}. */
export type PeerIdentityOf = (call: AuthenticatedCall) => PeerIdentity | undefined;

/**
 * Reads the identity of a call's peer from its client certificate, or undefined when it has none, or none that is
 * valid **now**: the TLS handshake may be days old, so issuer and dates are checked again. Exactly one URI name, a
 * workload's of this trust domain, is an identity; names are read from the DER, never from printed text.
 */
export function createPeerIdentity(options: PeerIdentityOptions): PeerIdentityOf {
  let parsedFrom = "";
  let roots: readonly X509Certificate[] = [];

  return (call) => {
    // Empty unless the handshake verified the certificate against the trusted roots.
    const raw = call.getAuthContext().sslPeerCertificate?.raw;
    if (raw === undefined) return undefined;
    const bundle = options.trustBundlePem();
    if (bundle !== parsedFrom) {
      roots = parseBundle(bundle);
      parsedFrom = bundle;
    }
    return identify(raw, roots, options.trustDomain, options.clock.now());
  };
}

/** As {@link createPeerIdentity}, for one certificate in DER. Never throws: what does not parse is nobody. */
export function identify(
  der: Uint8Array,
  roots: readonly X509Certificate[],
  trustDomain: string,
  nowMs: number,
): PeerIdentity | undefined {
  let certificate: x509.X509Certificate;
  let spiffeId: string | undefined;
  try {
    const native = new X509Certificate(der);
    if (native.ca || !roots.some((root) => native.checkIssued(root) && native.verify(root.publicKey))) {
      return undefined;
    }
    certificate = new x509.X509Certificate(Uint8Array.from(der));
    spiffeId = uriNameOf(certificate);
  } catch {
    return undefined;
  }
  const notAfter = certificate.notAfter.getTime();
  if (nowMs < certificate.notBefore.getTime() || nowMs >= notAfter || spiffeId === undefined)
    return undefined;
  const account = parseWorkloadSpiffeId(spiffeId, trustDomain);
  return account === undefined ? undefined : { ...account, spiffeId, notAfter, certificateDer: der };
}

/** The one URI among a certificate's alternative names, or undefined for none or several (X.509-SVID section 2). */
function uriNameOf(certificate: x509.X509Certificate): string | undefined {
  const extensions = certificate.extensions.filter((extension) => extension.type === SUBJECT_ALT_NAME_OID);
  const [extension] = extensions;
  if (extension === undefined || extensions.length > 1) return undefined;
  const uris = new x509.SubjectAlternativeNameExtension(extension.rawData).names.items.filter(
    (name) => name.type === "url",
  );
  return uris.length === 1 ? uris[0]?.value : undefined;
}

/** Certificates of a PEM bundle in order. */
export function parseBundle(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}
