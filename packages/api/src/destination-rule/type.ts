/**
 * How calls to a host are carried once routing chose it, and the host's subsets. Everything here is valid; deprecated
 * fields are rewritten to their successors.
 */
export interface DestinationRuleSpec {
  /** Short name (of the object's namespace), full name or `*.suffix`. */
  readonly host: string;
  readonly trafficPolicy?: TrafficPolicy;
  readonly subsets?: readonly Subset[];
  /** Namespaces that see this rule: `.`, `*` (default) or names. */
  readonly exportTo?: readonly string[];
  /** Client workloads of the object's namespace that the rule is for; default all. */
  readonly workloadSelector?: { readonly matchLabels?: Readonly<Record<string, string>> };
}

export interface Subset {
  readonly name: string;
  /** Instances with all of these; none selects every instance. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Each setting replaces the same one of the rule. */
  readonly trafficPolicy?: TrafficPolicy;
}

/** The settings that may also be given for one port. */
export interface PortTrafficPolicy {
  readonly loadBalancer?: LoadBalancerSettings;
  readonly connectionPool?: ConnectionPoolSettings;
  readonly outlierDetection?: OutlierDetection;
  readonly tls?: ClientTlsSettings;
}

export interface TrafficPolicy extends PortTrafficPolicy {
  /** Replace (not merge with) the settings above for calls to these ports. */
  readonly portLevelSettings?: readonly (PortTrafficPolicy & {
    readonly port: { readonly number: number };
  })[];
  readonly tunnel?: {
    /** Default CONNECT. */
    readonly protocol?: "CONNECT" | "POST";
    readonly targetHost: string;
    readonly targetPort: number;
  };
  readonly proxyProtocol?: { readonly version?: "V1" | "V2" };
  readonly retryBudget?: RetryBudget;
}

export interface RetryBudget {
  /** Concurrent retries as a share of active requests, 0 to 100; default 20. */
  readonly percent?: number;
  /** Retries that are always allowed; default 3. */
  readonly minRetryConcurrency?: number;
  /** Go duration; default 0. */
  readonly budgetInterval?: string;
}

/** At most one of `simple` and `consistentHash`. */
export interface LoadBalancerSettings {
  /** UNSPECIFIED = the mesh's default, LEAST_REQUEST. */
  readonly simple?: "UNSPECIFIED" | "RANDOM" | "PASSTHROUGH" | "ROUND_ROBIN" | "LEAST_REQUEST";
  readonly consistentHash?: ConsistentHash;
  readonly localityLbSetting?: LocalityLbSetting;
  readonly zoneAwareLbSetting?: ZoneAwareLbSetting;
  readonly warmup?: Warmup;
}

/** Exactly one key (header, cookie, source address or query parameter), at most one algorithm (default ring hash). */
export interface ConsistentHash {
  readonly httpHeaderName?: string;
  readonly httpCookie?: HttpCookie;
  readonly useSourceIp?: boolean;
  readonly httpQueryParameterName?: string;
  readonly ringHash?: { readonly minimumRingSize?: number };
  readonly maglev?: { readonly tableSize?: number };
}

export interface HttpCookie {
  readonly name: string;
  readonly path?: string;
  /** Go duration; absent: a session cookie that the client must bring; 0s: one is made that ends with the session. */
  readonly ttl?: string;
  readonly attributes?: readonly { readonly name: string; readonly value?: string }[];
}

/** At most one of `distribute`, `failover`; `failoverPriority` not with `distribute`. */
export interface LocalityLbSetting {
  /** Weights in percent; each `to` sums to 100. */
  readonly distribute?: readonly { readonly from: string; readonly to: Readonly<Record<string, number>> }[];
  readonly failover?: readonly { readonly from: string; readonly to: string }[];
  /** Labels in order of importance, each `key` or `key=value`. */
  readonly failoverPriority?: readonly string[];
  readonly enabled?: boolean;
}

export interface ZoneAwareLbSetting {
  readonly enabled?: boolean;
  readonly failover?: readonly { readonly from: string; readonly to: string }[];
  readonly failoverPriority?: readonly string[];
  /** Clusters with fewer endpoints are not balanced by zone; default 6. */
  readonly minClusterSize?: number;
}

export interface Warmup {
  /** Go duration. */
  readonly duration: string;
  /** Share of its full weight that a new endpoint starts with, 0 to 100; default 10. */
  readonly minimumPercent?: number;
  /** At least 1; default 1 (linear). */
  readonly aggression?: number;
}

export interface ConnectionPoolSettings {
  readonly tcp?: TcpSettings;
  readonly http?: HttpSettings;
}

export interface TcpSettings {
  /** Default 2^32-1. */
  readonly maxConnections?: number;
  /** Go duration of at least 1ms; default 10s. */
  readonly connectTimeout?: string;
  readonly tcpKeepalive?: { readonly probes?: number; readonly time?: string; readonly interval?: string };
  readonly maxConnectionDuration?: string;
  /** Go duration; default 1h; 0s: never. */
  readonly idleTimeout?: string;
}

export interface HttpSettings {
  /** Requests that wait for a connection; default 2^32-1. */
  readonly http1MaxPendingRequests?: number;
  /** Requests at a time, whatever the protocol; default 2^32-1. */
  readonly http2MaxRequests?: number;
  /** 0 (default): no limit; 1: no keep-alive. */
  readonly maxRequestsPerConnection?: number;
  /** Retries at a time; default 2^32-1. */
  readonly maxRetries?: number;
  /** Go duration; default 1h. */
  readonly idleTimeout?: string;
  readonly h2UpgradePolicy?: "DEFAULT" | "DO_NOT_UPGRADE" | "UPGRADE";
  readonly useClientProtocol?: boolean;
  readonly maxConcurrentStreams?: number;
  readonly http2KeepAlive?: { readonly interval?: string; readonly timeout?: string };
}

export interface OutlierDetection {
  /** Default 5; 0 turns it off. */
  readonly consecutive5xxErrors?: number;
  /** Default off. */
  readonly consecutiveGatewayErrors?: number;
  readonly splitExternalLocalOriginErrors?: boolean;
  readonly consecutiveLocalOriginFailures?: number;
  /** Go duration; default 10s. */
  readonly interval?: string;
  /** Go duration; default 30s. Grows with each ejection. */
  readonly baseEjectionTime?: string;
  /** 0 to 100; default 10. */
  readonly maxEjectionPercent?: number;
  /** 0 to 100; default 0. Below this share of healthy endpoints nothing is ejected. */
  readonly minHealthPercent?: number;
  /** Status codes that count as errors instead of 5xx. */
  readonly outlierDetectionHttpErrorCodes?: readonly number[];
}

export interface ClientTlsSettings {
  /** Default DISABLE. */
  readonly mode?: "DISABLE" | "SIMPLE" | "MUTUAL" | "ISTIO_MUTUAL";
  readonly clientCertificate?: string;
  readonly privateKey?: string;
  readonly caCertificates?: string;
  readonly credentialName?: string;
  readonly subjectAltNames?: readonly string[];
  readonly sni?: string;
  readonly insecureSkipVerify?: boolean;
  readonly caCrl?: string;
}
