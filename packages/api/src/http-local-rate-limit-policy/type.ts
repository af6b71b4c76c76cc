/** Linkerd's HTTPLocalRateLimitPolicy: how many requests each instance takes at a port, in all and from each client. */
export interface HTTPLocalRateLimitPolicySpec {
  /** The Server, in the object's namespace, that says which port of which workloads. */
  readonly targetRef: { readonly group: "policy.linkerd.io"; readonly kind: "Server"; readonly name: string };
  /** From all clients together. */
  readonly total?: RequestRate;
  /** From each client by its identity; those without one (no mutual TLS) count as one client. */
  readonly identity?: RequestRate;
  /** Instead of `identity`, from each of these clients. */
  readonly overrides?: readonly RequestRateOverride[];
}

export interface RequestRate {
  /** So many at once after a rest, too. */
  readonly requestsPerSecond: number;
}

export interface RequestRateOverride extends RequestRate {
  readonly clientRefs: readonly {
    readonly group?: "" | "core";
    readonly kind: "ServiceAccount";
    readonly name: string;
    /** Default: the object's. */
    readonly namespace?: string;
  }[];
}
