/** What Kuma's policies have in common. Absent fields mean their defaults: nothing is filled in. */

/** Whose proxies a policy is for. Absent: everybody's. */
export interface KumaTarget {
  readonly kind: "Mesh" | "Dataplane" | "MeshSubset" | "MeshService" | "MeshServiceSubset";
  readonly mesh?: string;
  /** Of the service that the proxies stand beside. */
  readonly name?: string;
  readonly namespace?: string;
  /** Of the workloads (`Dataplane`). */
  readonly labels?: Readonly<Record<string, string>>;
  /** As labels, in older policies; `kuma.io/service`, `kuma.io/zone` and `k8s.kuma.io/namespace` are known besides. */
  readonly tags?: Readonly<Record<string, string>>;
  /** Default: both. */
  readonly proxyTypes?: readonly ("Sidecar" | "Gateway")[];
}

/** Calls of which services are meant. */
export interface KumaDestination {
  /** `Mesh`: of all. A MeshExternalService is a ServiceEntry of that name. */
  readonly kind: "Mesh" | "MeshService" | "MeshExternalService" | "MeshMultiZoneService";
  readonly mesh?: string;
  /** Also `<name>_<namespace>_svc_<port>`, as older policies have it. */
  readonly name?: string;
  /** Default: the policy's. */
  readonly namespace?: string;
  /** In the place of a name: `kuma.io/display-name` and, if wanted, `k8s.kuma.io/namespace`. */
  readonly labels?: Readonly<Record<string, string>>;
  /** A port, by its name or number. */
  readonly sectionName?: string;
}

/** Where calls go to. */
export interface KumaBackendRef {
  readonly kind: "MeshService" | "MeshServiceSubset" | "MeshExternalService" | "MeshMultiZoneService";
  readonly mesh?: string;
  readonly name?: string;
  readonly namespace?: string;
  /** In the place of a name: of the service as in {@link KumaDestination}, and any others of its instances. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Labels of the instances (`MeshServiceSubset`). */
  readonly tags?: Readonly<Record<string, string>>;
  readonly port?: number;
  /** Relative to the sum of the weights; default 1. */
  readonly weight?: number;
}

/** 0 to 100; as text where it has a fraction. */
export type KumaPercentage = number | string;

/** The spec that every policy has. */
export interface KumaPolicySpec {
  readonly targetRef?: KumaTarget;
}

/** A policy of those that take requests. At most one of the lists is there. */
export interface KumaInboundPolicySpec<Conf> extends KumaPolicySpec {
  readonly rules?: readonly { readonly default?: Conf }[];
  /** The same in older policies. */
  readonly from?: readonly { readonly targetRef: { readonly kind: "Mesh" }; readonly default?: Conf }[];
}

/** A policy of those that call. */
export interface KumaOutboundPolicySpec<Conf> extends KumaInboundPolicySpec<Conf> {
  readonly to?: readonly { readonly targetRef: KumaDestination; readonly default?: Conf }[];
}
