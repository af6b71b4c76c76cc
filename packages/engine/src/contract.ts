import type { JsonObject } from "@bufbuild/protobuf";
import type { HeaderList } from "@tulle/http";

import type { Fact, FactNeed } from "./facts/contract.js";
import type { ValueFormat } from "./format/value-format.js";
import type { Controllers } from "./load/controllers.js";
import type { ReportedLoads } from "./load/reported-loads.js";
import type { ResultTable } from "./load/result-table.js";
import type { ClusterPart, Provenance, Snapshot } from "./snapshot/contract.js";
import type { RequestHash } from "./affinity/request-hash.js";
import type { SessionPolicy } from "./affinity/session.js";
import type { Trace } from "./trace.js";

/** What a decision may look at of a request. Canonical: the proxy builds it once, everything after reads only it. */
export interface EngineRequest {
  readonly method: string;
  /** Path with its query string. */
  readonly path: string;
  /** Host as the caller named it: lower-case, no trailing dot; with its port when the caller gave one. */
  readonly authority: string;
  readonly scheme: "http" | "https";
  readonly headers: HeaderList;
  /** The client has shown a certificate that holds; absent = it has not. */
  readonly clientCertificate?: boolean;
  /** What steps have found out about it, by namespace (Envoy's dynamic metadata); absent = nothing. */
  readonly metadata?: RequestMetadata | undefined;
}

/** What steps of the chain found out about a request, for the steps behind them and for routes. */
export type RequestMetadata = ReadonlyMap<string, JsonObject>;

/** What a step found out, under a namespace of its own. */
export interface FoundMetadata {
  readonly namespace: string;
  readonly value: JsonObject;
}

/**
 * A set, add or remove of one header field, as data. Names are lower-case. `applyHeaders` carries them out:
 * `set` replaces every field of that name; `append` adds one more; `add-if-absent` and `set-if-present` do what they
 * say (Envoy's ADD_IF_ABSENT and OVERWRITE_IF_EXISTS).
 */
export type HeaderMutation =
  | {
      readonly op: "set" | "append" | "add-if-absent" | "set-if-present";
      readonly name: string;
      /** As configured, where it has command operators. */
      readonly value: string;
      /** Makes the value of the exchange (Envoy's `%REQ(x)%`); undefined: it is `value`. */
      readonly format?: ValueFormat | undefined;
    }
  | { readonly op: "remove"; readonly name: string };

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
  /** The share of requests that are copied, 0 to 1. */
  readonly probability: number;
  /** Whether a request is copied. */
  takes(entropy: number): boolean;
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

/** Everything that a decision may depend on besides the request. */
export interface DecisionView {
  readonly snapshot: Snapshot;
  readonly load: LoadTable;
  /** Milliseconds, monotonic. */
  readonly now: number;
  /** Milliseconds since the epoch, for what threads count together; absent = `now`. */
  readonly wallMs?: number;
  /** 32 unsigned bits of the request id's hash: the same request decides the same way when replayed. */
  readonly entropy: number;
  /** Told why each decision was made; undefined for live traffic. */
  readonly trace?: Trace | undefined;
}

/** A hash of 64 bits, as two unsigned halves. */
export interface HashKey {
  readonly high: number;
  readonly low: number;
}

/** What binds a request to an endpoint. */
export interface Affinity {
  /** What consistent hashing looks it up by; undefined = nothing of it is hashed. */
  readonly key: HashKey | undefined;
  /** `host:port` of the endpoint that its session is bound to, as the client says; "" = none. */
  readonly boundTo: string;
  /** `host:port` of endpoints that the request itself names, for one try after the other. */
  readonly named: readonly string[];
  /** A cookie to give to the client, so that it brings the same key next time; "" = none. */
  readonly setCookie: string;
}

/** What one request has tried so far. One object per exchange, reused over its attempts. */
export interface AttemptState {
  /** Tries made, the first included. */
  attempts: number;
  /** Endpoint slots tried, newest last. */
  readonly triedSlots: number[];
  /** When the answer must be complete, on the clock of `DecisionView.now`; 0 or absent = no limit. */
  deadlineMs?: number;
  /** Made by `affinityOf` before the first try where the plan has a `hash` or a `session`. */
  affinity?: Affinity | undefined;
}

