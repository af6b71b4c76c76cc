import type { JsonObject } from "@bufbuild/protobuf";
import type { RequestHash } from "../affinity/request-hash.js";
import type { SessionPolicy } from "../affinity/session.js";
import type {
  HeaderMutation,
  HedgePlan,
  MirrorPlan,
  Plan,
  RedirectPlan,
  RateLimitSources,
  RouteFilters,
} from "../contract.js";
import type { ClusterPart, ConnectionSettings, Provenance, Snapshot } from "../snapshot/contract.js";
import { NO_SLOT } from "../load/load-table.js";
import type { PathRewrite } from "./path-rewrite.js";
import type { CompiledRetry } from "./retry-policy.js";

/** Everything of a plan but its cluster: what the route table alone decides. */
export interface PlanSettings {
  readonly routeName: string;
  readonly timeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly highPriority: boolean;
  readonly maxDurationMs: number | undefined;
  readonly grpcTimeoutMaxMs: number;
  readonly grpcTimeoutOffsetMs: number;
  readonly retry: CompiledRetry | undefined;
  readonly hedge: HedgePlan | undefined;
  readonly tellsAttempts: boolean;
  readonly tellsTimeoutRetry: boolean;
  readonly rewritePath: PathRewrite | undefined;
  readonly rewriteAuthority: string | undefined;
  readonly authorityOf: Plan["authorityOf"];
  readonly takesEndpointHost: boolean;
  readonly tellsForwardedHost: boolean;
  readonly requestHeaders: readonly HeaderMutation[];
  readonly responseHeaders: readonly HeaderMutation[];
  readonly hash: RequestHash | undefined;
  readonly labels: JsonObject | undefined;
  readonly session: SessionPolicy | undefined;
  readonly filters: RouteFilters | undefined;
  readonly rateLimits: RateLimitSources | undefined;
  readonly redirects: RedirectPlan | undefined;
  readonly mirrors: readonly MirrorPlan[] | undefined;
  readonly provenance: Provenance;
}

export interface WaySettings extends PlanSettings {
  readonly clusterName: string;
}

/** Of a way that does nothing besides leading to its cluster, without any limit. */
export const BARE_WAY: Omit<WaySettings, "clusterName"> = {
  routeName: "",
  timeoutMs: 0,
  idleTimeoutMs: 0,
  highPriority: false,
  maxDurationMs: undefined,
  grpcTimeoutMaxMs: 0,
  grpcTimeoutOffsetMs: 0,
  retry: undefined,
  hedge: undefined,
  tellsAttempts: false,
  tellsTimeoutRetry: false,
  rewritePath: undefined,
  rewriteAuthority: undefined,
  authorityOf: undefined,
  takesEndpointHost: false,
  tellsForwardedHost: false,
  requestHeaders: [],
  responseHeaders: [],
  hash: undefined,
  labels: undefined,
  session: undefined,
  filters: undefined,
  rateLimits: undefined,
  redirects: undefined,
  mirrors: undefined,
  provenance: { config: "", rule: "" },
};

/**
 * A route with one of its clusters, compiled once with its table. Its plan is made when it is first needed and again
 * when the cluster has changed; in between, every request gets the same object.
 */
export class Way {
  readonly settings: WaySettings;
  #plan: ForwardPlan;

  constructor(settings: WaySettings) {
    this.settings = settings;
    this.#plan = new ForwardPlan(settings, new UnknownCluster(settings.clusterName));
  }

  /** The plan with the cluster as `snapshot` has it. */
  plan(snapshot: Snapshot): Plan {
    const cluster = snapshot.cluster(this.settings.clusterName);
    const plan = this.#plan;
    if (plan.cluster === cluster || (cluster === undefined && plan.cluster instanceof UnknownCluster))
      return plan;
    this.#plan = new ForwardPlan(this.settings, cluster ?? new UnknownCluster(this.settings.clusterName));
    return this.#plan;
  }
}

