import type { AttemptState, DecisionView, Plan } from "../contract.js";
import { memberFor } from "../pick/aggregate.js";
import type { ClusterPart } from "../snapshot/contract.js";

/**
 * The cluster that the next try of a plan goes to, as the snapshot has it now, with the limits of the plan's priority; of an
 * aggregate the member whose turn it is.
 */
export function currentCluster(
  view: DecisionView,
  plan: Plan,
  attempt: Pick<AttemptState, "affinity" | "attempts">,
): ClusterPart {
  const named = view.snapshot.cluster(plan.cluster.name) ?? plan.cluster;
  const cluster = named.members.length === 0 ? named : memberFor(view, named, attempt);
  return plan.highPriority ? (cluster.high ?? cluster) : cluster;
}
