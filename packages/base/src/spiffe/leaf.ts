import { parseSpiffeId, type SpiffeId } from "../spiffe-id.js";
import { ExtendedKeyUsage, KeyUsage, readCertificate, type CertificateFacts } from "./certificate.js";

/** Whom an X.509-SVID names, and when. */
export interface Leaf extends SpiffeId {
  readonly spiffeId: string;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/**
 * Reads an X.509-SVID's leaf from its DER, or undefined when it is none: there must be exactly one URI among its
 * alternative names, it must be a workload's SPIFFE id, and the certificate must be for signing and for both ends of
 * TLS, not an authority's (X.509-SVID sections 2 to 4). Signatures are not checked here. Names are taken from the
 * encoding, because texts that are made of them can be forged by what a name contains.
 */
export function readLeaf(der: Uint8Array): Leaf | undefined {
  const facts = readCertificate(der);
  const [uri = "", ...others] = facts?.uris ?? [];
  if (facts === undefined || others.length > 0 || !isLeaf(facts)) return undefined;
  const id = parseSpiffeId(uri);
  return id === undefined
    ? undefined
    : { ...id, spiffeId: uri, notBefore: facts.notBefore, notAfter: facts.notAfter };
}

function isLeaf({ ca, keyUsage, extendedKeyUsages, constrained, weakness }: CertificateFacts): boolean {
  if (ca || constrained || weakness !== undefined) return false;
  if (keyUsage !== undefined) {
    if ((keyUsage & (KeyUsage.keyCertSign | KeyUsage.crlSign)) !== 0) return false;
    if ((keyUsage & KeyUsage.digitalSignature) === 0) return false;
  }
  if (extendedKeyUsages === undefined || extendedKeyUsages.includes(ExtendedKeyUsage.any)) return true;
  return (
    extendedKeyUsages.includes(ExtendedKeyUsage.clientAuth) &&
    extendedKeyUsages.includes(ExtendedKeyUsage.serverAuth)
  );
}
