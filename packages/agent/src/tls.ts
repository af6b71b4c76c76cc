import { constants } from "node:crypto";
import type { DetailedPeerCertificate, SecureContextOptions, TLSSocket } from "node:tls";

import { parseSpiffeId } from "@tulle/base";
import {
  judgeLeaf,
  peerChain,
  RevocationLists,
  TrustBundles,
  verifySvid,
  type SvidRule,
  type SvidVerdict,
} from "@tulle/base/spiffe";

import type { Svid } from "./contract.js";

/**
 * Options for `tls.createSecureContext` between workloads: TLS 1.3 only, and no session tickets, because a resumed
 * session skips the certificate check. Servers pair them with `requestCert`, clients with
 * `checkServerIdentity: {@link noNameCheck}`; both check every new connection with {@link verifyPeer}.
 */
export function secureContextOptions(svid: Svid): SecureContextOptions {
  return {
    cert: svid.certificateChainPem,
    key: svid.privateKeyPem,
    ca: trustBundlesOf(svid).pem,
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

const bundles = new WeakMap<Svid, TrustBundles>();

/** Whom the owner of an SVID trusts: its own trust domain and those that it knows the roots of. */
export function trustBundlesOf(svid: Svid): TrustBundles {
  let known = bundles.get(svid);
  if (known === undefined) {
    const own = parseSpiffeId(svid.spiffeId)?.trustDomain ?? "";
    known = new TrustBundles({ ...svid.federatedBundles, [own]: svid.trustBundlePem });
    bundles.set(svid, known);
  }
  return known;
}

const revocations = new WeakMap<Svid, RevocationLists>();

/** What the authorities took back, as the owner of an SVID knows it; undefined = nothing. */
export function revocationsOf(svid: Svid): RevocationLists | undefined {
  const { revocationListsPem = "" } = svid;
  if (revocationListsPem === "") return undefined;
  let known = revocations.get(svid);
  if (known === undefined) revocations.set(svid, (known = new RevocationLists(revocationListsPem)));
  return known;
}

/** What of a TLS connection tells its peer. */
export type PeerSocket = Pick<TLSSocket, "authorized" | "authorizationError" | "getPeerCertificate">;

/** What Node.js says of a chain whose only fault is its date. */
const EXPIRED = "CERT_HAS_EXPIRED";

/**
 * Judges the peer of a TLS connection whose handshake is over. Call it for every connection, resumed ones included.
 *
 * The handshake has checked the chain against all roots (`socket.authorized`). With one trust domain that is its bundle,
 * and the leaf is what is left to look at; with several, for a peer that passes by grace only, or where `wholeChain` says
 * so, the whole chain is verified again against the bundle of the trust domain that the peer's id names.
 */
export function verifyPeer(socket: PeerSocket, rule: SvidRule, wholeChain = false): SvidVerdict {
  const { authorized } = socket;
  // Node.js has the code where its types have an Error.
  const problem = String(socket.authorizationError ?? "there is none");
  if (!authorized && !((rule.graceMs ?? 0) > 0 && problem === EXPIRED)) {
    return { ok: false, reason: `the peer's certificate is not trusted: ${problem}` };
  }
  if (authorized && rule.bundles.size === 1 && rule.revocations === undefined && !wholeChain) {
    // A third of the time that getPeerX509Certificate takes (39 instead of 109 µs, of some 1,250 for a handshake).
    const { raw }: Partial<DetailedPeerCertificate> = socket.getPeerCertificate();
    return raw === undefined ? { ok: false, reason: "the peer has no certificate" } : judgeLeaf(raw, rule);
  }
  return verifySvid(peerChain(socket.getPeerCertificate(true)), rule);
}
