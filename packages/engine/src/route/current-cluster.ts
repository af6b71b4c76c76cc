import type { Plan } from "../contract.js";
import type { ClusterPart, Snapshot } from "../snapshot/contract.js";

/** The cluster of a plan as a snapshot has it now, with the limits of the plan's priority. */
export function currentCluster(snapshot: Snapshot, plan: Plan): ClusterPart {
  const cluster = snapshot.cluster(plan.cluster.name) ?? plan.cluster;
  return plan.highPriority ? (cluster.high ?? cluster) : cluster;
}
