import type { StringMatch } from "../schema/match.js";

/** How many requests a service takes: from everybody, or from each of its callers. */
export interface RateLimitSpec {
  /** The service that is called; absent: every service of the object's namespace. Only inbound limits may go without. */
  readonly host?: string;
  /** Only workloads with these labels carry it out: the service's instances inbound, its callers outbound. */
  readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
  /** Who counts. INBOUND (default): each instance of the service, whoever calls; OUTBOUND: each caller, for itself. */
  readonly direction?: RateLimitDirection;
  /** Counts and refuses nobody. Default false. */
  readonly shadow?: boolean;
  /** Runtime key of the share of requests over the limit that are refused; where no Runtime has it, all are (with `shadow`: none). */
  readonly runtimeKey?: string;
  /** What a refused request is answered with; 400 to 599, default 429. */
  readonly status?: number;
  /** What a refused gRPC call is answered with; default RESOURCE_EXHAUSTED. */
  readonly grpcStatus?: "UNAVAILABLE" | "RESOURCE_EXHAUSTED";
  /** Whether responses say what is left (`x-ratelimit-limit`, `-remaining`, `-reset`). Default true. */
  readonly tellsLimits?: boolean;
  /** Counted by each sidecar for itself: all that concern a request must let it through. Either these or `global`. */
  readonly limits?: readonly RateLimitRule[];
  /** Counted for the whole mesh by a service of yours. */
  readonly global?: GlobalRateLimit;
}

/** A service that speaks Envoy's rate limit protocol (`envoy.service.ratelimit.v3`) counts; its own configuration has the limits. */
export interface GlobalRateLimit {
  /** `[namespace/]host`: a service of the mesh or a host of a ServiceEntry; in the object's namespace unless it says. */
  readonly service: string;
  readonly port: number;
  /** Which of the service's limits. */
  readonly domain: string;
  /** For the answer; default 20 ms, as Envoy's. */
  readonly timeout?: string;
  /** Requests are refused with 500 when the service does not answer. Default false: they pass. */
  readonly failClosed?: boolean;
  /** What the service is told of a request: it is asked when at least one of them is known. */
  readonly descriptors: readonly GlobalDescriptor[];
}

/** Keys and values that the service counts by; all of them must be known. */
export interface GlobalDescriptor {
  /** Requests that it is about; absent = all. One of the entries must have a `value`. */
  readonly match?: RateLimitMatch;
  readonly entries: readonly GlobalEntry[];
}

/** A key with one of: a fixed value, that of a header, who calls. */
export interface GlobalEntry {
  /** Where only `source` says what the value is, the key is `source_identity` or `remote_address`. */
  readonly key?: string;
  readonly value?: string;
  readonly header?: string;
  readonly source?: "IDENTITY" | "CLIENT_ADDRESS";
}

export type RateLimitDirection = "INBOUND" | "OUTBOUND";

export interface RateLimitRule {
  /** Requests that it is about; absent = all. */
  readonly match?: RateLimitMatch;
  /** So many in each interval. */
  readonly requests: number;
  /** At least 50 ms. */
  readonly interval: string;
  /** So many at once after a rest; default: `requests`. */
  readonly burst?: number;
  /** Each caller has a count of its own: by its identity (mutual TLS), or by its address. */
  readonly per?: "SOURCE" | "CLIENT_ADDRESS";
  /** Each value of this header has a count of its own; requests without it are not counted. */
  readonly perHeader?: string;
  /** Other numbers for some callers, each with a count of its own. Only `per: SOURCE`. */
  readonly overrides?: readonly RateLimitOverride[];
  /** Callers without mutual TLS are counted as well, all of them together. Only `per: SOURCE`; default false: they are not. */
  readonly countsUnidentified?: boolean;
}

export interface RateLimitOverride {
  /** `<namespace>/<service account>`, or the service account alone for the object's namespace. */
  readonly serviceAccounts: readonly string[];
  readonly requests: number;
  /** Default: that of the limit. */
  readonly interval?: string;
  /** Default: `requests`. */
  readonly burst?: number;
}

/** All conditions must hold. */
export interface RateLimitMatch {
  /** The path, without its query. */
  readonly uri?: StringMatch;
  readonly method?: StringMatch;
  readonly headers?: Readonly<Record<string, StringMatch>>;
}