/** A compiled plan. */
export class ForwardPlan implements Plan {
  readonly kind = "forward";
  readonly #settings: PlanSettings;
  readonly routeName: string;
  readonly cluster: ClusterPart;
  readonly timeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly highPriority: boolean;
  readonly maxDurationMs: number | undefined;
  readonly grpcTimeoutMaxMs: number;
  readonly grpcTimeoutOffsetMs: number;
  readonly retry: CompiledRetry | undefined;
  readonly hedge: HedgePlan | undefined;
  readonly tellsAttempts: boolean;
  readonly tellsTimeoutRetry: boolean;
  readonly rewritePath: PathRewrite | undefined;
  readonly rewriteAuthority: string | undefined;
  readonly authorityOf: Plan["authorityOf"];
  readonly takesEndpointHost: boolean;
  readonly tellsForwardedHost: boolean;
  readonly requestHeaders: readonly HeaderMutation[];
  readonly responseHeaders: readonly HeaderMutation[];
  readonly hash: RequestHash | undefined;
  readonly labels: JsonObject | undefined;
  readonly session: SessionPolicy | undefined;
  readonly filters: RouteFilters | undefined;
  readonly rateLimits: RateLimitSources | undefined;
  readonly redirects: RedirectPlan | undefined;
  readonly mirrors: readonly MirrorPlan[] | undefined;
  readonly provenance: Provenance;

  constructor(settings: PlanSettings, cluster: ClusterPart) {
    this.#settings = settings;
    this.routeName = settings.routeName;
    this.cluster = cluster;
    this.timeoutMs = settings.timeoutMs;
    this.idleTimeoutMs = settings.idleTimeoutMs;
    this.highPriority = settings.highPriority;
    this.maxDurationMs = settings.maxDurationMs;
    this.grpcTimeoutMaxMs = settings.grpcTimeoutMaxMs;
    this.grpcTimeoutOffsetMs = settings.grpcTimeoutOffsetMs;
    this.retry = settings.retry;
    this.hedge = settings.hedge;
    this.tellsAttempts = settings.tellsAttempts;
    this.tellsTimeoutRetry = settings.tellsTimeoutRetry;
    this.rewritePath = settings.rewritePath;
    this.rewriteAuthority = settings.rewriteAuthority;
    this.authorityOf = settings.authorityOf;
    this.takesEndpointHost = settings.takesEndpointHost;
    this.tellsForwardedHost = settings.tellsForwardedHost;
    this.requestHeaders = settings.requestHeaders;
    this.responseHeaders = settings.responseHeaders;
    this.hash = settings.hash;
    this.labels = settings.labels;
    this.session = settings.session;
    this.filters = settings.filters;
    this.rateLimits = settings.rateLimits;
    this.redirects = settings.redirects;
    this.mirrors = settings.mirrors;
    this.provenance = settings.provenance;
  }

  /** The same way with some of its settings changed, for one request. */
  with(changes: Partial<PlanSettings>): ForwardPlan {
    return new ForwardPlan({ ...this.#settings, ...changes }, this.cluster);
  }
}

/** Of a cluster to which there are none. */
const NO_CONNECTIONS: ConnectionSettings = {
  idleTimeoutMs: undefined,
  maxDurationMs: 0,
  maxStreams: 0,
  pingAfterMs: 0,
  pingTimeoutMs: 0,
  keepAliveMs: undefined,
  preconnectRatio: 1,
  keepAliveProbes: undefined,
  keepAliveIntervalSeconds: undefined,
};

/** Stands in a plan for a cluster that the snapshot does not have: nothing can be picked from it. */
export class UnknownCluster implements ClusterPart {
  readonly name: string;
  readonly serviceHost = "";
  readonly servicePort = 0;
  readonly subset = "";
  readonly slot = NO_SLOT;
  readonly high = undefined;
  readonly connectTimeoutMs = 0;
  readonly maxConnections = 0;
  readonly maxPendingRequests = 0;
  readonly maxRequests = 0;
  readonly maxRetries = 0;
  readonly maxRequestsPerConnection = 0;
  readonly connection = NO_CONNECTIONS;
  readonly outlier = undefined;
  readonly healthCheck = undefined;
  readonly endpoints = [];
  readonly members = [];
  readonly warm = false;
  readonly originalDestination = false;
  readonly provenance: Provenance = { config: "", rule: "" };

  constructor(name: string) {
    this.name = name;
  }
}
