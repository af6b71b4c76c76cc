import "reflect-metadata";
import { webcrypto } from "node:crypto";

import * as x509 from "@peculiar/x509";
import { revocationListPem } from "@tulle/base/spiffe";

import { newSerial } from "./certificates.js";

/** Kinds of keys that {@link makeCertificate} knows, weak ones included. */
export type ChainKey = "P-256" | "P-384" | "P-521" | "Ed25519" | "RSA-1024" | "RSA-2048";

/** One certificate of a chain, exactly as a test wants it: nothing is added to make it valid. */
export interface ChainCertificateOptions {
  /** Common name of the subject; default an empty subject. */
  readonly name?: string;
  /** Who signs it; default itself. */
  readonly issuer?: ChainCertificate;
  /** Default new ones. Cross-signed authorities have the same keys twice. */
  readonly keys?: webcrypto.CryptoKeyPair;
  readonly key?: ChainKey;
  readonly hash?: "SHA-1" | "SHA-256" | "SHA-384";
  /** Milliseconds since the epoch; default an hour before and after now. */
  readonly notBefore?: number;
  readonly notAfter?: number;
  /** Basic constraints; undefined: the extension is left out. */
  readonly ca?: boolean | undefined;
  readonly pathLength?: number;
  /** `x509.KeyUsageFlags`; undefined: left out. */
  readonly keyUsage?: number | undefined;
  /** Dotted; undefined: left out. */
  readonly extendedKeyUsages?: readonly string[] | undefined;
  readonly names?: x509.JsonGeneralNames | undefined;
  readonly extensions?: readonly x509.Extension[];
}

export interface ChainCertificate {
  readonly certificate: x509.X509Certificate;
  readonly pem: string;
  readonly der: Uint8Array;
  readonly keys: webcrypto.CryptoKeyPair;
}

const HOUR_MS = 3_600_000;

/** Makes a certificate as described, valid or not. */
export async function makeCertificate(options: ChainCertificateOptions): Promise<ChainCertificate> {
  const keys = options.keys ?? (await generateKeys(options.key ?? "P-256", options.hash ?? "SHA-256"));
  const signer = options.issuer?.keys ?? keys;
  const { ca, keyUsage, extendedKeyUsages, names, pathLength } = options;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject: options.name === undefined ? "" : `CN=${options.name}`,
    issuer: options.issuer?.certificate.subject ?? (options.name === undefined ? "" : `CN=${options.name}`),
    notBefore: new Date(options.notBefore ?? Date.now() - HOUR_MS),
    notAfter: new Date(options.notAfter ?? Date.now() + HOUR_MS),
    publicKey: keys.publicKey,
    signingKey: signer.privateKey,
    signingAlgorithm: { ...signer.privateKey.algorithm, hash: options.hash ?? "SHA-256" },
    extensions: [
      ...(ca === undefined ? [] : [new x509.BasicConstraintsExtension(ca, pathLength, true)]),
      ...(keyUsage === undefined ? [] : [new x509.KeyUsagesExtension(keyUsage, true)]),
      ...(extendedKeyUsages === undefined
        ? []
        : [new x509.ExtendedKeyUsageExtension([...extendedKeyUsages])]),
      ...(names === undefined ? [] : [new x509.SubjectAlternativeNameExtension(names, true)]),
      ...(options.extensions ?? []),
    ],
  });
  return {
    certificate,
    pem: `${certificate.toString("pem")}\n`,
    der: new Uint8Array(certificate.rawData),
    keys,
  };
}

async function generateKeys(key: ChainKey, hash: string): Promise<webcrypto.CryptoKeyPair> {
  const algorithm = key.startsWith("RSA")
    ? {
        name: "RSASSA-PKCS1-v1_5",
        modulusLength: Number(key.slice(4)),
        publicExponent: new Uint8Array([1, 0, 1]),
        hash,
      }
    : key === "Ed25519"
      ? { name: "Ed25519" }
      : { name: "ECDSA", namedCurve: key };
  return (await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
}

/** A revocation list exactly as a test wants it. */
export interface RevocationListOptions {
  readonly issuer: ChainCertificate;
  readonly revoked?: readonly ChainCertificate[];
  /** Milliseconds since the epoch; default an hour before and after now. */
  readonly thisUpdate?: number;
  readonly nextUpdate?: number;
  readonly extensions?: x509.Extension[];
  readonly hash?: "SHA-1" | "SHA-256";
}

/** Makes a revocation list as described, PEM. */
export async function makeRevocationList(options: RevocationListOptions): Promise<string> {
  const { issuer, revoked = [], extensions, hash = "SHA-256" } = options;
  const list = await x509.X509CrlGenerator.create({
    issuer: issuer.certificate.subjectName,
    thisUpdate: new Date(options.thisUpdate ?? Date.now() - HOUR_MS),
    nextUpdate: new Date(options.nextUpdate ?? Date.now() + HOUR_MS),
    entries: revoked.map(({ certificate }) => ({ serialNumber: certificate.serialNumber })),
    signingKey: issuer.keys.privateKey,
    signingAlgorithm: { ...issuer.keys.privateKey.algorithm, hash },
    ...(extensions !== undefined && { extensions }),
  });
  return revocationListPem(new Uint8Array(list.rawData));
}
