import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { encodeDer, revocationListPem, Tag } from "@tulle/base/spiffe";

import { importSigningKey, SIGNING_ALGORITHM, type MadeRoot } from "./make-root.js";

/** A certificate that was taken back. */
export interface Revoked {
  /** Upper-case hexadecimal. */
  readonly serialNumber: string;
  /** Milliseconds since the epoch. */
  readonly revokedAt: number;
}

const CRL_NUMBER = "2.5.29.20";

/** One of the mesh's own roots says what was taken back (RFC 5280 section 5). PEM. */
export async function signRevocationList(
  root: MadeRoot,
  revoked: readonly Revoked[],
  { nowMs, nextUpdateMs }: { readonly nowMs: number; readonly nextUpdateMs: number },
): Promise<string> {
  const issuer = new x509.X509Certificate(root.certificatePem);
  const number = Buffer.alloc(8);
  number.writeBigUInt64BE(BigInt(nowMs));
  const list = await x509.X509CrlGenerator.create({
    issuer: issuer.subjectName,
    thisUpdate: new Date(nowMs),
    nextUpdate: new Date(nextUpdateMs),
    entries: revoked.map(({ serialNumber, revokedAt }) => ({
      serialNumber,
      revocationDate: new Date(revokedAt),
      reason: x509.X509CrlReason.privilegeWithdrawn,
    })),
    signingAlgorithm: SIGNING_ALGORITHM,
    signingKey: await importSigningKey(root.privateKeyPem),
    extensions: [
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      // Grows with every list, and is smaller than 2^63: six bytes of milliseconds.
      new x509.Extension(CRL_NUMBER, false, encodeDer(Tag.integer, number.subarray(2))),
    ],
  });
  return revocationListPem(new Uint8Array(list.rawData));
}