export type Outcome =
  /** The TCP or TLS connection could not be made: no byte of the request was sent. */
  | { readonly kind: "connect-failure" }
  /** The connection broke. `responseStarted` = a response head had come; `requestSent` = any byte had left. */
  | {
      readonly kind: "reset";
      readonly requestSent: boolean;
      readonly responseStarted: boolean;
      readonly reusedConnection: boolean;
    }
  /** No answer in the time for one try; `per-try-idle-timeout`: nothing moved for so long. */
  | { readonly kind: "per-try-timeout" | "per-try-idle-timeout" }
  /** The next sidecar says that it has made the retries already. */
  | { readonly kind: "retried" }
  | {
      readonly kind: "response";
      readonly status: number;
      readonly grpcStatus: number;
      readonly headers: HeaderList;
    };

/** Picking failed. `flag` is Envoy's response flag. */
export interface PickFailure {
  readonly kind: "fail";
  readonly flag: "UH" | "UO";
}

/**
 * Shared counters behind balancing and circuit breaking: a slot per endpoint and per cluster in typed arrays. Where
 * several threads carry traffic, they share it, and it counts what all of them do. Slots survive configuration updates
 * as long as their identity lives.
 */
export interface LoadTable {
  /** A request (attempt) starts on an endpoint. `retry`: it is not the first try; counts against the retry budget. */
  begin(clusterSlot: number, endpointSlot: number, retry?: boolean): void;
  /** It ended, however. Exactly once per `begin`, with the same arguments. */
  end(clusterSlot: number, endpointSlot: number, retry?: boolean): void;
  /** What an attempt told about an endpoint at the time `now` (monotonic, the same in all threads). */
  observe(endpointSlot: number, latencyMs: number, failed: boolean, now: number): void;
  /** Somebody goes by the slowest answers of an endpoint: they are remembered from now on. */
  watchPeak(endpointSlot: number, now: number): void;
  /** How long an answer is expected to take, by the slowest of late where they are watched; 0 when nothing is known. */
  expectedMs(endpointSlot: number, now: number): number;
  /** When an endpoint began to warm up; 0 = nobody has said, `-Infinity` = it was there from the start. */
  warmSince(endpointSlot: number): number;
  setWarmSince(endpointSlot: number, at: number): void;
  inFlight(endpointSlot: number): number;
  clusterInFlight(clusterSlot: number): number;
  /** Retries under way in a cluster. */
  retriesInFlight(clusterSlot: number): number;
  /** Connections of a cluster, open or being made. */
  connections(clusterSlot: number): number;
  /** `by` is 1 or -1. */
  addConnections(clusterSlot: number, by: number): void;
  /** Requests of a cluster that wait for a connection. */
  pending(clusterSlot: number): number;
  /** `by` is 1 or -1. */
  addPending(clusterSlot: number, by: number): void;
  /**
   * Counts a request, or a retry, among those of the last `windowMs` of a cluster. `nowMs`: wall clock, which all threads
   * share. One cluster's window is always the same length.
   */
  countRecent(clusterSlot: number, windowMs: number, nowMs: number, retry: boolean): void;
  /** First tries of a cluster in about the last `windowMs`. */
  recentRequests(clusterSlot: number, windowMs: number, nowMs: number): number;
  recentRetries(clusterSlot: number, windowMs: number, nowMs: number): number;
  /** Notes that the retries of a request are used up, by the hash of its id. `nowMs`: wall clock. */
  noteRetried(requestHash: number, nowMs: number): void;
  /** Whether that was noted in the last minute. Forgets it. */
  takeRetried(requestHash: number, nowMs: number): boolean;
  /** Next value of a cluster's round-robin cursor, unsigned 32 bits. */
  turn(clusterSlot: number): number;
  /** The value that `turn` gives next; leaves the cursor where it is. */
  nextTurn(clusterSlot: number): number;
  /** What is held against an endpoint beside what the configuration says of it: bits `UNHEALTHY_*`; 0 = nothing. */
  unhealthy(endpointSlot: number): number;
  /** Sets or clears one of the bits `UNHEALTHY_*`. */
  setUnhealthy(endpointSlot: number, bit: number, on: boolean): void;
  /**
   * Takes a token out of a bucket, which is full when it is asked for first. Returns how many there were before: below 1
   * none was taken. `key` is whose bucket it is. Those of `kept` are many at most by configuration and stay; the others,
   * which callers can make up, displace each other when there are too many.
   */
  takeToken(key: string, kept: boolean, limit: TokenLimit, now: number): number;
  /** As `takeToken`, only looking. */
  tokens(key: string, kept: boolean, limit: TokenLimit, now: number): number;
  /** Requests that injected faults hold up. */
  activeFaults(): number;
  /** `by` is 1 or -1. */
  addActiveFaults(by: number): void;
  /** Changes whenever a bit of any endpoint does: what was derived from the bits before is out of date. */
  healthEpoch(): number;
  /** Of the proxy that has it, the same after a restart: what differs between proxies on purpose is drawn from it. 32 bits. */
  readonly identity: number;
  /** What endpoints tell of their load. */
  readonly reports: ReportedLoads;
  /** What outlier detection goes by, and what it did. */
  readonly results: ResultTable;
  /** What filters learn from the requests that they let through. */
  readonly controllers: Controllers;
}

