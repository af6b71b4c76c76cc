import type { Assignment } from "../snapshot/assignment.js";
import type { EndpointPart } from "../snapshot/contract.js";
import type { EndpointHealth } from "./health.js";
import { priorityShares, type PriorityShare } from "./priority-shares.js";

/** A set of endpoints that gets a fixed share of the requests, whatever their load: a priority, or one locality of it. */
export interface Group {
  readonly priority: number;
  /** Position of its locality in the assignment; -1 = of all localities. */
  readonly locality: number;
  readonly state: "healthy" | "degraded" | "panic";
  /** Parts of 100. */
  readonly share: number;
  readonly endpoints: readonly EndpointPart[];
  readonly weights: readonly number[];
}

/** How a cluster divides its requests before its policy chooses among endpoints. */
export interface Grouping {
  /** Share of usable endpoints, percent, below which a priority panics; 0 = never. */
  readonly panicPercent: number;
  /** In a panic requests fail instead of going to endpoints that are not healthy. */
  readonly failOnPanic: boolean;
  /** Localities get shares by their weights. */
  readonly localityWeighted: boolean;
  /** Those shares become weights of endpoints, in one group: what consistent hashing needs. */
  readonly flat: boolean;
}

/** A cluster's endpoints with what is known of each; all lists are in the order of the assignment. */
export interface Members {
  readonly assignment: Assignment;
  readonly endpoints: readonly EndpointPart[];
  readonly health: readonly EndpointHealth[];
  readonly weights: readonly number[];
  /** Positions of those that may get requests; undefined = all. */
  readonly included: ReadonlySet<number> | undefined;
}

/** The groups that requests go to: none when no endpoint can take any. */
export function groupsOf(members: Members, grouping: Grouping): Group[] {
  const { assignment, health, included } = members;
  const priorities = [...new Set(assignment.endpoints.map(({ priority }) => priority))].sort(
    (left, right) => left - right,
  );
  const levels = priorities.map((priority) =>
    indexesWhere(
      members,
      (index) =>
        assignment.endpoints[index]!.priority === priority &&
        counts(health[index]!) &&
        included?.has(index) !== false,
    ),
  );
  const shares = priorityShares(
    levels.map((indexes) => ({
      endpoints: indexes.length,
      healthy: indexes.filter((index) => health[index] === "healthy").length,
      degraded: indexes.filter((index) => health[index] === "degraded").length,
    })),
    assignment.overprovisioning,
    grouping.panicPercent,
  );
  return priorities.flatMap((priority, level) =>
    ofPriority(members, grouping, priority, levels[level]!, shares[level]!),
  );
}

/** What is being drained on purpose does not make its priority look ill. */
function counts(health: EndpointHealth): boolean {
  return health !== "draining";
}

function ofPriority(
  members: Members,
  grouping: Grouping,
  priority: number,
  indexes: readonly number[],
  { healthy, degraded, panic }: PriorityShare,
): Group[] {
  if (panic) {
    const used = grouping.failOnPanic ? [] : indexes;
    return [group(members, { priority, locality: -1, state: "panic", share: healthy + degraded }, used)];
  }
  return (["healthy", "degraded"] as const).flatMap((state) => {
    const share = state === "healthy" ? healthy : degraded;
    if (share === 0) return [];
    const used = indexes.filter((index) => members.health[index] === state);
    const whole = group(members, { priority, locality: -1, state, share }, used);
    if (!grouping.localityWeighted) return [whole];
    const parts = byLocality(members, whole, indexes, used);
    // All localities without a weight: Envoy would use none; requests that can be served are served.
    if (parts.length === 0) return [whole];
    return grouping.flat ? [flattened(whole, parts)] : parts;
  });
}

/**
 * One group per locality with a weight, by Envoy's rule: the weight counts in full as long as enough of the locality's
 * endpoints are usable, and less in proportion below that.
 */
function byLocality(
  { assignment, endpoints, weights }: Members,
  whole: Group,
  all: readonly number[],
  used: readonly number[],
): Group[] {
  const localityOf = (index: number): number => assignment.endpoints[index]!.locality;
  const sizes = new Map<number, number>();
  for (const index of all) sizes.set(localityOf(index), (sizes.get(localityOf(index)) ?? 0) + 1);
  const members = new Map<number, number[]>();
  for (const index of used) {
    const list = members.get(localityOf(index));
    if (list === undefined) members.set(localityOf(index), [index]);
    else list.push(index);
  }
  const parts = [...members].map(([locality, indexes]) => {
    const usable = Math.min(1, (indexes.length * assignment.overprovisioning) / sizes.get(locality)!);
    return {
      ...whole,
      locality,
      share: assignment.localityWeights[locality]! * usable,
      endpoints: indexes.map((index) => endpoints[index]!),
      weights: indexes.map((index) => weights[index]!),
    };
  });
  const total = parts.reduce((sum, { share }) => sum + share, 0);
  return parts
    .filter(({ share }) => share > 0)
    .map((part) => ({ ...part, share: (part.share / total) * whole.share }));
}

/** Shares of localities as weights of their endpoints. */
function flattened(whole: Group, parts: readonly Group[]): Group {
  return {
    ...whole,
    endpoints: parts.flatMap(({ endpoints }) => endpoints),
    weights: parts.flatMap(({ share, weights }) => {
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      return weights.map((weight) => (share * weight) / total);
    }),
  };
}

function group(
  { endpoints, weights }: Members,
  what: Pick<Group, "priority" | "locality" | "state" | "share">,
  indexes: readonly number[],
): Group {
  return {
    ...what,
    endpoints: indexes.map((index) => endpoints[index]!),
    weights: indexes.map((index) => weights[index]!),
  };
}

function indexesWhere({ endpoints }: Members, holds: (index: number) => boolean): number[] {
  const indexes: number[] = [];
  for (let index = 0; index < endpoints.length; index++) if (holds(index)) indexes.push(index);
  return indexes;
}
