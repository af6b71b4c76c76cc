import type { JsonGeneralNames } from "@peculiar/x509";
import type { RootPhase } from "@tulle/api";
import type { Disposable, Event } from "@tulle/base";

import type { RequestedKey } from "./certificate-signing-request.js";

/** A leaf to be signed. What it may say has been checked. */
export interface SignRequest {
  readonly key: RequestedKey;
  /** PKCS#10 of the same key, PEM, for signers that want one. */
  readonly csrPem: string;
  readonly names: JsonGeneralNames;
  /** Milliseconds since the epoch. */
  readonly nowMs: number;
  readonly ttlMs: number;
}

/** A signed leaf. */
export interface SignedLeaf {
  /** PEM, leaf first, without the root. */
  readonly chainPem: readonly string[];
  /** Upper-case hexadecimal. */
  readonly serialNumber: string;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** A certificate of the authority itself. */
export interface AuthorityCertificate {
  /** Upper-case hexadecimal serial number. */
  readonly id: string;
  readonly phase: RootPhase;
  readonly pem: string;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** What signs the mesh's certificates: its own roots, an authority in files, or another program. */
export interface CertificateSigner extends Disposable {
  /** `self-signed`, `directory`, `vault`: for people. */
  readonly kind: string;
  /**
   * Signs a leaf, whose serial number nobody else has. Errors: `unavailable` CA_SIGNER when the signer cannot be
   * reached or refuses.
   */
  sign(request: SignRequest): Promise<SignedLeaf>;
  /** Roots that workloads trust, those that sign now first. PEM. */
  readonly trustBundlePem: string;
  /** Authorities between the roots and the leaves. PEM, "" for none. */
  readonly intermediatesPem: string;
  /** What the authority has taken back elsewhere: its lists, verified. PEM; absent or "" = nothing. */
  readonly revocationListsPem?: string;
  /** Roots, and the authority that signs under them. */
  certificates(): readonly AuthorityCertificate[];
  /** Roots or intermediates have changed. */
  readonly onChanged: Event<void>;
}
