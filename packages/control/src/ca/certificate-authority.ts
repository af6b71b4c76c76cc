import "reflect-metadata";
import { randomBytes as hostRandomBytes, webcrypto } from "node:crypto";

import * as x509 from "@peculiar/x509";
import type { IssuedCertificate } from "@tulle/api";
import { controlPlaneSpiffeId, isTrustDomain, MeshError, type Clock, type Logger } from "@tulle/base";

import type { Coordination } from "../stores/coordination.js";
import { readSigningRequest, type RequestedKey } from "./certificate-signing-request.js";
import { IssuedLedger } from "./issued-ledger.js";
import { BACKDATE_MS, openRoot, SIGNING_ALGORITHM, type Root } from "./root.js";
import { serialNumber, type RandomBytes } from "./serial-number.js";

/** The shortest life that the authority gives a certificate, milliseconds. */
export const MIN_CERTIFICATE_TTL_MS = 5000;
const DAY_MS = 86_400_000;
const MAX_LEDGER_ENTRIES = 10_000;

export interface CertificateAuthorityOptions {
  readonly coordination: Coordination;
  readonly clock: Clock;
  /** Default: the host's. */
  readonly randomBytes?: RandomBytes;
  /** `cluster.local` */
  readonly trustDomain: string;
  /** Life of a workload's certificate and the longest that it may ask for. Default 24 h, at least 5 s. */
  readonly certificateTtlMs?: number;
  /** Life of the control plane's own TLS certificate. Default 24 h, at least 5 s. */
  readonly serverCertificateTtlMs?: number;
  /** Life of a newly made root. Default ten years. */
  readonly rootTtlMs?: number;
  readonly logger: Logger;
}

export interface IssueOptions {
  readonly csrPem: string;
  /** Whom the caller has proved to be. */
  readonly spiffeId: string;
  /** Wanted life; default and maximum are the authority's. */
  readonly ttlMs?: number;
  /** Serial number of the certificate that is renewed by this one. */
  readonly replaces?: string;
}

export interface Issued extends IssuedCertificate {
  /** PEM, leaf first, without the root. */
  readonly certificateChainPem: readonly string[];
}

/** A certificate of the control plane itself, with the key that was made for it. */
export interface OwnCertificate {
  readonly certificateChainPem: string;
  readonly privateKeyPem: string;
  readonly trustBundlePem: string;
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
}

/** Issues the mesh's X.509 SVIDs under one root of its own. */
export interface CertificateAuthority {
  readonly trustDomain: string;
  readonly certificateTtlMs: number;
  readonly rootCertificatePem: string;
  /** Milliseconds since the epoch. */
  readonly rootNotAfter: number;
  /** Issues for a CSR. Errors of {@link readSigningRequest}. */
  issue(options: IssueOptions): Promise<Issued>;
  /** A new key and certificate for the control plane's TLS ports; also its SVID. */
  serverCertificate(dnsNames: readonly string[], ipAddresses: readonly string[]): Promise<OwnCertificate>;
  /** The newest valid certificate of each workload instance, issued since this process started; at most 10,000. */
  issued(): readonly IssuedCertificate[];
}

/**
 * Opens the mesh's certificate authority: makes its root (P-256) at the first start, loads it later. Errors: those of
 * `openRoot`, and `invalid` CA_OPTIONS.
 */