/** A token bucket: how many tokens it holds, and how long it takes for one to come back. */
export interface TokenLimit {
  readonly maxTokens: number;
  readonly msPerToken: number;
}

/** An active health check failed. */
export const UNHEALTHY_CHECK = 1;
/** Outlier detection ejected it. */
export const UNHEALTHY_EJECTED = 2;
/** An active health check found it degraded: it takes requests when no healthy endpoint is left. */
export const UNHEALTHY_DEGRADED = 4;

/** What only the outside knows of a request, as far as it is known. */
export interface Facts {
  /** With what the steps before have altered. */
  readonly request: EngineRequest;
  /** SPIFFE id of the verified peer, or undefined on plaintext. */
  readonly principal: string | undefined;
  /** `host:port` of the client: one connection has one of its own. */
  readonly remoteAddress?: string | undefined;
  /** The connection that it came by, one object for all of its requests; undefined where nobody knows it. */
  readonly connection?: ConnectionFacts | undefined;
  /** What the step that is asked wanted to know; absent when it has not asked yet. */
  readonly fact?: Fact | undefined;
}

/** What is known of a connection besides who made it. Addresses are without port and brackets. */
export interface ConnectionFacts {
  /** Where it really comes from, whomever a PROXY header names. */
  readonly sourceAddress: string | undefined;
  /** Where it was made to, before it was redirected. */
  readonly destinationAddress: string | undefined;
  readonly destinationPort: number | undefined;
  /** SNI, "" without. */
  readonly serverName: string;
}

/** One step between routing and picking, compiled from an HTTP filter's configuration: fault, rate limit, CORS. */
export interface AdmissionStep {
  /**
   * Pure over its arguments and the load table. `undefined` = nothing against the request. A step that answers with a need
   * is asked again with `facts.fact`, and then decides.
   */
  admit(view: DecisionView, plan: Plan | ReplyPlan, facts: Facts): StepAdmission | undefined;
  /** Clusters of services that it must ask: its chain is not warm before they are known. Absent = none. */
  readonly clusters?: readonly string[];
}

/** What a route says to a filter: a step in place of the chain's, another form of it, or whether it is taken at all. */
export type RouteFilter = AdmissionStep | StepVariant | "enabled" | "disabled";

/** What a route alters of the chain's own step. */
export interface StepVariant {
  /** The step for this route; the same one for the same `own`. */
  variantOf(own: AdmissionStep): AdmissionStep;
}

/** What makes a descriptor of a request (Envoy's `rate_limits`): keys and values that limits have buckets for. */
export interface RateLimitSource {
  readonly stage: number;
  /** Undefined = this request has none. */
  descriptor(
    plan: Plan | ReplyPlan,
    facts: Facts,
  ): readonly (readonly [key: string, value: string])[] | undefined;
}

/** Those of a route and those of its virtual host. */
export interface RateLimitSources {
  readonly route: readonly RateLimitSource[];
  readonly host: readonly RateLimitSource[];
}

/** A limit that a request was beyond. */
export interface Limited {
  /** For metrics. */
  readonly name: string;
  /** Whether it was refused for that. */
  readonly enforced: boolean;
}

/** What an authorization filter found. */
export interface Judgement {
  /** `shadow`: it counts for nothing (a dry run); `audit`: it is only noted. */
  readonly kind: "enforced" | "shadow" | "audit";
  readonly allowed: boolean;
  /** Name of the policy that matched; "" = none did. */
  readonly policy: string;
}

/** By the filter's name in the chain. */
export type RouteFilters = ReadonlyMap<string, RouteFilter>;

/** The proxy answers in place of the service. */
export interface AdmissionReply {
  readonly kind: "reply";
  readonly status: number;
  /** A gRPC caller is told it as the status' message. */
  readonly body: string;
  readonly headers: HeaderList;
  /** Envoy's response flag, e.g. `RL`, `UAEX`, or "". */
  readonly flag: string;
  /** Envoy's RESPONSE_CODE_DETAILS. */
  readonly details: string;
  /** For gRPC callers; undefined = by the HTTP status. */
  readonly grpcStatus?: number | undefined;
  readonly limited?: Limited | undefined;
  readonly judged?: readonly Judgement[] | undefined;
  /** Is told that it was refused. */
  readonly watcher?: ExchangeWatcher | undefined;
  /** Who outside was asked, and what came of it, for logs and records: `ext_authz grpc opa: no answer within 250 ms`. */
  readonly asked?: string | undefined;
}

