import type { AttemptState, DecisionView } from "../contract.js";
import { mix } from "../entropy.js";
import type { ClusterPart, Snapshot } from "../snapshot/contract.js";
import { LinkedCluster } from "../snapshot/linked-cluster.js";
import { priorityShares } from "./priority-shares.js";

/** Envoy's default, which holds between clusters; within one its own does. */
const OVERPROVISIONING = 1.4;
/** Chance of its own for the choice among clusters, apart from the choices within one. */
const MEMBER_SALT = 0x51a7;

/** Which part of its requests each cluster of an aggregate gets, as of one moment. */
interface MemberShares {
  /** Of the snapshot. */
  readonly sequence: number;
  readonly epoch: number;
  readonly members: readonly LinkedCluster[];
  /** Running sums of their parts. */
  readonly upTo: readonly number[];
}

/** Computed when requests come and something has changed. */
const known = new WeakMap<LinkedCluster, MemberShares>();

/**
 * The cluster of an aggregate that a try goes to; any other cluster is the one itself. The priorities of all members stand
 * behind each other as if they were one cluster's: the first member gets everything that its healthy endpoints can take,
 * what they cannot spills over to the next. Equal keys go to equal members, sessions to the one that has their endpoint.
 */
export function memberFor(
  view: DecisionView,
  cluster: ClusterPart,
  { affinity, attempts }: Pick<AttemptState, "affinity" | "attempts">,
): ClusterPart {
  if (cluster.members.length === 0 || !(cluster instanceof LinkedCluster)) return cluster;
  const { members, upTo } = sharesOf(view, cluster);
  const [first] = members;
  if (first === undefined) return cluster;
  const boundTo = affinity?.boundTo ?? "";
  const home = boundTo === "" ? undefined : members.find((member) => member.indexOf(boundTo) >= 0);
  if (home !== undefined) return home;
  const total = upTo[upTo.length - 1]!;
  if (total <= 0) return first;
  const key = affinity?.key;
  const bits = key === undefined ? mix(view.entropy, cluster.salt + attempts) : key.high ^ key.low;
  const point = (mix(bits, MEMBER_SALT) / 0x1_0000_0000) * total;
  let index = 0;
  while (point >= upTo[index]!) index++;
  return members[index]!;
}

/** The parts of an aggregate's members, percent, for people. */
export function memberPercents(
  view: DecisionView,
  cluster: ClusterPart,
): readonly (readonly [string, number])[] {
  if (!(cluster instanceof LinkedCluster)) return [];
  const { members, upTo } = sharesOf(view, cluster);
  const total = upTo[upTo.length - 1] ?? 0;
  return members.map(({ name }, index) => {
    const part = upTo[index]! - (upTo[index - 1] ?? 0);
    return [name, total <= 0 ? 0 : (part * 100) / total];
  });
}

function sharesOf(view: DecisionView, cluster: LinkedCluster): MemberShares {
  const { snapshot, load } = view;
  const before = known.get(cluster);
  const epoch = load.healthEpoch();
  if (before !== undefined && before.sequence === snapshot.sequence && before.epoch === epoch) return before;
  const members = leavesOf(snapshot, cluster);
  const levels = members.flatMap((member, index) =>
    member.balance.levels(load, view.now).map((level) => ({ ...level, index })),
  );
  const shares = priorityShares(levels, OVERPROVISIONING, 0);
  let total = 0;
  const upTo = members.map((_, member) => {
    levels.forEach(({ index }, level) => {
      if (index === member) total += shares[level]!.healthy + shares[level]!.degraded;
    });
    return total;
  });
  const made = { sequence: snapshot.sequence, epoch, members, upTo };
  known.set(cluster, made);
  return made;
}

/** The clusters with endpoints that an aggregate leads to, in their order, each once: aggregates may hold aggregates. */
export function leavesOf(snapshot: Snapshot, aggregate: ClusterPart): readonly LinkedCluster[] {
  const leaves: LinkedCluster[] = [];
  const seen = new Set<string>([aggregate.name]);
  const visit = (names: readonly string[]): void => {
    for (const name of names) {
      if (seen.has(name)) continue;
      seen.add(name);
      const member = snapshot.cluster(name);
      if (member === undefined || member.originalDestination) continue;
      if (member.members.length > 0) visit(member.members);
      else if (member instanceof LinkedCluster) leaves.push(member);
    }
  };
  visit(aggregate.members);
  return leaves;
}