export async function createCertificateAuthority(
  options: CertificateAuthorityOptions,
): Promise<CertificateAuthority> {
  const { clock, trustDomain } = options;
  const randomBytes = options.randomBytes ?? hostRandomBytes;
  const certificateTtlMs = options.certificateTtlMs ?? DAY_MS;
  const serverTtlMs = options.serverCertificateTtlMs ?? DAY_MS;
  checkOptions(trustDomain, certificateTtlMs, serverTtlMs);
  const root = await openRoot({
    ...options,
    randomBytes,
    rootTtlMs: options.rootTtlMs ?? 3650 * DAY_MS,
  });
  const ledger = new IssuedLedger(MAX_LEDGER_ENTRIES);
  const controlPlaneId = controlPlaneSpiffeId(trustDomain);

  const sign = (
    key: RequestedKey,
    names: x509.JsonGeneralNames,
    ttlMs: number,
  ): Promise<x509.X509Certificate> =>
    signLeaf(root, { key, names, ttlMs, now: clock.now(), serial: serialNumber(randomBytes) });

  return {
    trustDomain,
    certificateTtlMs,
    rootCertificatePem: root.certificatePem,
    rootNotAfter: root.certificate.notAfter.getTime(),

    async issue({ csrPem, spiffeId, ttlMs, replaces }) {
      const key = await readSigningRequest(csrPem, spiffeId);
      const wantedMs = ttlMs === undefined || !(ttlMs > 0) ? certificateTtlMs : ttlMs;
      const life = Math.min(Math.max(wantedMs, MIN_CERTIFICATE_TTL_MS), certificateTtlMs);
      const certificate = await sign(key, [{ type: "url", value: spiffeId }], life);
      const issued: IssuedCertificate = {
        spiffeId,
        serialNumber: certificate.serialNumber.toUpperCase(),
        notBefore: certificate.notBefore.getTime(),
        notAfter: certificate.notAfter.getTime(),
      };
      ledger.record(issued, replaces);
      return { ...issued, certificateChainPem: [`${certificate.toString("pem")}\n`] };
    },

    async serverCertificate(dnsNames, ipAddresses) {
      const keys = await webcrypto.subtle.generateKey(SIGNING_ALGORITHM, true, ["sign", "verify"]);
      const spki = Buffer.from(await webcrypto.subtle.exportKey("spki", keys.publicKey));
      const names: x509.JsonGeneralNames = [
        { type: "url", value: controlPlaneId },
        ...dnsNames.map((value) => ({ type: "dns" as const, value })),
        ...ipAddresses.map((value) => ({ type: "ip" as const, value })),
      ];
      const certificate = await sign({ spki, type: "ec" }, names, serverTtlMs);
      const pkcs8 = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
      return {
        certificateChainPem: `${certificate.toString("pem")}\n`,
        privateKeyPem: `${x509.PemConverter.encode(pkcs8, "PRIVATE KEY")}\n`,
        trustBundlePem: root.certificatePem,
        notAfter: certificate.notAfter.getTime(),
      };
    },

    issued: () => ledger.list(clock.now()),
  };
}

interface Leaf {
  readonly key: RequestedKey;
  readonly names: x509.JsonGeneralNames;
  readonly ttlMs: number;
  readonly now: number;
  readonly serial: string;
}

/** Signs an X.509-SVID leaf: empty subject, so the alternative name is critical (RFC 5280 section 4.2.1.6). */
async function signLeaf(root: Root, leaf: Leaf): Promise<x509.X509Certificate> {
  const { keyEncipherment, digitalSignature } = x509.KeyUsageFlags;
  // Dates in certificates have whole seconds: rounded up, so that the shortest lives are not cut by a fifth.
  const notAfter = Math.min(
    Math.ceil((leaf.now + leaf.ttlMs) / 1000) * 1000,
    root.certificate.notAfter.getTime(),
  );
  return x509.X509CertificateGenerator.create({
    serialNumber: leaf.serial,
    issuer: root.certificate.subjectName,
    notBefore: new Date(leaf.now - BACKDATE_MS),
    notAfter: new Date(notAfter),
    publicKey: leaf.key.spki,
    signingKey: root.signingKey,
    signingAlgorithm: SIGNING_ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      leaf.key.type === "rsa"
        ? new x509.KeyUsagesExtension(digitalSignature | keyEncipherment, true)
        : new x509.KeyUsagesExtension(digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([
        x509.ExtendedKeyUsage.serverAuth,
        x509.ExtendedKeyUsage.clientAuth,
      ]),
      new x509.SubjectAlternativeNameExtension(leaf.names, true),
      await x509.AuthorityKeyIdentifierExtension.create(root.certificate.publicKey),
    ],
  });
}

function checkOptions(trustDomain: string, certificateTtlMs: number, serverTtlMs: number): void {
  if (!isTrustDomain(trustDomain)) {
    throw new MeshError(
      "invalid",
      "CA_OPTIONS",
      `trust domain "${trustDomain}" must be of lower-case letters, digits, dots, dashes and underscores`,
    );
  }
  if (!(Math.min(certificateTtlMs, serverTtlMs) >= MIN_CERTIFICATE_TTL_MS)) {
    throw new MeshError(
      "invalid",
      "CA_OPTIONS",
      `certificates must live ${MIN_CERTIFICATE_TTL_MS / 1000} s or longer`,
    );
  }
}
