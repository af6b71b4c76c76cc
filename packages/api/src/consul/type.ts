/**
 * Consul's configuration entries for L7 traffic, with the field names of Consul's custom resources. Everything here is
 * valid. An entry is about the service of its own name and namespace.
 */
import type { HeaderOperations } from "../virtual-service/type.js";

/** Group of Consul's custom resources. */
export const CONSUL_GROUP = "consul.hashicorp.com";

/** A service, or a subset that its resolver declares. */
export interface ConsulTarget {
  /** Default: the entry's own service. */
  readonly service?: string;
  /** Default: the `defaultSubset` of the service's resolver. */
  readonly serviceSubset?: string;
  /** Default: the entry's. */
  readonly namespace?: string;
}

/** Where requests to a service go, by what they look like. The first route that matches is taken; the rest go to the service. */
export interface ServiceRouterSpec {
  readonly routes?: readonly ConsulRoute[];
  readonly meta?: Readonly<Record<string, string>>;
}

export interface ConsulRoute {
  /** Default: every request. */
  readonly match?: { readonly http?: ConsulHttpMatch };
  readonly destination?: ConsulRouteDestination;
}

/** All conditions must hold. */
export interface ConsulHttpMatch {
  readonly pathExact?: string;
  readonly pathPrefix?: string;
  /** RE2, on the whole path. */
  readonly pathRegex?: string;
  /** Of `pathExact` and `pathPrefix`. */
  readonly caseInsensitive?: boolean;
  readonly methods?: readonly string[];
  readonly header?: readonly ConsulHeaderMatch[];
  readonly queryParam?: readonly ConsulQueryMatch[];
}

/** Exactly one comparison. */
export interface ConsulHeaderMatch {
  readonly name: string;
  readonly present?: boolean;
  readonly exact?: string;
  readonly prefix?: string;
  readonly suffix?: string;
  readonly contains?: string;
  readonly regex?: string;
  /** Of exact, prefix, suffix and contains. */
  readonly ignoreCase?: boolean;
  readonly invert?: boolean;
}

/** Exactly one comparison. */
export interface ConsulQueryMatch {
  readonly name: string;
  readonly present?: boolean;
  readonly exact?: string;
  readonly regex?: string;
}

export interface ConsulRouteDestination extends ConsulTarget {
  /** Replaces what `pathExact` or `pathPrefix` matched. */
  readonly prefixRewrite?: string;
  /** Go duration. Default: the resolver's, else none. */
  readonly requestTimeout?: string;
  /** Go duration without a byte in either direction. */
  readonly idleTimeout?: string;
  readonly numRetries?: number;
  readonly retryOnConnectFailure?: boolean;
  /** Envoy's conditions. */
  readonly retryOn?: readonly string[];
  readonly retryOnStatusCodes?: readonly number[];
  readonly requestHeaders?: HeaderOperations;
  readonly responseHeaders?: HeaderOperations;
}

/** Shares of a service's requests. */
export interface ServiceSplitterSpec {
  readonly splits: readonly ConsulSplit[];
  readonly meta?: Readonly<Record<string, string>>;
}

export interface ConsulSplit extends ConsulTarget {
  /** Percent, in steps of 0.01; those of an entry sum to 100. */
  readonly weight: number;
  readonly requestHeaders?: HeaderOperations;
  readonly responseHeaders?: HeaderOperations;
}

/** Which instances a service's requests go to. */
export interface ServiceResolverSpec {
  /** Go duration. Default: the mesh's. */
  readonly connectTimeout?: string;
  /** Go duration, of routes that say none. Default: none. */
  readonly requestTimeout?: string;
  readonly subsets?: Readonly<Record<string, ConsulSubset>>;
  readonly defaultSubset?: string;
  readonly redirect?: ConsulTarget;
  /** By subset; `*` for those that are not named. */
  readonly failover?: Readonly<Record<string, ConsulFailover>>;
  /** `failover`: the nearest instances first. Default `none`. */
  readonly prioritizeByLocality?: { readonly mode?: "failover" | "none" };
  readonly loadBalancer?: ConsulLoadBalancer;
  readonly meta?: Readonly<Record<string, string>>;
}

export interface ConsulSubset {
  /** Of Consul's filter language; empty selects every instance. */
  readonly filter?: string;
  /** Leaves out instances with a check that warns. */
  readonly onlyPassing?: boolean;
}

/** Who takes over where no instance is healthy: `targets` in order, or one other service or subset. */
export interface ConsulFailover extends ConsulTarget {
  readonly targets?: readonly ConsulTarget[];
  readonly policy?: { readonly mode?: "sequential" };
}

export interface ConsulLoadBalancer {
  readonly policy?: "random" | "round_robin" | "least_request" | "ring_hash" | "maglev" | "";
  readonly leastRequestConfig?: { readonly choiceCount?: number };
  readonly ringHashConfig?: { readonly minimumRingSize?: number; readonly maximumRingSize?: number };
  /** What is hashed, together; after one that is `terminal` and is there, nothing more. */
  readonly hashPolicies?: readonly ConsulHashPolicy[];
}

/** `sourceIP`, or a `field` with its `fieldValue`. */
export interface ConsulHashPolicy {
  readonly field?: "header" | "cookie" | "query_parameter";
  readonly fieldValue?: string;
  readonly cookieConfig?: { readonly session?: boolean; readonly ttl?: string; readonly path?: string };
  readonly sourceIP?: boolean;
  readonly terminal?: boolean;
}

export type ConsulProtocol = "tcp" | "http" | "http2" | "grpc";

/** What a service speaks, and how it calls others. */
export interface ServiceDefaultsSpec {
  /** Where its instances do not say it themselves. */
  readonly protocol?: ConsulProtocol;
  readonly upstreamConfig?: {
    readonly defaults?: ConsulUpstream;
    /** By the service that is called; setting by setting before the defaults. */
    readonly overrides?: readonly (ConsulUpstream & { readonly name: string; readonly namespace?: string })[];
  };
  /** Of each instance; what is beyond is answered 429. */
  readonly rateLimits?: { readonly instanceLevel?: ConsulInstanceLimits };
  readonly meta?: Readonly<Record<string, string>>;
}

export interface ConsulRate {
  readonly requestsPerSecond?: number;
  /** So many at once after a rest; default: `requestsPerSecond`. */
  readonly requestsMaxBurst?: number;
}

/** The first route that matches counts a request, else the instance's own rate. */
export interface ConsulInstanceLimits extends ConsulRate {
  /** With a rate each. */
  readonly routes?: readonly (ConsulRate & {
    readonly pathExact?: string;
    readonly pathPrefix?: string;
    readonly pathRegex?: string;
  })[];
}

/** How a service calls another. */
export interface ConsulUpstream {
  readonly connectTimeoutMs?: number;
  readonly limits?: {
    readonly maxConnections?: number;
    readonly maxPendingRequests?: number;
    readonly maxConcurrentRequests?: number;
  };
  readonly passiveHealthCheck?: {
    /** Go duration. */
    readonly interval?: string;
    /** Consecutive 5xx. */
    readonly maxFailures?: number;
    readonly maxEjectionPercent?: number;
    /** Go duration. */
    readonly baseEjectionTime?: string;
    /** 100 (default) or 0, which turns ejection off. */
    readonly enforcingConsecutive5xx?: number;
  };
}

/** Defaults of all services; there is one, `global`. */
export interface ProxyDefaultsSpec {
  /** `protocol`: of services that say none. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly meta?: Readonly<Record<string, string>>;
}
