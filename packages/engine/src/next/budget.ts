import type { AttemptState, DecisionView, Outcome, Plan } from "../contract.js";
import { currentCluster } from "../route/current-cluster.js";
import { LinkedCluster } from "../snapshot/linked-cluster.js";
import type { ClusterPart } from "../snapshot/contract.js";
import type { RetryBudget } from "../snapshot/circuit-breakers.js";

/** Which limit of a cluster's retries is reached; undefined = none. */
export type BudgetLimit = "max_retries" | "retry budget";

/**
 * Whether a cluster may have another retry. `unsent`: the try before cannot have reached the application, so that the
 * next adds no work to it, and does not count against the default budget.
 */
export function reachedLimit(
  view: DecisionView,
  plan: Plan,
  attempt: AttemptState,
  unsent: boolean,
): BudgetLimit | undefined {
  const cluster = currentCluster(view, plan, attempt);
  const budget = cluster instanceof LinkedCluster ? cluster.retryBudget : undefined;
  if (budget === undefined || budget.isDefault) {
    if (view.load.retriesInFlight(cluster.slot) >= cluster.maxRetries) return "max_retries";
    if (budget === undefined || unsent) return undefined;
  }
  return isSpent(view, cluster, budget) ? "retry budget" : undefined;
}

/** Counts a first try for the budget of its cluster. */
export function countFirstTry(view: DecisionView, cluster: ClusterPart): void {
  count(view, cluster, false);
}

/** Counts a try beside or after others. `outcome`: what became of the one before; undefined beside others. */
export function countRetry(
  view: DecisionView,
  plan: Plan,
  attempt: AttemptState,
  outcome: Outcome | undefined,
): void {
  const cluster = currentCluster(view, plan, attempt);
  if (outcome !== undefined && isUnsent(outcome) && hasDefaultBudget(cluster)) return;
  count(view, cluster, true);
}

function count(view: DecisionView, cluster: ClusterPart, retry: boolean): void {
  const windowMs = cluster instanceof LinkedCluster ? cluster.retryBudget.windowMs : 0;
  if (windowMs > 0) view.load.countRecent(cluster.slot, windowMs, view.wallMs ?? view.now, retry);
}

function hasDefaultBudget(cluster: ClusterPart): boolean {
  return cluster instanceof LinkedCluster && cluster.retryBudget.isDefault;
}

/** Whether the try cannot have reached the application. */
function isUnsent(outcome: Outcome): boolean {
  return outcome.kind === "connect-failure" || (outcome.kind === "reset" && !outcome.requestSent);
}

function isSpent(view: DecisionView, { slot }: ClusterPart, budget: RetryBudget): boolean {
  const { load } = view;
  if (budget.windowMs === 0) {
    const share = (load.clusterInFlight(slot) * budget.percent) / 100;
    return load.retriesInFlight(slot) >= Math.max(share, budget.minRetries);
  }
  const nowMs = view.wallMs ?? view.now;
  const share = (load.recentRequests(slot, budget.windowMs, nowMs) * budget.percent) / 100;
  return load.recentRetries(slot, budget.windowMs, nowMs) >= Math.max(share, budget.minRetries);
}
