import "reflect-metadata";
import { webcrypto } from "node:crypto";

import * as x509 from "@peculiar/x509";
import { MeshError, type Clock, type Logger } from "@tulle/base";

import type { Coordination } from "../stores/coordination.js";
import { serialNumber, type RandomBytes } from "./serial-number.js";

/** Where the root lives in the coordination store. The store's files are readable by their owner only. */
const ROOT_KEY = "ca/root";

/** ECDSA with P-256 and SHA-256: what the root signs with. */
export const SIGNING_ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** Certificates are dated back this far, milliseconds, for workloads whose clocks are behind. */
export const BACKDATE_MS = 300_000;

/** The authority's own certificate with its key; the key cannot be exported again. */
export interface Root {
  readonly certificate: x509.X509Certificate;
  readonly certificatePem: string;
  readonly signingKey: webcrypto.CryptoKey;
}

export interface RootOptions {
  readonly coordination: Coordination;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly trustDomain: string;
  /** Milliseconds. */
  readonly rootTtlMs: number;
  readonly logger: Logger;
}

interface StoredRoot {
  readonly version: 1;
  readonly trustDomain: string;
  readonly certificatePem: string;
  /** PKCS#8. */
  readonly privateKeyPem: string;
}

/**
 * Loads the root, or makes it at the first start. Of several control planes that start at once, one makes it and the
 * others load that. Errors: `invalid` CA_TRUST_DOMAIN when the store was made for another trust domain, CA_ROOT when
 * what is stored is no root, CA_ROOT_EXPIRED.
 */
export async function openRoot(options: RootOptions): Promise<Root> {
  const { coordination, trustDomain, clock, logger } = options;
  let stored = await coordination.get(ROOT_KEY);
  if (stored === undefined) {
    const made = await makeRoot(options);
    const value = Buffer.from(JSON.stringify(made));
    const result = await coordination.txn(
      [{ key: ROOT_KEY, absent: true }],
      [{ op: "put", key: ROOT_KEY, value }],
    );
    if (result.succeeded) logger.info("made a new root certificate", { trustDomain });
    stored = await coordination.get(ROOT_KEY);
  }
  const root = await readRoot(stored?.value, trustDomain);
  if (clock.now() >= root.certificate.notAfter.getTime()) {
    throw new MeshError(
      "invalid",
      "CA_ROOT_EXPIRED",
      `the root certificate expired at ${root.certificate.notAfter.toISOString()}; start with a new data directory`,
    );
  }
  return root;
}

async function makeRoot(options: RootOptions): Promise<StoredRoot> {
  const { clock, randomBytes, trustDomain, rootTtlMs } = options;
  const keys = await webcrypto.subtle.generateKey(SIGNING_ALGORITHM, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(randomBytes),
    name: [{ O: [trustDomain] }, { CN: ["Tulle root"] }],
    notBefore: new Date(clock.now() - BACKDATE_MS),
    notAfter: new Date(clock.now() + rootTtlMs),
    keys,
    signingAlgorithm: SIGNING_ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const pkcs8 = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  return {
    version: 1,
    trustDomain,
    certificatePem: `${certificate.toString("pem")}\n`,
    privateKeyPem: x509.PemConverter.encode(pkcs8, "PRIVATE KEY"),
  };
}

async function readRoot(value: Uint8Array | undefined, trustDomain: string): Promise<Root> {
  let stored: StoredRoot;
  let root: Root;
  try {
    stored = JSON.parse(Buffer.from(value ?? []).toString()) as StoredRoot;
    const certificate = new x509.X509Certificate(stored.certificatePem);
    const [pkcs8] = x509.PemConverter.decode(stored.privateKeyPem);
    const signingKey = await webcrypto.subtle.importKey(
      "pkcs8",
      pkcs8 ?? new ArrayBuffer(0),
      SIGNING_ALGORITHM,
      false,
      ["sign"],
    );
    root = { certificate, certificatePem: stored.certificatePem, signingKey };
  } catch (thrown) {
    throw new MeshError(
      "invalid",
      "CA_ROOT",
      "the stored root certificate cannot be read; restore the data directory from a copy or start with a new one",
      { cause: thrown },
    );
  }
  if (stored.trustDomain !== trustDomain) {
    throw new MeshError(
      "invalid",
      "CA_TRUST_DOMAIN",
      `the data directory belongs to trust domain ${stored.trustDomain}, not ${trustDomain}; use that one, or a new directory`,
    );
  }
  return root;
}
