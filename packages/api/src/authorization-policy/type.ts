/** Who may do what with workloads (Istio's AuthorizationPolicy). */
export interface AuthorizationPolicySpec {
  /** Workloads of the object's namespace; none: the namespace, or the mesh when the object is in the root namespace. */
  readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
  /** What the object is attached to, instead of a selector. */
  readonly targetRef?: PolicyTargetReference;
  readonly targetRefs?: readonly PolicyTargetReference[];
  /** Default ALLOW. */
  readonly action?: AuthorizationAction;
  /** Who is asked; only with CUSTOM. */
  readonly provider?: { readonly name: string };
  /** One of them must match. None: nothing matches, so an ALLOW policy without rules allows nothing. */
  readonly rules?: readonly AuthorizationRule[];
}

/** In this order: AUDIT notes, CUSTOM asks, DENY refuses, and where an ALLOW policy is, one of them must match. */
export type AuthorizationAction = "ALLOW" | "DENY" | "AUDIT" | "CUSTOM";

/** A Service, ServiceEntry or Gateway of the object's own namespace, or a GatewayClass. */
export interface PolicyTargetReference {
  readonly group?: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
}

/** Matches when a source, an operation and every condition do. What is absent matches anything. */
export interface AuthorizationRule {
  readonly from?: readonly { readonly source: AuthorizationSource }[];
  readonly to?: readonly { readonly operation: AuthorizationOperation }[];
  readonly when?: readonly AuthorizationCondition[];
}

/**
 * Every field that is there must match. Values are exact, `prefix*`, `*suffix` or `*` (anything that is there); of a list
 * one must match, of a `not…` list none.
 */
export interface AuthorizationSource {
  /** SPIFFE ids of the peer's certificate without `spiffe://`: `cluster.local/ns/default/sa/reviews`. */
  readonly principals?: readonly string[];
  readonly notPrincipals?: readonly string[];
  /** Who a verified JWT is about: `issuer/subject`. HTTP only. */
  readonly requestPrincipals?: readonly string[];
  readonly notRequestPrincipals?: readonly string[];
  /** Of the peer's certificate. */
  readonly namespaces?: readonly string[];
  readonly notNamespaces?: readonly string[];
  /** `name` (of the object's namespace) or `namespace/name`, exactly. Not beside principals or namespaces. */
  readonly serviceAccounts?: readonly string[];
  readonly notServiceAccounts?: readonly string[];
  /** Of the peer's certificate: `cluster.local`. */
  readonly trustDomains?: readonly string[];
  readonly notTrustDomains?: readonly string[];
  /** Where the connection comes from: addresses and blocks. */
  readonly ipBlocks?: readonly string[];
  readonly notIpBlocks?: readonly string[];
  /** The client whom trusted proxies name: by a PROXY header, or X-Forwarded-For. */
  readonly remoteIpBlocks?: readonly string[];
  readonly notRemoteIpBlocks?: readonly string[];
}

/** Every field that is there must match; all but the ports are HTTP only. */
export interface AuthorizationOperation {
  /** The request's authority, without regard to case. */
  readonly hosts?: readonly string[];
  readonly notHosts?: readonly string[];
  /** Of the workload, as decimal strings. */
  readonly ports?: readonly string[];
  readonly notPorts?: readonly string[];
  readonly methods?: readonly string[];
  readonly notMethods?: readonly string[];
  /** Without query, after normalization. Also templates: `{*}` is one segment, `{**}` any number of them. */
  readonly paths?: readonly string[];
  readonly notPaths?: readonly string[];
}

/** At least one of the two lists is there. */
export interface AuthorizationCondition {
  /** `request.headers[x-user]`, `source.ip`, `request.auth.claims[group]` …: see `CONDITION_KEYS`. */
  readonly key: string;
  readonly values?: readonly string[];
  readonly notValues?: readonly string[];
}
