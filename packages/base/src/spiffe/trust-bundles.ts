import { X509Certificate } from "node:crypto";

import { joinPem, splitPem } from "./pem.js";

/**
 * Roots by trust domain. A certificate is only ever verified against the roots of the trust domain that its id names:
 * the authority of one domain says nothing about another.
 */
export class TrustBundles {
  readonly #pems: Readonly<Record<string, string>>;
  readonly #roots = new Map<string, readonly X509Certificate[]>();

  /** `pems`: PEM text of the roots by trust domain. */
  constructor(pems: Readonly<Record<string, string>>) {
    this.#pems = pems;
  }

  /** How many trust domains have roots. */
  get size(): number {
    return this.domains.length;
  }

  get domains(): readonly string[] {
    return Object.keys(this.#pems);
  }

  has(trustDomain: string): boolean {
    return Object.hasOwn(this.#pems, trustDomain);
  }

  /** Every root of every domain, for a TLS context. */
  get pem(): string {
    return joinPem(Object.values(this.#pems));
  }

  /** Roots of one domain, in order; empty when it is not trusted. What cannot be read is no root. */
  rootsOf(trustDomain: string): readonly X509Certificate[] {
    let roots = this.#roots.get(trustDomain);
    if (roots === undefined) {
      roots = this.has(trustDomain) ? parseCertificates(this.#pems[trustDomain] ?? "") : [];
      this.#roots.set(trustDomain, roots);
    }
    return roots;
  }
}

/** Certificates of a PEM text in order, without those that cannot be read. */
export function parseCertificates(pem: string): X509Certificate[] {
  return splitPem(pem).flatMap((block) => parseCertificate(block) ?? []);
}

/** One certificate in PEM or DER; undefined when it is none. */
export function parseCertificate(encoded: string | Uint8Array): X509Certificate | undefined {
  try {
    return new X509Certificate(encoded);
  } catch {
    return undefined;
  }
}
