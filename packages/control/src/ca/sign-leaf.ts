import "reflect-metadata";
import type { webcrypto } from "node:crypto";

import * as x509 from "@peculiar/x509";

import type { SignedLeaf, SignRequest } from "./signer.js";

/** Certificates are dated back this far, milliseconds, for workloads whose clocks are behind. */
export const BACKDATE_MS = 300_000;

/** An authority's certificate with its key. */
export interface Issuer {
  readonly certificate: x509.X509Certificate;
  readonly signingKey: webcrypto.CryptoKey;
  readonly signingAlgorithm: webcrypto.Algorithm | webcrypto.EcdsaParams;
  /** What stands between it and the root that workloads know, itself included if it is not that root. PEM. */
  readonly chainPem: readonly string[];
  /** No leaf outlives this, milliseconds since the epoch. */
  readonly notAfterMs: number;
}

/** Signs an X.509-SVID leaf: empty subject, so the alternative name is critical (RFC 5280 section 4.2.1.6). */
export async function signLeaf(issuer: Issuer, serial: string, request: SignRequest): Promise<SignedLeaf> {
  const { keyEncipherment, digitalSignature } = x509.KeyUsageFlags;
  // Dates in certificates have whole seconds: rounded up, so that the shortest lives are not cut by a fifth.
  const notAfter = Math.min(
    Math.ceil((request.nowMs + request.ttlMs) / 1000) * 1000,
    issuer.notAfterMs,
    issuer.certificate.notAfter.getTime(),
  );
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial,
    issuer: issuer.certificate.subjectName,
    notBefore: new Date(request.nowMs - BACKDATE_MS),
    notAfter: new Date(notAfter),
    publicKey: request.key.spki,
    signingKey: issuer.signingKey,
    signingAlgorithm: issuer.signingAlgorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      request.key.type === "rsa"
        ? new x509.KeyUsagesExtension(digitalSignature | keyEncipherment, true)
        : new x509.KeyUsagesExtension(digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([
        x509.ExtendedKeyUsage.serverAuth,
        x509.ExtendedKeyUsage.clientAuth,
      ]),
      new x509.SubjectAlternativeNameExtension(request.names, true),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.certificate.publicKey),
    ],
  });
  return {
    chainPem: [`${certificate.toString("pem")}\n`, ...issuer.chainPem],
    serialNumber: certificate.serialNumber.toUpperCase(),
    notBefore: certificate.notBefore.getTime(),
    notAfter: certificate.notAfter.getTime(),
  };
}
