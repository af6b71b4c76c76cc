/** How a service is called and how it protects itself: what the kinds of Istio have no words for. */
export interface TrafficPolicySpec {
  /** Host of the service, as in a DestinationRule; `*.suffix` and `*` for many. */
  readonly host: string;
  /** Of the service; default: every port. */
  readonly port?: number;
  /** Default: every subset. Only how endpoints are balanced can differ between subsets. */
  readonly subset?: string;
  /** Balances over endpoints otherwise than a DestinationRule can say. */
  readonly loadBalancer?: OwnLoadBalancer;
  /** Of CLIENT_SIDE_WEIGHTED_ROUND_ROBIN. */
  readonly loadReports?: LoadReports;
  /** A caller's sidecar uses at most so many of the instances, others than its neighbours; default: all. */
  readonly maxEndpoints?: number;
  /** Header in which a request names the instances that it shall go to: `10.0.0.5:8080,10.0.0.6:8080`. */
  readonly overrideHostHeader?: string;
  readonly connections?: ConnectionExtras;
  /** Requests of callers wait for an instance where none is ready; default: they fail at once. */
  readonly waitForEndpoint?: WaitForEndpoint;
  /** Services that take what the service's healthy instances cannot, in this order; each by its port of the same number, or its only one. */
  readonly failover?: readonly string[];
  /** How much more than its part of the load consistent hashing may give to an endpoint, percent; at least 100. */
  readonly hashBalanceFactor?: number;
  readonly hedging?: Hedging;
  readonly retries?: RetryExtras;
  /** The service's sidecars: how many requests an instance takes at once is found out. */
  readonly adaptiveConcurrency?: AdaptiveConcurrency;
  /** The callers' sidecars: requests to a service that fails are held back. */
  readonly admissionControl?: AdmissionControl;
  /** How the service's sidecars bring paths into one form; default: as the mesh. */
  readonly pathNormalization?: "NONE" | "BASE" | "MERGE_SLASHES" | "DECODE_AND_MERGE_SLASHES";
}

/** A queue for requests while no instance is ready. When the first of them has waited in vain, all fail at once until one is. */
export interface WaitForEndpoint {
  /** At most 60s; default 3s. */
  readonly timeout?: string;
  /** In each thread of a caller's sidecar, 1 to 10000; default 100. */
  readonly maxRequests?: number;
}

/** How endpoints are balanced that Istio has no word for. */
export type OwnLoadBalancer = "PEAK_EWMA" | "CLIENT_SIDE_WEIGHTED_ROUND_ROBIN";

/** How instances are weighed by the load that they report in their answers (ORCA). */
export interface LoadReports {
  /** So long an instance must report before its reports count; default 10s. */
  readonly blackout?: string;
  /** A report that is older does not count; default 3m. */
  readonly expiration?: string;
  /** How often weights are computed, at least 100ms; default 1s. */
  readonly updateInterval?: string;
  /** What a share of errors counts as load; default 1. */
  readonly errorPenalty?: number;
}

/** Connections to a service's instances. */
export interface ConnectionExtras {
  /** So many times the HTTP/1.1 connections that are in use are kept open or made ahead, 1 to 3; default 1: none ahead. */
  readonly preconnectRatio?: number;
  /** A client's connection has connections of its own, which nobody else's requests go over. Default false. */
  readonly perClientConnection?: boolean;
  /** Connections of a caller's sidecar to one instance, at least 1; default: no limit but the DestinationRule's `maxConnections`. */
  readonly maxPerInstance?: number;
  /** Connection pools that a sidecar has for the service at a time, of which `perClientConnection` makes many; default: no limit. */
  readonly maxPools?: number;
  /** Limits of requests whose rules have the annotation `tulle.dev/priority: high`, counted for themselves; what is not said has none. */
  readonly highPriority?: {
    readonly maxConnections?: number;
    readonly maxPendingRequests?: number;
    readonly maxRequests?: number;
    readonly maxRetries?: number;
  };
}

/** One more try beside those under way, for requests that may be repeated. */
export interface Hedging {
  /** So long without an answer. */
  readonly after: string;
  /** Tries beside the first, 1 to 5; default 1. */
  readonly max?: number;
}

export interface RetryExtras {
  /** The conditions for retries count for every method, POST too. Default false. */
  readonly nonIdempotent?: boolean;
}

/** A limit of the requests under way that follows their response times. */
export interface AdaptiveConcurrency {
  /** What response times are summed up by, percent; default 50. */
  readonly percentile?: number;
  /** Default 100ms. */
  readonly updateInterval?: string;
  /** Default 1000. */
  readonly maxConcurrency?: number;
  /** The limit while the unburdened service is measured, and the lowest one; default 3. */
  readonly minConcurrency?: number;
  /** So much slower than unburdened still counts as unburdened, percent; default 25. */
  readonly bufferPercent?: number;
  /** How often the unburdened service is measured; default 60s. */
  readonly measureInterval?: string;
  /** By so many requests; default 50. */
  readonly measureRequests?: number;
  /** A random part of `measureInterval` that is added to it, percent; default 15. */
  readonly measureJitterPercent?: number;
  /** What a refused request is answered with; default 503. */
  readonly status?: number;
}

/** Who calls a service that fails sends less, by chance. */
export interface AdmissionControl {
  /** Requests of the last so long are counted; default 30s. */
  readonly window?: string;
  /** Below this share of successes requests are held back, percent; default 95. */
  readonly successRate?: number;
  /** The higher, the more are held back for the same failures; default 1. */
  readonly aggression?: number;
  /** At fewer requests a second nothing is held back; default 0. */
  readonly minRequestsPerSecond?: number;
  /** Never more than so many, percent; default 80. */
  readonly maxRejectionPercent?: number;
  /** Statuses that count as successes: `200`, or `"200-299"` with both ends; default: below 500. */
  readonly httpSuccesses?: readonly (number | string)[];
  /** The same of gRPC calls; default: what fewer requests would not change. */
  readonly grpcSuccesses?: readonly string[];
}
