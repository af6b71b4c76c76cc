import "reflect-metadata";
import { webcrypto } from "node:crypto";

import * as x509 from "@peculiar/x509";

import { serialNumber, type RandomBytes } from "./serial-number.js";
import { BACKDATE_MS } from "./sign-leaf.js";

/** ECDSA with P-256 and SHA-256: what the mesh's own roots sign with. */
export const SIGNING_ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** A root with its key. */
export interface MadeRoot {
  readonly certificatePem: string;
  /** PKCS#8. */
  readonly privateKeyPem: string;
}

export interface RootRequest {
  readonly trustDomain: string;
  readonly nowMs: number;
  readonly ttlMs: number;
  readonly randomBytes: RandomBytes;
}

/** Makes a root with a new key. Each has another name, so that certificates say which of them signed. */
export async function makeRoot({ trustDomain, nowMs, ttlMs, randomBytes }: RootRequest): Promise<MadeRoot> {
  const keys = await webcrypto.subtle.generateKey(SIGNING_ALGORITHM, true, ["sign", "verify"]);
  const serial = serialNumber(randomBytes);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial,
    name: [{ O: [trustDomain] }, { CN: [`Tulle root ${serial.slice(0, 8)}`] }],
    notBefore: new Date(nowMs - BACKDATE_MS),
    notAfter: new Date(nowMs + ttlMs),
    keys,
    signingAlgorithm: SIGNING_ALGORITHM,
    extensions: await extensionsFor(keys.publicKey),
  });
  const pkcs8 = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  return {
    certificatePem: `${certificate.toString("pem")}\n`,
    privateKeyPem: x509.PemConverter.encode(pkcs8, "PRIVATE KEY"),
  };
}

/**
 * The new root's name and key in a certificate of the old root: whoever knows only the old one follows it to the new
 * one's leaves.
 */
export async function crossSign(old: MadeRoot, fresh: MadeRoot, randomBytes: RandomBytes): Promise<string> {
  const issuer = new x509.X509Certificate(old.certificatePem);
  const subject = new x509.X509Certificate(fresh.certificatePem);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(randomBytes),
    subject: subject.subjectName,
    issuer: issuer.subjectName,
    notBefore: subject.notBefore,
    notAfter: new Date(Math.min(issuer.notAfter.getTime(), subject.notAfter.getTime())),
    publicKey: subject.publicKey,
    signingKey: await importSigningKey(old.privateKeyPem),
    signingAlgorithm: SIGNING_ALGORITHM,
    extensions: [
      ...(await extensionsFor(await subject.publicKey.export())),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return `${certificate.toString("pem")}\n`;
}

/** A root's key for signing; it cannot be exported again. */
export function importSigningKey(privateKeyPem: string): Promise<webcrypto.CryptoKey> {
  const [pkcs8 = new ArrayBuffer(0)] = x509.PemConverter.decode(privateKeyPem);
  return webcrypto.subtle.importKey("pkcs8", pkcs8, SIGNING_ALGORITHM, false, ["sign"]);
}

async function extensionsFor(publicKey: webcrypto.CryptoKey): Promise<x509.Extension[]> {
  return [
    new x509.BasicConstraintsExtension(true, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    await x509.SubjectKeyIdentifierExtension.create(publicKey),
  ];
}