/** The request waits, and is then asked about again, where `after` comes first. */
export interface AdmissionDelay {
  readonly kind: "delay";
  readonly ms: number;
  readonly flag: string;
  readonly after: StepAdmission | undefined;
}

/** The client's connection (HTTP/2: the stream) is reset instead of an answer. */
export interface AdmissionReset {
  readonly kind: "reset";
  readonly flag: string;
  readonly details: string;
}

/** The request goes on, altered, and its response too. */
export interface AdmissionMutation {
  readonly kind: "mutate";
  readonly request?: readonly HeaderMutation[] | undefined;
  readonly response?: readonly HeaderMutation[] | undefined;
  /** The path with its query, in place of the request's. */
  readonly path?: string | undefined;
  /** How fast the response's body goes to the client at most; undefined = as it comes. */
  readonly responseBytesPerSecond?: number | undefined;
  /** The client's connection is reset after so many bytes of the response's body; undefined = it is not. */
  readonly resetAfterBytes?: number | undefined;
  readonly limited?: Limited | undefined;
  readonly judged?: readonly Judgement[] | undefined;
  /** Is told when the exchange begins and ends. */
  readonly watcher?: ExchangeWatcher | undefined;
  /** What the step found out, for the steps behind it and for routes. */
  readonly metadata?: FoundMetadata | undefined;
  /** A route is chosen anew by what the request is now; the steps behind this one are that route's. */
  readonly reroute?: boolean | undefined;
}

/** The step must know something from outside, and is then asked again. */
export interface AdmissionNeed {
  readonly kind: "need";
  readonly need: FactNeed;
}

/** A route must be chosen anew for the request as it is now (`AdmissionProgress.request`). */
export interface AdmissionReroute {
  readonly kind: "reroute";
}

/** How an exchange went that was let through. */
export interface EndedExchange {
  /** Since it was let through. */
  readonly durationMs: number;
  /** HTTP status; 0 = the caller left before there was one. */
  readonly status: number;
  readonly grpc: boolean;
  /** Of a gRPC call; -1 when it ended without. */
  readonly grpcStatus: number;
  /** The caller left before it was over. */
  readonly cut: boolean;
}

/** Somebody who learns from exchanges. All times are `DecisionView.now`. */
export interface ExchangeWatcher {
  /** The exchange was let through by every step. */
  onBegin(now: number): void;
  /** Once after every `onBegin`. The object is only lent. */
  onEnd(now: number, ended: EndedExchange): void;
  /** The exchange was refused by the watcher's own step. */
  onRefused(): void;
}

/** What one step says. */
export type StepAdmission =
  | AdmissionReply
  | AdmissionDelay
  | AdmissionReset
  | AdmissionMutation
  | AdmissionNeed;

/** What the steps before the cluster say to a request, all together. What they alter is in the `AdmissionProgress`. */
export type Admission =
  | { readonly kind: "continue" }
  | AdmissionReply
  | AdmissionDelay
  | AdmissionReset
  | AdmissionNeed
  | AdmissionReroute;

/**
 * The decision functions (`decide.ts`), all pure over their arguments but for the load table's round-robin cursor:
 *
 * - `route(view, chain, request): Routed`: virtual host, route, weighted cluster.
 * - `routeConnection(view, chain): Plan`: weighted cluster of a TCP connection. Of the plan only its cluster, its idle
 *   timeout and the number of its retries (tries to connect beside the first) mean anything.
 * - `admit(view, chain, plan, facts, progress): Admission`: the chain's filters (faults, rate limits, CORS), in their order.
 *   After a delay it is called again with the same progress and goes on behind the step that asked for it; after a need
 *   at the step itself, with `facts.fact`; after a reroute behind the step, with the new plan.
 * - `pick(view, plan, attempt): EndpointPart | PickFailure`: endpoint by health and balancer; circuit-breaker overflow.
 * - `next(view, plan, request, attempt, outcome): number`: milliseconds until the retry, or -1 to give up.
 * - `mayHedge(view, plan, request, attempt): boolean`: whether one more try may run beside those under way.
 * - `internalRedirect(view, chain, plan, request, answer, followed)`: where a service's redirect leads, if it is followed here.
 * - `requestControls(plan, headers): Plan`: the plan as the calling application's own headers change it.
 */
export const GIVE_UP = -1;
