/** What `GET /tulle/v1/info` answers: all that a workload or a tool needs to find its way. */
export interface MeshInfo {
  readonly version: string;
  readonly trustDomain: string;
  readonly domainSuffix: string;
  /** `host:port` each. */
  readonly addresses: {
    readonly http: string;
    readonly dns: string;
    readonly xds: string;
    /** HTTPS endpoint of the SPIFFE bundle. */
    readonly bundle?: string;
    /** Plaintext xDS on loopback, development mode only. */
    readonly xdsPlaintext?: string;
  };
  /** Roots that the control plane's and all workloads' certificates chain to. */
  readonly rootCertificatePem: string;
}

/** How far one proxy is with one resource type. */
export interface ProxyTypeStatus {
  readonly typeUrl: string;
  /** `synced`: acknowledged the newest; `stale`: sent, not acknowledged yet; `nack`: refused the newest. */
  readonly state: "synced" | "stale" | "nack";
  /** Resource names it subscribes to. */
  readonly subscribed: number;
  /** Milliseconds since the epoch. */
  readonly lastSentAt: number | undefined;
  readonly lastAckedAt: number | undefined;
  /** The proxy's own words, with `nack`. */
  readonly error?: string;
}

/** What came of comparing what a proxy holds with what it was sent. */
export interface ProxyReconciliation {
  /** When it was compared last, milliseconds since the epoch; undefined = not yet. */
  readonly checkedAt: number | undefined;
  /** Type URLs in which the two differ; empty when they agree. */
  readonly differing: readonly string[];
  /** Since when they differ, milliseconds since the epoch. */
  readonly differingSince?: number;
  /** Why the last comparison came to nothing. */
  readonly error?: string;
}

/** A proxy that is no longer connected, and whose instance is still registered. */
export interface LostProxy {
  readonly id: string;
  /** When its last stream ended, milliseconds since the epoch. */
  readonly since: number;
}

export interface ProxyStatus {
  readonly id: string;
  readonly dialect: string;
  /** Of its software; absent when it does not say. */
  readonly version?: string;
  /** SPIFFE id; "" for plaintext clients. */
  readonly identity: string;
  readonly connectedAt: number;
  /** `host:port` of its admin listener, "" when it has none. */
  readonly admin: string;
  readonly types: readonly ProxyTypeStatus[];
  /** Undefined for clients that cannot say what they hold. */
  readonly reconciliation?: ProxyReconciliation;
}

export interface IssuedCertificate {
  readonly spiffeId: string;
  readonly serialNumber: string;
  readonly notBefore: number;
  readonly notAfter: number;
}

/**
 * Where a root is in its life: `next` is handed out and trusted, `active` signs, `retiring` is trusted until the last
 * certificate that it signed is over. `issuer` is no root: an intermediate that signs under one.
 */
export type RootPhase = "next" | "active" | "retiring" | "issuer";

export interface AuthorityCertificateStatus {
  /** Serial number, upper-case hexadecimal. */
  readonly id: string;
  readonly phase: RootPhase;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** What the certificate authority says of itself. */
export interface AuthorityStatus {
  readonly trustDomain: string;
  /** When the first of the certificates that sign now ends, milliseconds since the epoch. */
  readonly rootNotAfter: number;
  readonly certificateTtlMs: number;
  /** `self-signed`, `directory` or `vault`. Absent from control planes that do not tell, as what follows. */
  readonly signer?: string;
  /** Roots, and the authority that signs under them. */
  readonly certificates?: readonly AuthorityCertificateStatus[];
  /** When the active root will be replaced by itself, milliseconds since the epoch; undefined = it will not. */
  readonly nextRotationAt?: number;
  /** Workloads that have not said yet that they trust the present roots, at most 100. */
  readonly unacknowledged?: readonly string[];
  /** What was taken back. */
  readonly revocation?: RevocationStatus;
  /** Expired certificates still count for so long, milliseconds; 0 = they do not. */
  readonly graceMs?: number;
}

/** Revocation lists that workloads are told. */
export interface RevocationStatus {
  readonly lists: readonly {
    /** Serial number of the authority that signed it, upper-case hexadecimal. */
    readonly issuer: string;
    /** Milliseconds since the epoch. */
    readonly thisUpdate: number;
    /** When its successor should be here; absent: it does not say. */
    readonly nextUpdate?: number;
    /** Certificates in it. */
    readonly revoked: number;
  }[];
}

/** What `GET /tulle/v1/status` answers. */
export interface MeshStatus {
  readonly controlPlane: {
    readonly version: string;
    readonly startedAt: number;
    readonly now: number;
    readonly store: "memory" | "lmdb";
    readonly services: number;
    readonly instances: number;
    readonly healthyInstances: number;
    readonly objects: number;
    /** `namespace/name` of services whose instances fell silent together: the last known ones are kept. */
    readonly protectedServices?: readonly string[];
  };
  readonly authority: AuthorityStatus;
  readonly proxies: readonly ProxyStatus[];
  /** Absent from control planes that do not tell. */
  readonly lostProxies?: readonly LostProxy[];
  /** The newest certificate of each identity and instance that is still valid. */
  readonly certificates: readonly IssuedCertificate[];
}
