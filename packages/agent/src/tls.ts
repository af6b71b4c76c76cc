import { constants } from "node:crypto";
import type { SecureContextOptions, TLSSocket } from "node:tls";

import type { Svid } from "./contract.js";
import { readLeaf } from "./leaf.js";

/**
 * Options for `tls.createSecureContext` between workloads: TLS 1.3 only, and no session tickets, because a resumed
 * session skips the certificate check. Servers pair them with `requestCert` and `rejectUnauthorized`, clients with
 * `checkServerIdentity: {@link noNameCheck}`; both check every new connection with {@link verifyPeer}.
 */
export function secureContextOptions(svid: Svid): SecureContextOptions {
  return {
    cert: svid.certificateChainPem,
    key: svid.privateKeyPem,
    ca: svid.trustBundlePem,
    minVersion: "TLSv1.3",
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

/**
 * For `tls.connect`: a workload is known by its SPIFFE id, not by a host name. Without it Node.js would hold every
 * SVID for untrusted, as there is no host name in it. Only together with {@link verifyPeer}.
 */
export function noNameCheck(): undefined {
  return undefined;
}

/** What a peer must be to pass. */
export interface PeerRule {
  /** Milliseconds since the epoch. */
  readonly nowMs: number;
  /** Trust domains that are let in. */
  readonly trustDomains: ReadonlySet<string>;
  /** When given, the peer must be one of these. */
  readonly spiffeIds?: ReadonlySet<string> | undefined;
}

/** Who a peer is, or why it does not pass: text for logs. */
export type PeerVerdict =
  | { readonly ok: true; readonly spiffeId: string; readonly notAfter: number }
  | { readonly ok: false; readonly reason: string };

/**
 * Judges the peer of a TLS connection whose handshake is over. The handshake has checked the chain
 * (`socket.authorized`); this checks it again for dates and reads who the peer is from its certificate's DER. Call it
 * for every connection, resumed ones included.
 */
export function verifyPeer(
  socket: Pick<TLSSocket, "authorized" | "authorizationError" | "getPeerX509Certificate">,
  rule: PeerRule,
): PeerVerdict {
  if (!socket.authorized) {
    return refuse(
      `the peer's certificate is not trusted: ${String(socket.authorizationError ?? "there is none")}`,
    );
  }
  const certificate = socket.getPeerX509Certificate();
  return certificate === undefined
    ? refuse("the peer has no certificate")
    : verifyLeaf(certificate.raw, rule);
}

/** As {@link verifyPeer}, for a certificate in DER (or a Node.js certificate object) whose chain is known to be good. */
export function verifyLeaf(
  certificate: Uint8Array | { readonly raw: Uint8Array },
  rule: PeerRule,
): PeerVerdict {
  const leaf = readLeaf(certificate instanceof Uint8Array ? certificate : certificate.raw);
  if (leaf === undefined) return refuse("the peer's certificate names no workload");
  const { spiffeId, trustDomain, notBefore, notAfter } = leaf;
  if (rule.nowMs < notBefore)
    return refuse(`the certificate of ${spiffeId} is not valid yet; check the clocks`);
  if (rule.nowMs >= notAfter) return refuse(`the certificate of ${spiffeId} has expired`);
  if (!rule.trustDomains.has(trustDomain))
    return refuse(`${spiffeId} is of a trust domain that is not let in`);
  if (rule.spiffeIds !== undefined && !rule.spiffeIds.has(spiffeId)) {
    return refuse(`${spiffeId} is not who was expected: ${[...rule.spiffeIds].slice(0, 8).join(", ")}`);
  }
  return { ok: true, spiffeId, notAfter };
}

function refuse(reason: string): PeerVerdict {
  return { ok: false, reason };
}
