import type { Disposable, Event } from "@tulle/base";

/** A workload's X.509 SVID with all that a TLS endpoint needs. PEM text; the key never leaves the workload. */
export interface Svid {
  /** `spiffe://<trust domain>/ns/<namespace>/sa/<service account>` */
  readonly spiffeId: string;
  /** Leaf first. */
  readonly certificateChainPem: string;
  readonly privateKeyPem: string;
  /** Roots that peers are verified against; several during a root rotation. */
  readonly trustBundlePem: string;
  /** Roots of other trust domains by their names, PEM; peers of a domain are verified against its own roots only. */
  readonly federatedBundles?: Readonly<Record<string, string>>;
  /** Keys that JWT-SVIDs are verified with, by trust domain: JWK Sets, JSON. */
  readonly jwtBundles?: Readonly<Record<string, string>>;
  /** Revocation lists of the authorities, PEM: what they took back does not pass. Default none. */
  readonly revocationListsPem?: string;
  /** How long peers' certificates count after their end, milliseconds; default 0. The mesh's grace mode. */
  readonly graceMs?: number;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** Hexadecimal, as Node.js prints it. */
  readonly serialNumber: string;
}

/** Whom to trust, as the control plane tells it. */
export type TrustUpdate = Required<
  Pick<Svid, "trustBundlePem" | "federatedBundles" | "revocationListsPem" | "jwtBundles" | "graceMs">
>;

/**
 * Holds a workload's identity and keeps it fresh: renewed at half of its life (with jitter), retried with back-off,
 * persisted (0600) so that a restart without the control plane keeps its identity.
 */
export interface WorkloadIdentity extends Disposable {
  /** The current SVID. Throws `unavailable` AGENT_NO_IDENTITY before the first one. */
  current(): Svid;
  /** Fires after `current()` shows the new one. */
  readonly onRotated: Event<Svid>;
}
