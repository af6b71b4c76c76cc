import "reflect-metadata";
import { webcrypto } from "node:crypto";

import * as x509 from "@peculiar/x509";

const EC_P256 = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const HOUR_MS = 3_600_000;

/** What to issue; the default is a valid SVID of `default/test`. */
export interface TestCertificateOptions {
  /** Default `default`. */
  readonly namespace?: string;
  /** Default `test`. */
  readonly serviceAccount?: string;
  /** URI names as they are, instead of the one made of namespace and account. Empty: none. */
  readonly uris?: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  /** Milliseconds since the epoch; default an hour ago. */
  readonly notBefore?: number;
  /** Milliseconds since the epoch; default in an hour. */
  readonly notAfter?: number;
  /** Marks it as an authority, which no workload may be. */
  readonly ca?: boolean;
  /** Common name of the subject; default an empty subject, as SVIDs have it. */
  readonly commonName?: string;
}

/** A certificate with its key, in the form of the agent's `Svid`. */
export interface TestCertificate {
  /** The first URI name, or "". */
  readonly spiffeId: string;
  readonly certificateChainPem: string;
  readonly privateKeyPem: string;
  readonly trustBundlePem: string;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** Hexadecimal, upper case. */
  readonly serialNumber: string;
}

/** A certificate authority of its own: two of them do not trust each other. */
export interface TestAuthority {
  readonly trustDomain: string;
  readonly rootCertificatePem: string;
  issue(options?: TestCertificateOptions): Promise<TestCertificate>;
  /** A certificate whose life is over. */
  issueExpired(options?: TestCertificateOptions): Promise<TestCertificate>;
  /** A revocation list (PEM), valid for an hour, with these certificates on it. */
  revoke(certificates: readonly TestCertificate[]): Promise<string>;
}

/**
 * Creates an authority for tests, with a new P-256 root valid for ten years. `now`: the wall clock that defaults of
 * certificates count from; TLS itself always checks dates against the host's.
 */
export async function createTestAuthority(
  options: { readonly trustDomain?: string; readonly now?: () => number } = {},
): Promise<TestAuthority> {
  const trustDomain = options.trustDomain ?? "cluster.local";
  const now = options.now ?? Date.now;
  const rootKeys = await generateKeys();
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: `O=${trustDomain}, CN=Test root`,
    notBefore: new Date(now() - HOUR_MS),
    notAfter: new Date(now() + 87_600 * HOUR_MS),
    keys: rootKeys,
    signingAlgorithm: EC_P256,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(rootKeys.publicKey),
    ],
  });
  const rootCertificatePem = `${root.toString("pem")}\n`;

  const issue = async (wanted: TestCertificateOptions = {}): Promise<TestCertificate> => {
    const uris = wanted.uris ?? [
      `spiffe://${trustDomain}/ns/${wanted.namespace ?? "default"}/sa/${wanted.serviceAccount ?? "test"}`,
    ];
    const keys = await generateKeys();
    const names: x509.JsonGeneralNames = [
      ...uris.map((value) => ({ type: "url" as const, value })),
      ...(wanted.dnsNames ?? []).map((value) => ({ type: "dns" as const, value })),
      ...(wanted.ipAddresses ?? []).map((value) => ({ type: "ip" as const, value })),
    ];
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: newSerial(),
      subject: wanted.commonName === undefined ? "" : `CN=${wanted.commonName}`,
      issuer: root.subject,
      notBefore: new Date(wanted.notBefore ?? now() - HOUR_MS),
      notAfter: new Date(wanted.notAfter ?? now() + HOUR_MS),
      publicKey: keys.publicKey,
      signingKey: rootKeys.privateKey,
      signingAlgorithm: EC_P256,
      extensions: [
        new x509.BasicConstraintsExtension(wanted.ca ?? false, undefined, true),
        new x509.KeyUsagesExtension(
          wanted.ca === true ? x509.KeyUsageFlags.keyCertSign : x509.KeyUsageFlags.digitalSignature,
          true,
        ),
        new x509.ExtendedKeyUsageExtension([
          x509.ExtendedKeyUsage.clientAuth,
          x509.ExtendedKeyUsage.serverAuth,
        ]),
        ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names, true)]),
        await x509.AuthorityKeyIdentifierExtension.create(rootKeys.publicKey),
      ],
    });
    return {
      spiffeId: uris[0] ?? "",
      certificateChainPem: `${certificate.toString("pem")}\n`,
      privateKeyPem: await privateKeyPem(keys.privateKey),
      trustBundlePem: rootCertificatePem,
      notBefore: certificate.notBefore.getTime(),
      notAfter: certificate.notAfter.getTime(),
      serialNumber: certificate.serialNumber.toUpperCase(),
    };
  };

  return {
    trustDomain,
    rootCertificatePem,
    issue,
    revoke: async (certificates) => {
      const list = await x509.X509CrlGenerator.create({
        issuer: root.subject,
        thisUpdate: new Date(now() - HOUR_MS),
        nextUpdate: new Date(now() + HOUR_MS),
        signingAlgorithm: EC_P256,
        signingKey: rootKeys.privateKey,
        // Without a reason the library would write an empty list of extensions, which OpenSSL refuses.
        entries: certificates.map(({ serialNumber }) => ({
          serialNumber,
          reason: x509.X509CrlReason.keyCompromise,
        })),
      });
      return `${x509.PemConverter.encode(list.rawData, "X509 CRL")}\n`;
    },
    issueExpired: (wanted) => issue({ notBefore: now() - 2 * HOUR_MS, notAfter: now() - HOUR_MS, ...wanted }),
  };
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(EC_P256, true, ["sign", "verify"]);
}

/** 127 random bits, positive, without a leading zero byte. */
export function newSerial(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return Buffer.from(bytes).toString("hex");
}

async function privateKeyPem(key: webcrypto.CryptoKey): Promise<string> {
  const der = await webcrypto.subtle.exportKey("pkcs8", key);
  return `${x509.PemConverter.encode(der, "PRIVATE KEY")}\n`;
}
