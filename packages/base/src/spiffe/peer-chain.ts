/** A peer's certificate as Node.js gives it, with the one that signed it. */
export interface PeerCertificateLink {
  readonly raw?: Uint8Array;
  readonly issuerCertificate?: PeerCertificateLink;
}

/** Certificates of a peer's chain that are looked at, at most. */
const MAX_CHAIN = 10;

/** The certificates of `socket.getPeerCertificate(true)` in DER, leaf first; none when there is no certificate. */
export function peerChain(leaf: PeerCertificateLink): Uint8Array[] {
  const chain: Uint8Array[] = [];
  let next: PeerCertificateLink | undefined = leaf;
  while (next?.raw !== undefined && chain.length < MAX_CHAIN) {
    chain.push(next.raw);
    // A root is its own issuer.
    next = next.issuerCertificate === next ? undefined : next.issuerCertificate;
  }
  return chain;
}
