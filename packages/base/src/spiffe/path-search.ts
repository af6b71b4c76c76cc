import type { X509Certificate } from "node:crypto";

import { KeyUsage, readCertificate, type CertificateFacts } from "./certificate.js";
import type { RevocationLists } from "./revocation-lists.js";
import { parseCertificate } from "./trust-bundles.js";

/** Authorities between leaf and root, at most. */
export const MAX_INTERMEDIATES = 8;
/** Signatures that are checked for one chain, at most: cross-signed authorities could make a maze. */
const MAX_SIGNATURES = 32;

/** When a path is looked at. */
export interface PathRule {
  /** Milliseconds since the epoch. */
  readonly nowMs: number;
  /** Authorities count for this long after their end, milliseconds. Default 0. */
  readonly graceMs?: number | undefined;
}

interface Authority {
  readonly certificate: X509Certificate;
  readonly facts: CertificateFacts;
}

/**
 * Looks for a path from a certificate to one of the roots, by any of the authorities that were sent along (RFC 5280 section 6,
 * without policies; authorities that limit names are none here).
 */
export class PathSearch {
  readonly #sent: readonly Authority[];
  readonly #roots: readonly Authority[];
  /** The path that was found, from the root down: who signed which certificate. */
  readonly #path: { readonly issuer: Authority; readonly certificate: X509Certificate }[] = [];
  #signatures = 0;

  constructor(sent: readonly Uint8Array[], roots: readonly X509Certificate[], rule: PathRule) {
    const usable = (certificate: X509Certificate | undefined): Authority[] => {
      const facts = certificate === undefined ? undefined : readCertificate(certificate.raw);
      return certificate !== undefined && facts !== undefined && isAuthority(facts, rule)
        ? [{ certificate, facts }]
        : [];
    };
    this.#sent = sent.flatMap((der) => usable(parseCertificate(der)));
    this.#roots = roots.flatMap(usable);
  }

  /** `below`: authorities under this one in the path. */
  leadsUp(certificate: X509Certificate, below: number): boolean {
    let issuer = this.#roots.find((root) => this.#signs(root, certificate, below));
    if (issuer === undefined && below < MAX_INTERMEDIATES) {
      issuer = this.#sent.find(
        (each) => this.#signs(each, certificate, below) && this.leadsUp(each.certificate, below + 1),
      );
    }
    if (issuer !== undefined) this.#path.push({ issuer, certificate });
    return issuer !== undefined;
  }

  /** Whether a certificate of the path that was found was taken back. Only those of a path to a root can make this work. */
  isRevoked(revocations: RevocationLists): boolean {
    return this.#path.some(({ issuer, certificate }) => {
      const facts = readCertificate(certificate.raw);
      return facts === undefined || revocations.isRevoked(facts, issuer);
    });
  }

  #signs({ certificate: issuer, facts }: Authority, certificate: X509Certificate, below: number): boolean {
    if (facts.pathLength !== undefined && facts.pathLength < below) return false;
    if (!issuer.ca || !certificate.checkIssued(issuer)) return false;
    if (++this.#signatures > MAX_SIGNATURES) return false;
    try {
      return certificate.verify(issuer.publicKey);
    } catch {
      return false;
    }
  }
}

function isAuthority(facts: CertificateFacts, { nowMs, graceMs = 0 }: PathRule): boolean {
  if (!facts.ca || facts.constrained || facts.weakness !== undefined) return false;
  if (facts.keyUsage !== undefined && (facts.keyUsage & KeyUsage.keyCertSign) === 0) return false;
  return nowMs >= facts.notBefore && nowMs < facts.notAfter + graceMs;
}
