import type { X509Certificate } from "node:crypto";

import { KeyUsage, type CertificateFacts } from "./certificate.js";
import { derOfPem, splitRevocationLists } from "./pem.js";
import { readRevocationList, type RevocationList } from "./revocation-list.js";

/** Authorities whose lists are remembered, at most. */
const MAX_AUTHORITIES = 256;
/** Of anything in PEM. */
const BEGIN = "-----BEGIN ";

/** An authority as far as its lists go. */
export interface ListSigner {
  readonly certificate: X509Certificate;
  readonly facts: Pick<CertificateFacts, "keyUsage">;
}

/**
 * Revocation lists of any authorities. A list counts for certificates of the authority whose key has signed it, however late its
 * successor is; an authority without a list has taken nothing back.
 */
export class RevocationLists {
  readonly lists: readonly RevocationList[];
  /** Lists by the fingerprint of the certificate of who signed them. */
  readonly #bySigner = new Map<string, readonly RevocationList[]>();

  /** What cannot be read in `pem` is left out: whoever takes lists from outside looks at {@link unreadable}. */
  constructor(pem: string) {
    const blocks = splitRevocationLists(pem).map((block) => readRevocationList(derOfPem(block)));
    this.lists = blocks.flatMap((list) => list ?? []);
    this.unreadable = Math.max(blocks.length, pem.split(BEGIN).length - 1) - this.lists.length;
  }

  /** How many there are that cannot be read, or not be used: those that are cut, and what is no list, among them. */
  readonly unreadable: number;

  /** Whether the authority has taken a certificate that it signed back. */
  isRevoked({ serialNumber }: Pick<CertificateFacts, "serialNumber">, issuer: ListSigner): boolean {
    return this.listsOf(issuer).some(({ serialNumbers }) => serialNumbers.has(serialNumber));
  }

  /** The lists that an authority has signed, and may sign. */
  listsOf({ certificate, facts }: ListSigner): readonly RevocationList[] {
    const { fingerprint256 } = certificate;
    let found = this.#bySigner.get(fingerprint256);
    if (found === undefined) {
      const may = facts.keyUsage === undefined || (facts.keyUsage & KeyUsage.crlSign) !== 0;
      found = may ? this.lists.filter((list) => list.isSignedWith(certificate.publicKey)) : [];
      if (this.#bySigner.size === MAX_AUTHORITIES) this.#bySigner.clear();
      this.#bySigner.set(fingerprint256, found);
    }
    return found;
  }
}
