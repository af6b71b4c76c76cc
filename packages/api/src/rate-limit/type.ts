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
  /** What a refused request is answered with; 400 to 599, default 429. */
  readonly status?: number;
  /** What a refused gRPC call is answered with; default RESOURCE_EXHAUSTED. */
  readonly grpcStatus?: "UNAVAILABLE" | "RESOURCE_EXHAUSTED";
  /** Whether responses say what is left (`x-ratelimit-limit`, `-remaining`, `-reset`). Default true. */
  readonly tellsLimits?: boolean;
  /** All that concern a request must let it through. At least one. */
  readonly limits: readonly RateLimitRule[];
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
}

/** All conditions must hold. */
export interface RateLimitMatch {
  /** The path, without its query. */
  readonly uri?: StringMatch;
  readonly method?: StringMatch;
  readonly headers?: Readonly<Record<string, StringMatch>>;
}
