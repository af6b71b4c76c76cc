import type { Locality, LocalityLbSetting, MeshLocalityAwareness, ZoneAwareLbSetting } from "@tulle/api";
import type { EffectivePolicy } from "../destination-rules.js";
import type { MeshEndpoint } from "../mesh-service.js";
import type { Translation } from "../translation.js";
import { localityOfLabels } from "./locality.js";
import { ranks } from "./priorities.js";
import {
  distributedWeights,
  distributionFor,
  weightOf,
  zoneAwareWeights,
  type LocalityGroup,
} from "./shares.js";
import { inZoneOrder } from "./zone-order.js";

/** Envoy's default: with few endpoints a zone has too few of them for its share to mean anything. */
const MIN_CLUSTER_SIZE = 6;

/** What a client makes of where endpoints are. */
export type LocalityPlan =
  /** They are all alike. */
  | { readonly kind: "even" }
  /** By fixed shares; endpoints elsewhere get nothing. */
  | { readonly kind: "distribute"; readonly to: Readonly<Record<string, number>> }
  /** The nearest first, the next ones when those fail. */
  | { readonly kind: "failover"; readonly setting: LocalityLbSetting }
  /** In the client's zone as far as there is room, and in other regions only when those of its own fail. */
  | { readonly kind: "zone-aware"; readonly setting: ZoneAwareLbSetting }
  /** The client's zone first, then those that are named, and no other. */
  | { readonly kind: "zones"; readonly setting: MeshLocalityAwareness; readonly from: Locality };

/** Where the client is. */
export function clientLocality({ view }: Translation): Locality | undefined {
  return localityOfLabels(view.labels);
}

/**
 * How a policy treats localities for this client. As with Istio, failover is the default, and works only with
 * outlierDetection: without it a proxy would not notice that the nearest endpoints fail.
 */
export function localityPlan(
  t: Translation,
  { loadBalancer, outlierDetection, nearestFirst }: EffectivePolicy,
): LocalityPlan {
  const { localityLbSetting: setting, zoneAwareLbSetting: zoneAware } = loadBalancer ?? {};
  const from = clientLocality(t);
  const zones = loadBalancer?.zones;
  if (zones !== undefined)
    return from === undefined ? { kind: "even" } : { kind: "zones", setting: zones, from };
  if (zoneAware !== undefined && zoneAware.enabled !== false) {
    return from === undefined ? { kind: "even" } : { kind: "zone-aware", setting: zoneAware };
  }
  if (setting?.enabled === false || zoneAware?.enabled === false) return { kind: "even" };
  const to = distributionFor(setting, from);
  if (to !== undefined) return { kind: "distribute", to };
  if (outlierDetection === undefined && nearestFirst !== true) return { kind: "even" };
  if (from === undefined && setting?.failoverPriority === undefined) return { kind: "even" };
  return { kind: "failover", setting: setting ?? {} };
}

/** Warns of settings that cannot do what they look like. */
export function warnOfLocality(
  t: Translation,
  where: string,
  { loadBalancer, outlierDetection }: EffectivePolicy,
): void {
  if (loadBalancer?.zones !== undefined && clientLocality(t) === undefined) {
    t.warn(`${where}: localityAwareness has no effect on workloads that do not say in which zone they are`);
  }
  const setting = loadBalancer?.localityLbSetting ?? loadBalancer?.zoneAwareLbSetting;
  if (setting === undefined || setting.enabled === false || outlierDetection !== undefined) return;
  if (setting.failover === undefined && setting.failoverPriority === undefined) return;
  t.warn(`${where}: failover between localities has no effect without outlierDetection`);
}

/** Whether a plan gives localities weights that proxies must go by. */
export function weighsLocalities(plan: LocalityPlan): boolean {
  if (plan.kind === "zones") return (plan.setting.localZone?.affinityTags ?? []).length > 0;
  return plan.kind === "distribute" || plan.kind === "zone-aware";
}

/** Endpoints of one locality and priority, with the weight that they have together. */
export interface PlacedGroup extends LocalityGroup {
  readonly priority: number;
  readonly weight: number;
}

/** Groups endpoints by locality and, as the plan has it, by priority and weight. Keeps their order. */
export function place(t: Translation, plan: LocalityPlan, endpoints: readonly MeshEndpoint[]): PlacedGroup[] {
  const from = { locality: clientLocality(t), labels: t.view.labels };
  switch (plan.kind) {
    case "even":
      return grouped(endpoints, () => 0);
    case "distribute": {
      const groups = grouped(endpoints, () => 0);
      const weights = distributedWeights(groups, plan.to);
      return groups
        .map((group, index) => ({ ...group, weight: weights[index]! }))
        .filter(({ weight }) => weight > 0);
    }
    case "failover": {
      const priorities = ranks(endpoints, from, plan.setting);
      return grouped(endpoints, (index) => priorities[index]!);
    }
    case "zones":
      return inZoneOrder(endpoints, { locality: plan.from, labels: t.view.labels }, plan.setting);
    case "zone-aware": {
      const priorities = ranks(endpoints, from, plan.setting, true);
      return weighedByZone(
        t,
        plan.setting,
        grouped(endpoints, (index) => priorities[index]!),
      );
    }
  }
}

/** Weighs the zones of the client's own region, which are those of the first priority. */
function weighedByZone(
  t: Translation,
  { minClusterSize = MIN_CLUSTER_SIZE }: ZoneAwareLbSetting,
  groups: readonly PlacedGroup[],
): PlacedGroup[] {
  const near = groups.filter(({ priority }) => priority === 0);
  const from = clientLocality(t);
  const callers = callerLocalities(t);
  const size = near.reduce((sum, { endpoints }) => sum + endpoints.length, 0);
  if (from === undefined || callers.length === 0 || size < minClusterSize) return [...groups];
  const weights = zoneAwareWeights(near, from, callers);
  if (weights.every((weight) => weight > 0))
    return groups.map((group, index) =>
      index < near.length ? { ...group, weight: weights[index]! } : group,
    );
  // Zones that get nothing as long as all is well come next.
  return [
    ...near.map((group, index) => ({ ...group, weight: weights[index]! })).filter(({ weight }) => weight > 0),
    ...near.filter((_, index) => weights[index] === 0).map((group) => ({ ...group, priority: 1 })),
    ...groups.slice(near.length).map((group) => ({ ...group, priority: group.priority + 1 })),
  ];
}

/** Where the instances of the client's service are: what part of all calls comes from the client's zone. */
function callerLocalities(t: Translation): (Locality | undefined)[] {
  const [own] = t.view.inbound;
  const service = own && t.service({ namespace: own.namespace, name: own.service });
  if (service === undefined) return [];
  return t.instances(service).map(({ locality, labels }) => locality ?? localityOfLabels(labels));
}

function grouped(endpoints: readonly MeshEndpoint[], priorityOf: (index: number) => number): PlacedGroup[] {
  const groups = new Map<
    string,
    { priority: number; locality: Locality | undefined; endpoints: MeshEndpoint[] }
  >();
  endpoints.forEach((endpoint, index) => {
    const { locality } = endpoint;
    const priority = priorityOf(index);
    const place = locality === undefined ? "" : `${locality.region}/${locality.zone}/${locality.subzone}`;
    const key = `${String(priority).padStart(3, "0")}|${place}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { priority, locality, endpoints: [endpoint] });
    else group.endpoints.push(endpoint);
  });
  return [...groups]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, group]) => ({ ...group, weight: weightOf(group) }));
}
