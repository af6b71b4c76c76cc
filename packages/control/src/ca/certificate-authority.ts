import "reflect-metadata";
import { randomBytes as hostRandomBytes, webcrypto } from "node:crypto";

import * as x509 from "@peculiar/x509";
import type { IssuedCertificate } from "@tulle/api";
import {
  controlPlaneSpiffeId,
  DisposableStack,
  isTrustDomain,
  MeshError,
  type Clock,
  type Disposable,
  type Logger,
} from "@tulle/base";

import type { Coordination } from "../stores/coordination.js";
import { readSigningRequest } from "./certificate-signing-request.js";
import { IssuedLedger } from "./issued-ledger.js";
import { SIGNING_ALGORITHM } from "./make-root.js";
import { SelfSignedSigner } from "./self-signed-signer.js";
import type { RandomBytes } from "./serial-number.js";
import type { CertificateSigner, SignedLeaf, SignRequest } from "./signer.js";

/** The shortest life that the authority gives a certificate, milliseconds. */
export const MIN_CERTIFICATE_TTL_MS = 5000;
const DAY_MS = 86_400_000;
/** Signatures that are tried for one certificate until its serial number is a new one. */
const MAX_TRIES = 3;
/** Certificates that are listed, at most. */
const MAX_LISTED = 10_000;
/** Roots live at least so many times as long as what they sign, so that there is time to replace them. */
const MIN_ROOT_LIVES = 4;

export interface CertificateAuthorityOptions {
  readonly coordination: Coordination;
  readonly clock: Clock;
  /** Default: the host's. */
  readonly randomBytes?: RandomBytes;
  /** `cluster.local` */
  readonly trustDomain: string;
  /** Former names of the trust domain: ids of these are renewed under their own name. */
  readonly trustDomainAliases?: readonly string[];
  /** Life of a workload's certificate and the longest that it may ask for. Default 24 h, at least 5 s. */
  readonly certificateTtlMs?: number;
  /** Life of the control plane's own TLS certificate. Default `certificateTtlMs`, at least 5 s. */
  readonly serverCertificateTtlMs?: number;
  /** Life of a newly made root. Default ten years; at least four times that of certificates. */
  readonly rootTtlMs?: number;
  /** What signs; default roots of its own in the store. Disposed with the authority. */
  readonly signer?: CertificateSigner;
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

/** Issues the mesh's X.509 SVIDs: what may be signed is decided here, how it is signed is the signer's business. */
export interface CertificateAuthority extends Disposable {
  readonly trustDomain: string;
  readonly trustDomainAliases: readonly string[];
  readonly certificateTtlMs: number;
  readonly signer: CertificateSigner;
  /** Issues for a CSR. Errors of {@link readSigningRequest} and of the signer. */
  issue(options: IssueOptions): Promise<Issued>;
  /** A new key and certificate for the control plane's TLS ports; also its SVID. */
  serverCertificate(dnsNames: readonly string[], ipAddresses: readonly string[]): Promise<OwnCertificate>;
  /** Certificates issued since the process started, the control plane's own included. */
  readonly issuedTotal: number;
  /** The newest valid certificate of each workload instance; at most 10,000. */
  issued(): readonly IssuedCertificate[];
  /** Valid certificates, renewed or not: of a serial number, or of everybody who has a SPIFFE id. */
  readonly find: IssuedLedger["find"];
  /** When everything that was or is just being signed is over, milliseconds since the epoch. */
  lastNotAfter(): number;
}

/**
 * Opens the mesh's certificate authority. Errors: those of the signer, and `invalid` CA_OPTIONS.
 */
export async function createCertificateAuthority(
  options: CertificateAuthorityOptions,
): Promise<CertificateAuthority> {
  const { clock, trustDomain, logger, trustDomainAliases = [] } = options;
  const certificateTtlMs = options.certificateTtlMs ?? DAY_MS;
  const serverTtlMs = options.serverCertificateTtlMs ?? certificateTtlMs;
  const rootTtlMs = options.rootTtlMs ?? Math.max(3650 * DAY_MS, MIN_ROOT_LIVES * certificateTtlMs);
  checkOptions([trustDomain, ...trustDomainAliases], certificateTtlMs, serverTtlMs, rootTtlMs);
  const owned = new DisposableStack();
  const signer = owned.use(
    options.signer ??
      (await SelfSignedSigner.open({
        ...options,
        trustDomainAliases,
        randomBytes: options.randomBytes ?? hostRandomBytes,
        rootTtlMs,
      })),
  );
  const ledger = await IssuedLedger.open(options);
  const controlPlaneId = controlPlaneSpiffeId(trustDomain);

  let issuedTotal = 0;

  const sign = async (
    spiffeId: string,
    request: SignRequest,
    replaces: string | undefined,
  ): Promise<SignedLeaf> => {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const signed = await signer.sign(request);
      const { serialNumber, notBefore, notAfter } = signed;
      if (await ledger.record({ spiffeId, serialNumber, notBefore, notAfter }, replaces)) {
        issuedTotal++;
        return signed;
      }
      logger.error("a certificate got a serial number that was given before; signing anew", { serialNumber });
    }
    throw new MeshError(
      "unavailable",
      "CA_SERIAL",
      `the signer (${signer.kind}) gives the same serial number again and again; look at its source of random numbers`,
    );
  };

