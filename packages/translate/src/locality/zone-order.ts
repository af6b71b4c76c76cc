import type { Locality, MeshLocalityAwareness, MeshZoneFailover } from "@tulle/api";
import { percentOf } from "@tulle/api";
import type { MeshEndpoint } from "../mesh-service.js";
import { withLocalityLabels } from "./locality.js";
import { weightOf, type LocalityGroup } from "./shares.js";

/** Endpoints of a zone that are used as long as so many of them are live, percent (Kuma's default). */
const DEFAULT_THRESHOLD = 50;
/** Weight of endpoints of the client's zone that share no label with it (Kuma's). */
const UNLIKE_WEIGHT = 1;

interface Client {
  readonly locality: Locality;
  readonly labels: Readonly<Record<string, string>>;
}

interface ZoneGroup extends LocalityGroup {
  readonly priority: number;
  readonly weight: number;
}

/** How many times its live endpoints a zone stands for before the next is used, percent. */
export function overprovisioningOf({ crossZone }: MeshLocalityAwareness): number {
  const threshold = percentOf(crossZone?.failoverThreshold?.percentage ?? DEFAULT_THRESHOLD);
  return Math.max(100, Math.round(10_000 / threshold));
}

/**
 * Endpoints as Kuma orders them: those of the client's zone first, shared out by the labels that they have in common with
 * the client; then other zones as the rules for the client's zone name them. Zones that none names get nothing.
 */
export function inZoneOrder(
  endpoints: readonly MeshEndpoint[],
  client: Client,
  { localZone, crossZone }: MeshLocalityAwareness,
): ZoneGroup[] {
  const { zone } = client.locality;
  const rules = (crossZone?.failover ?? []).filter(({ from }) => from?.zones.includes(zone) !== false);
  const groups = new Map<
    string,
    { locality: Locality; rank: number; endpoints: MeshEndpoint[]; weight?: number }
  >();
  for (const endpoint of endpoints) {
    const place = endpoint.locality ?? { region: "", zone: "", subzone: "" };
    const isNear = place.zone === zone;
    const rank = isNear ? 0 : rankOf(rules, place.zone);
    if (rank === undefined) continue;
    const near = isNear ? affinityOf(endpoint, client, localZone?.affinityTags ?? []) : undefined;
    const locality =
      near === undefined ? place : { ...place, region: client.locality.region, subzone: near.name };
    const key = `${rank}|${locality.region}/${locality.zone}/${locality.subzone}`;
    const known = groups.get(key);
    if (known !== undefined) known.endpoints.push(endpoint);
    else groups.set(key, { locality, rank, endpoints: [endpoint], ...(near && { weight: near.weight }) });
  }
  const ranks = [...new Set([...groups.values()].map(({ rank }) => rank))].sort((a, b) => a - b);
  return [...groups]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { rank, weight, ...group }]) => ({
      ...group,
      priority: ranks.indexOf(rank),
      weight: weight ?? weightOf(group),
    }))
    .sort((a, b) => a.priority - b.priority);
}

/** The place of a zone among the rules: 1 = the first; undefined when none of them names it. */
function rankOf(rules: readonly MeshZoneFailover[], zone: string): number | undefined {
  const index = rules.findIndex(({ to: { type, zones = [] } }) => {
    if (type === "Any") return true;
    if (type === "Only") return zones.includes(zone);
    return type === "AnyExcept" && !zones.includes(zone);
  });
  return index === -1 ? undefined : index + 1;
}

/** The share of an endpoint of the client's zone; undefined where labels do not matter. */
function affinityOf(
  endpoint: MeshEndpoint,
  client: Client,
  tags: readonly { readonly key: string; readonly weight?: number }[],
): { readonly name: string; readonly weight: number } | undefined {
  if (tags.length === 0) return undefined;
  const own = withLocalityLabels(client.labels, client.locality);
  const theirs = withLocalityLabels(endpoint.labels, endpoint.locality);
  const index = tags.findIndex(
    ({ key }) => Object.hasOwn(own, key) && Object.hasOwn(theirs, key) && own[key] === theirs[key],
  );
  const found = tags[index];
  if (found === undefined) return { name: "", weight: UNLIKE_WEIGHT };
  // Without weights the first gets 90 % of the whole, the next 9 %, and so on.
  return {
    name: `${found.key}=${own[found.key]}`,
    weight: found.weight ?? 9 * 10 ** (tags.length - index - 1),
  };
}
