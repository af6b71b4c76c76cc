import type {
  CircuitBreakers_Thresholds,
  CircuitBreakers_Thresholds_RetryBudget,
} from "@tulle/xds/gen/envoy/config/cluster/v3/circuit_breaker_pb.js";
import type { Cluster } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { RoutingPriority } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import { at, invalid } from "./invalid.js";
import { filterMetadata } from "./metadata.js";

/** Limits of one priority. */
export interface Breakers {
  readonly maxConnections: number;
  /** To one endpoint (`per_host_thresholds`). */
  readonly maxConnectionsPerHost: number;
  readonly maxConnectionPools: number;
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  readonly maxRetries: number;
  readonly retryBudget: RetryBudget;
  /** Gauges say how much of the limits is left (`track_remaining`). */
  readonly tracksRemaining: boolean;
}

/** Retries may be this share of the requests, and always `minRetries`. One that is set replaces `maxRetries`. */
export interface RetryBudget {
  readonly percent: number;
  readonly minRetries: number;
  /** Requests and retries of so long count, milliseconds; 0 = those that are under way. */
  readonly windowMs: number;
  /** Nobody has set one. */
  readonly isDefault: boolean;
}

/** Envoy's defaults. */
const MAX_CONNECTIONS = 1024;
const MAX_PENDING_REQUESTS = 1024;
const MAX_REQUESTS = 1024;
const MAX_RETRIES = 3;
const BUDGET_PERCENT = 20;
const BUDGET_MIN_CONCURRENCY = 3;
/** What stands for no limit on the wire. */
export const NO_LIMIT = 4_294_967_295;
/**
 * What holds where nobody sets a budget: a share of the last ten seconds' requests, and three retries a second. Counted
 * over time, since at a low rate hardly more than one request is under way, and each of them could be repeated.
 */
const DEFAULT_BUDGET: RetryBudget = {
  percent: BUDGET_PERCENT,
  minRetries: 30,
  windowMs: 10_000,
  isDefault: true,
};
const MAX_BUDGET_WINDOW_MS = 3_600_000;

/** The limits of priority HIGH; undefined when nothing is said of it: then it has those of DEFAULT. */
export function compileHighBreakers(cluster: Cluster): Breakers | undefined {
  const { thresholds = [], perHostThresholds = [] } = cluster.circuitBreakers ?? {};
  const isSaid = [...thresholds, ...perHostThresholds].some(
    ({ priority }) => priority === RoutingPriority.HIGH,
  );
  return isSaid ? compileBreakers(cluster, RoutingPriority.HIGH) : undefined;
}

/** The limits of a priority. */
export function compileBreakers(cluster: Cluster, priority: RoutingPriority): Breakers {
  const { thresholds = [], perHostThresholds = [] } = cluster.circuitBreakers ?? {};
  const own = thresholds.find((one) => one.priority === priority);
  const perHost = perHostThresholds.findIndex((one) => one.priority === priority);
  return {
    maxConnections: own?.maxConnections ?? MAX_CONNECTIONS,
    maxConnectionsPerHost: compilePerHost(
      `circuit_breakers.per_host_thresholds[${perHost}]`,
      perHostThresholds[perHost],
    ),
    maxConnectionPools: own?.maxConnectionPools ?? NO_LIMIT,
    maxPendingRequests: own?.maxPendingRequests ?? MAX_PENDING_REQUESTS,
    maxRequests: own?.maxRequests ?? MAX_REQUESTS,
    maxRetries: own?.maxRetries ?? MAX_RETRIES,
    retryBudget: compileBudget(own?.retryBudget, cluster),
    tracksRemaining: own?.trackRemaining ?? false,
  };
}

/** Of an endpoint's own limits there is one, that of its connections. */
function compilePerHost(field: string, thresholds: CircuitBreakers_Thresholds | undefined): number {
  if (thresholds === undefined) return NO_LIMIT;
  const others: readonly (readonly [string, unknown])[] = [
    ["max_pending_requests", thresholds.maxPendingRequests],
    ["max_requests", thresholds.maxRequests],
    ["max_retries", thresholds.maxRetries],
    ["retry_budget", thresholds.retryBudget],
    ["max_connection_pools", thresholds.maxConnectionPools],
  ];
  for (const [name, value] of others) {
    if (value !== undefined) throw invalid(at(field, name), "is not supported: only max_connections is");
  }
  return thresholds.maxConnections ?? NO_LIMIT;
}

/** Envoy's budget, with Istio's `budgetInterval`, for which Envoy has no field, in the metadata `tulle.dev`. */
function compileBudget(
  budget: CircuitBreakers_Thresholds_RetryBudget | undefined,
  cluster: Cluster,
): RetryBudget {
  if (budget === undefined) return DEFAULT_BUDGET;
  const percent = budget.budgetPercent?.value ?? BUDGET_PERCENT;
  if (!(percent >= 0 && percent <= 100))
    throw invalid("circuit_breakers.thresholds.retry_budget.budget_percent", "must be between 0 and 100");
  const interval = filterMetadata(cluster.metadata, "tulle.dev")?.["retryBudgetIntervalMs"];
  return {
    percent,
    minRetries: budget.minRetryConcurrency ?? BUDGET_MIN_CONCURRENCY,
    windowMs: typeof interval === "number" ? Math.max(0, Math.min(interval, MAX_BUDGET_WINDOW_MS)) : 0,
    isDefault: false,
  };
}
