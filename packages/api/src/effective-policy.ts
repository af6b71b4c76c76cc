/** Names an object that something comes from: `VirtualService default/reviews`. */
export type PolicyOwner = string;

/** One rule of a service, in words. */
export interface EffectiveRule {
  /** `http[0]` */
  readonly field: string;
  readonly owner: PolicyOwner;
  readonly name?: string;
  /** Any of them; none: always. */
  readonly when: readonly string[];
  readonly does: readonly string[];
}

export interface EffectiveSubset {
  readonly name: string;
  readonly owner: PolicyOwner;
  readonly labels: Readonly<Record<string, string>>;
  /** Instances that serve it now. */
  readonly instances: number;
  /** What differs from the policy of the whole service. */
  readonly trafficPolicy?: unknown;
}

/** One setting of TrafficPolicies. */
export interface EffectiveSetting {
  /** `hedging` */
  readonly setting: string;
  readonly owner: PolicyOwner;
  /** For these ports of the service. */
  readonly ports: readonly number[];
  readonly value: unknown;
}

/** What holds for calls of one namespace's clients to a service: which object says what. */
export interface EffectivePolicyReport {
  readonly host: string;
  /** Clients that are meant. */
  readonly client: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> };
  /** `registry`, or the ServiceEntry; absent: nothing of that name is known. */
  readonly source?: PolicyOwner;
  /** The Sidecar that hides the service from these clients. */
  readonly hiddenBy?: PolicyOwner;
  readonly ports: readonly { readonly number: number; readonly name: string; readonly protocol: string }[];
  readonly instances: { readonly serving: number; readonly total: number };
  readonly virtualIp?: string;
  readonly routes?: {
    readonly owner: PolicyOwner;
    /** In the order in which they are tried. */
    readonly rules: readonly EffectiveRule[];
    /** Others for the host, which do not hold. */
    readonly ignored: readonly PolicyOwner[];
  };
  readonly traffic?: {
    /** In order of precedence: settings come from the first that has any, subsets from all. */
    readonly owners: readonly PolicyOwner[];
    readonly trafficPolicy?: unknown;
    readonly subsets: readonly EffectiveSubset[];
  };
  /** What TrafficPolicies say; absent: nothing. */
  readonly settings?: readonly EffectiveSetting[];
  /** What the service's own sidecars accept: STRICT, PERMISSIVE or DISABLE. */
  readonly accepts: { readonly mode: string; readonly owner?: PolicyOwner };
  /** What the namespace's sidecars limit themselves to. */
  readonly sidecar?: PolicyOwner;
  /** What users should know of all this. */
  readonly warnings: readonly string[];
}
