import type { Locality, LocalityLbSetting, ZoneAwareLbSetting } from "@tulle/api";
import type { MeshEndpoint } from "../mesh-service.js";
import { commonParts, withLocalityLabels } from "./locality.js";

/** Who calls: what priorities are seen from. */
export interface Viewpoint {
  readonly locality: Locality | undefined;
  readonly labels: Readonly<Record<string, string>>;
}

type Failover = Pick<LocalityLbSetting & ZoneAwareLbSetting, "failover" | "failoverPriority">;

/**
 * The rank of each endpoint as seen from a client: 0 for the nearest, without gaps. By the labels that
 * `failoverPriority` names, as far as they are the client's, or else by region, zone and subzone; of other regions the
 * one that `failover` names comes first (Istio's rules). `regionsOnly`: zones are weighed, not ranked.
 */
export function ranks(
  endpoints: readonly MeshEndpoint[],
  from: Viewpoint,
  { failover = [], failoverPriority = [] }: Failover,
  regionsOnly = false,
): number[] {
  const raw = endpoints.map((endpoint) => {
    const byLabels = labelRank(failoverPriority, from, endpoint);
    const byPlace =
      failoverPriority.length > 0 && failover.length === 0
        ? 0
        : placeRank(failover, from, endpoint, regionsOnly);
    return byLabels * PLACE_RANKS + byPlace;
  });
  const used = [...new Set(raw)].sort((left, right) => left - right);
  return raw.map((rank) => used.indexOf(rank));
}

/** Ranks that a place can have: 0 to 4. */
const PLACE_RANKS = 5;

function placeRank(
  failover: readonly { readonly from: string; readonly to: string }[],
  { locality }: Viewpoint,
  endpoint: MeshEndpoint,
  regionsOnly: boolean,
): number {
  if (locality === undefined) return 0;
  const common = commonParts(locality, endpoint.locality);
  if (common > 0) return regionsOnly ? 0 : 3 - common;
  const rule = failover.find(({ from }) => from === locality.region);
  return rule === undefined || rule.to === endpoint.locality?.region ? 3 : 4;
}

/** How many of the labels, from the last on, come after the first that is not the client's. */
function labelRank(labels: readonly string[], from: Viewpoint, endpoint: MeshEndpoint): number {
  if (labels.length === 0) return 0;
  const own = withLocalityLabels(from.labels, from.locality);
  const theirs = withLocalityLabels(endpoint.labels, endpoint.locality);
  const differs = labels.findIndex((label) => {
    const equals = label.indexOf("=");
    const key = equals < 0 ? label : label.slice(0, equals);
    const wanted = equals < 0 ? (Object.hasOwn(own, key) ? own[key] : undefined) : label.slice(equals + 1);
    const found = Object.hasOwn(theirs, key) ? theirs[key] : undefined;
    return wanted !== found;
  });
  return differs < 0 ? 0 : labels.length - differs;
}
