import type { Locality, LocalityLbSetting } from "@tulle/api";
import type { MeshEndpoint } from "../mesh-service.js";
import { matchesLocality } from "./locality.js";

/** Envoy's weights are whole numbers: shares are counted in parts of this. */
const PARTS = 10_000;

/** The endpoints of one locality. */
export interface LocalityGroup {
  readonly locality: Locality | undefined;
  readonly endpoints: readonly MeshEndpoint[];
}

/** The shares that a client's locality is to spread its requests by; undefined when no rule is for it. */
export function distributionFor(
  setting: LocalityLbSetting | undefined,
  from: Locality | undefined,
): Readonly<Record<string, number>> | undefined {
  if (setting?.distribute === undefined || from === undefined) return undefined;
  return setting.distribute.find((rule) => matchesLocality(rule.from, from))?.to;
}

/**
 * The weight of each group under a distribution, 0 for those that it does not name: the share of the first pattern that
 * matches a group, divided among all that it matches by the weights of their endpoints.
 */
export function distributedWeights(
  groups: readonly LocalityGroup[],
  to: Readonly<Record<string, number>>,
): number[] {
  const patterns = Object.keys(to);
  const patternOf = groups.map(({ locality }) =>
    patterns.find((pattern) => matchesLocality(pattern, locality ?? NOWHERE)),
  );
  const sums = new Map<string, number>();
  groups.forEach((group, index) => {
    const pattern = patternOf[index];
    if (pattern !== undefined) sums.set(pattern, (sums.get(pattern) ?? 0) + weightOf(group));
  });
  return groups.map((group, index) => {
    const pattern = patternOf[index];
    if (pattern === undefined || to[pattern] === 0) return 0;
    return whole(((to[pattern]! / 100) * weightOf(group)) / sums.get(pattern)!);
  });
}

const NOWHERE: Locality = { region: "", zone: "", subzone: "" };

/**
 * The weight of each group under zone-aware routing (Envoy's rule): as much as possible stays in the client's zone. When
 * that has less than its part of the endpoints, the rest goes to the zones that have more than theirs. `callers`: the
 * localities of all instances of the client's service.
 */
export function zoneAwareWeights(
  groups: readonly LocalityGroup[],
  from: Locality,
  callers: readonly (Locality | undefined)[],
): number[] {
  const zones = [...new Set([zoneOf(from), ...groups.map(({ locality }) => zoneOf(locality))])];
  const total = groups.reduce((sum, group) => sum + weightOf(group), 0);
  const capacity = new Map(zones.map((zone) => [zone, 0]));
  for (const group of groups) {
    const zone = zoneOf(group.locality);
    capacity.set(zone, capacity.get(zone)! + weightOf(group) / total);
  }
  const demand = (zone: string): number =>
    callers.filter((caller) => zoneOf(caller) === zone).length / Math.max(1, callers.length);
  const own = zoneOf(from);
  const stays = demand(own) === 0 ? 1 : Math.min(1, capacity.get(own)! / demand(own));
  const spare = new Map(
    zones.map((zone) => [zone, zone === own ? 0 : Math.max(0, capacity.get(zone)! - demand(zone))]),
  );
  const allSpare = [...spare.values()].reduce((sum, one) => sum + one, 0);
  return groups.map((group) => {
    const zone = zoneOf(group.locality);
    const share = zone === own ? stays : allSpare === 0 ? 0 : ((1 - stays) * spare.get(zone)!) / allSpare;
    return share === 0 ? 0 : whole((share * (weightOf(group) / total)) / capacity.get(zone)!);
  });
}

/** Zones are of a region. */
function zoneOf(locality: Locality | undefined): string {
  return locality === undefined ? "" : `${locality.region}/${locality.zone}`;
}

export function weightOf({ endpoints }: LocalityGroup): number {
  return endpoints.reduce((sum, { weight }) => sum + weight, 0);
}

/** What is to get anything gets one part at least. */
function whole(share: number): number {
  return share === 0 ? 0 : Math.max(1, Math.round(share * PARTS));
}