  return {
    trustDomain,
    trustDomainAliases,
    certificateTtlMs,
    signer,
    get issuedTotal() {
      return issuedTotal;
    },

    async issue({ csrPem, spiffeId, ttlMs, replaces }) {
      const key = await readSigningRequest(csrPem, spiffeId);
      const wantedMs = ttlMs === undefined || !(ttlMs > 0) ? certificateTtlMs : ttlMs;
      const life = Math.min(Math.max(wantedMs, MIN_CERTIFICATE_TTL_MS), certificateTtlMs);
      const names: x509.JsonGeneralNames = [{ type: "url", value: spiffeId }];
      const request = { key, csrPem, names, nowMs: clock.now(), ttlMs: life };
      const { chainPem, ...signed } = await sign(spiffeId, request, replaces);
      return { spiffeId, ...signed, certificateChainPem: chainPem };
    },

    async serverCertificate(dnsNames, ipAddresses) {
      const keys = await webcrypto.subtle.generateKey(SIGNING_ALGORITHM, true, ["sign", "verify"]);
      const names: x509.JsonGeneralNames = [
        { type: "url", value: controlPlaneId },
        ...dnsNames.map((value) => ({ type: "dns" as const, value })),
        ...ipAddresses.map((value) => ({ type: "ip" as const, value })),
      ];
      const csr = await x509.Pkcs10CertificateRequestGenerator.create({
        keys,
        signingAlgorithm: SIGNING_ALGORITHM,
        extensions: [new x509.SubjectAlternativeNameExtension(names)],
      });
      const spki = Buffer.from(await webcrypto.subtle.exportKey("spki", keys.publicKey));
      const { chainPem, notAfter } = await sign(
        controlPlaneId,
        {
          key: { spki, type: "ec" },
          csrPem: csr.toString("pem"),
          names,
          nowMs: clock.now(),
          ttlMs: serverTtlMs,
        },
        undefined,
      );
      const pkcs8 = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
      return {
        certificateChainPem: chainPem.join(""),
        privateKeyPem: `${x509.PemConverter.encode(pkcs8, "PRIVATE KEY")}\n`,
        trustBundlePem: signer.trustBundlePem,
        notAfter,
      };
    },

    issued: () =>
      ledger
        .current(clock.now())
        .filter(({ spiffeId }) => spiffeId !== controlPlaneId)
        .slice(-MAX_LISTED),

    find: (nowMs, who) => ledger.find(nowMs, who).filter(({ spiffeId }) => spiffeId !== controlPlaneId),

    // What is being signed in this moment is not recorded yet.
    lastNotAfter: () =>
      Math.max(ledger.lastNotAfter, clock.now() + Math.max(certificateTtlMs, serverTtlMs) + 1000),

    [Symbol.dispose]() {
      owned[Symbol.dispose]();
    },
  };
}

function checkOptions(
  trustDomains: readonly string[],
  certificateTtlMs: number,
  serverTtlMs: number,
  rootTtlMs: number,
): void {
  const wrong = trustDomains.find((name) => !isTrustDomain(name));
  if (wrong !== undefined) {
    throw new MeshError(
      "invalid",
      "CA_OPTIONS",
      `trust domain "${wrong}" must be of lower-case letters, digits, dots, dashes and underscores`,
    );
  }
  if (!(Math.min(certificateTtlMs, serverTtlMs) >= MIN_CERTIFICATE_TTL_MS)) {
    throw new MeshError(
      "invalid",
      "CA_OPTIONS",
      `certificates must live ${MIN_CERTIFICATE_TTL_MS / 1000} s or longer`,
    );
  }
  if (!(rootTtlMs >= MIN_ROOT_LIVES * Math.max(certificateTtlMs, serverTtlMs))) {
    throw new MeshError(
      "invalid",
      "CA_OPTIONS",
      `a root must live at least ${MIN_ROOT_LIVES} times as long as the certificates that it signs`,
    );
  }
}
