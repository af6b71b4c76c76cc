/** Which traffic sidecars accept: plaintext, mutual TLS, or both. */
export interface PeerAuthenticationSpec {
  /** Workloads of the object's namespace; none: the namespace, or the mesh when the object is in the root namespace. */
  readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
  readonly mtls?: MutualTls;
  /** Port of the workload (decimal) → its own mode. Only with a selector. */
  readonly portLevelMtls?: Readonly<Record<string, MutualTls>>;
}

export interface MutualTls {
  readonly mode?: MutualTlsMode;
}

/** UNSET (default) = as the next wider policy says; PERMISSIVE when none says anything. */
export type MutualTlsMode = "UNSET" | "DISABLE" | "PERMISSIVE" | "STRICT";
