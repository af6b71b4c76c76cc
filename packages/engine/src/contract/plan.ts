import type { JsonObject } from "@bufbuild/protobuf";
import type { HeaderList } from "@tulle/http";
import type { RequestHash } from "../affinity/request-hash.js";
import type { SessionPolicy } from "../affinity/session.js";
import type { ClusterPart, Provenance, Snapshot } from "../snapshot/contract.js";
import type { RateLimitSources, RouteFilters } from "./admission.js";
import type { EngineRequest, HeaderMutation } from "./request.js";

export interface RetryPlan {
  /** Retries beside the first try, at least 1. */
  readonly attempts: number;
  /** 0 = the route's own timeout bounds each try. */
  readonly perTryTimeoutMs: number;
  /** Without a byte in either direction on one try, milliseconds; 0 = none. */
  readonly perTryIdleTimeoutMs: number;
  /** Bit set of `RETRY_ON_*`. */
  readonly on: number;
  /** Those of `on` that hold for any method, because the configuration says so: the others only for repeatable requests. */
  readonly onAnyMethod: number;
  /** Whether an answer below 400 may be one to throw away. */
  readonly looksAtEveryAnswer: boolean;
  readonly statusCodes: readonly number[];
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
  /** How often a retry looks for another endpoint when the pick is one that it should do without. */
  readonly hostReselections: number;
  /** Retries do without endpoints that were tried (`previous_hosts`), as long as there are others. */
  readonly avoidsTried: boolean;
  /** And without those that have all of the labels of one of these (`omit_host_metadata`); absent = none. */
  readonly omitsHosts?: readonly JsonObject[] | undefined;
  /** After so many tries at a priority others are preferred (`previous_priorities`); 0 = never. */
  readonly triesPerPriority: number;
}

/** More tries at a time for one request, of which the first good answer counts. Only for what may be repeated. */
export interface HedgePlan {
  /** Tries that are made at once, the first included. */
  readonly initial: number;
  /** Chance that one more is made at once, 0 to 1. */
  readonly initialChance: number;
  /** One more is made each time that so long no answer has come, milliseconds; 0 = none. */
  readonly afterMs: number;
  /** At most so many besides the first, at once and after a delay. */
  readonly max: number;
  /** A try that reaches the per-try timeout goes on beside the next one, which is one of the retries. */
  readonly onPerTryTimeout: boolean;
}

/** Which redirects of a service are followed inside of the proxy instead of being given to the client. */
export interface RedirectPlan {
  /** For one request. */
  readonly max: number;
  readonly statuses: ReadonlySet<number>;
  /** Also to another scheme than the request's. */
  readonly crossesSchemes: boolean;
  /** But never from http to https. */
  readonly keepsSafe: boolean;
  /** A route is not redirected to twice from the same route. */
  readonly avoidsPrevious: boolean;
  /** Names of the routes that may be led to; undefined = all. */
  readonly allowedRoutes: ReadonlySet<string> | undefined;
  /** Fields of the answer that the next request has in place of its own, lower-case. */
  readonly copiedHeaders: readonly string[];
}

/**
 * One way that a request can go: a route with one of its clusters. Compiled once; `route` returns the same object for
 * every request that goes this way, so a decision allocates nothing and metrics can hang their series on it.
 */
export interface Plan {
  readonly kind: "forward";
  readonly routeName: string;
  readonly cluster: ClusterPart;
  /** The circuit breakers of priority HIGH hold for it. */
  readonly highPriority: boolean;
  /** Whole exchange, milliseconds; 0 = none. */
  readonly timeoutMs: number;
  /** Without a byte in either direction, milliseconds; 0 = none. */
  readonly idleTimeoutMs: number;
  /** From the beginning of the request to the end of its answer, milliseconds; 0 = none, absent = the chain's. */
  readonly maxDurationMs?: number | undefined;
  /** Bounds what a gRPC client allows for its call, milliseconds; 0 or absent = it is taken as it is. */
  readonly grpcTimeoutMaxMs?: number;
  /** So much earlier than the client's own timeout, milliseconds. */
  readonly grpcTimeoutOffsetMs?: number;
  readonly retry: RetryPlan | undefined;
  readonly hedge?: HedgePlan | undefined;
  /** The caller is told how many tries were made (`x-envoy-attempt-count` in the response). */
  readonly tellsAttempts?: boolean;
  /** A try after one that took too long says so (`x-envoy-is-timeout-retry`). */
  readonly tellsTimeoutRetry?: boolean;
  /** Path rewriting; undefined = as received. */
  readonly rewritePath: ((path: string) => string) | undefined;
  /** New authority for the upstream; undefined = as received. */
  readonly rewriteAuthority: string | undefined;
  /** As `rewriteAuthority`, made of the request; it comes first. */
  readonly authorityOf?: ((request: EngineRequest) => string | undefined) | undefined;
  /** Where nothing else says the authority, it is the endpoint's name. */
  readonly takesEndpointHost?: boolean | undefined;
  /** The authority as received is told in `x-forwarded-host` when another one is sent. */
  readonly tellsForwardedHost?: boolean | undefined;
  readonly requestHeaders: readonly HeaderMutation[];
  readonly responseHeaders: readonly HeaderMutation[];
  /** What of a request consistent hashing goes by; undefined = nothing. */
  readonly hash: RequestHash | undefined;
  /** Labels of the endpoints that its requests may go to, where the cluster has subsets; absent = it asks for none. */
  readonly labels?: JsonObject | undefined;
  /** How a session is bound to an endpoint; undefined = not at all. */
  readonly session: SessionPolicy | undefined;
  /** What the route says to filters of the chain, by their names; undefined = nothing. */
  readonly filters?: RouteFilters | undefined;
  /** What limits may know of a request; undefined = nothing. */
  readonly rateLimits?: RateLimitSources | undefined;
  /** Which redirects are followed here; undefined = none. */
  readonly redirects?: RedirectPlan | undefined;
  /** Who else gets the requests; undefined = nobody. */
  readonly mirrors?: readonly MirrorPlan[] | undefined;
  readonly provenance: Provenance;
}

/** Copies of a route's requests for another cluster. Nobody waits for the answers, and they are never tried again. */
export interface MirrorPlan {
  /** `-shadow` is added to the copy's authority: see `shadowHost`. */
  readonly marksHost: boolean;
  /** The share of requests that are copied now, 0 to 1. */
  probability(snapshot: Snapshot): number;
  /** Whether a request is copied. */
  takes(entropy: number, snapshot: Snapshot): boolean;
  /** The way of the copies, with the cluster as `snapshot` has it. */
  plan(snapshot: Snapshot): Plan;
}

/** The route answers by itself: a redirect or a fixed response. */
export interface ReplyPlan {
  readonly kind: "reply";
  readonly routeName: string;
  readonly status: number;
  readonly body: string;
  /** The body where it is not text; `body` is what can be read of it. */
  readonly bytes?: Uint8Array | undefined;
  /** Computed for the request, e.g. `location`. */
  readonly headers: (request: EngineRequest) => HeaderList;
  readonly responseHeaders: readonly HeaderMutation[];
  /** As of a {@link Plan}. */
  readonly filters?: RouteFilters | undefined;
  /** As of a {@link Plan}. */
  readonly rateLimits?: RateLimitSources | undefined;
  readonly provenance: Provenance;
}

/** No virtual host or no route matches: 404, response flag NR. */
export interface NoRoute {
  readonly kind: "no-route";
}

export type Routed = Plan | ReplyPlan | NoRoute;
