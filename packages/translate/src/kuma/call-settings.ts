import type { MeshObject } from "@tulle/api";
import type { EffectivePolicy, MergedRule } from "../destination-rules.js";
import { portNamed, type MeshService } from "../mesh-service.js";
import { nameOf } from "../provenance.js";
import type { KindRef, Translation } from "../translation.js";
import { balancerOf } from "./balancing.js";
import { confOf, type CallItem } from "./call-conf.js";
import { breakerSettings } from "./circuit-breaker.js";
import { MESH_CIRCUIT_BREAKER, MESH_LOAD_BALANCING_STRATEGY, MESH_TIMEOUT } from "./kinds.js";
import { merged } from "./merge.js";
import { holdingItems } from "./policies.js";
import { connectionTimes } from "./timeouts.js";

type Service = Pick<MeshService, "host" | "namespace" | "ports" | "portless">;
type Settings = Pick<EffectivePolicy, "loadBalancer" | "connectionPool" | "outlierDetection" | "balancing">;

/** A kind of policies, and what it says of calls in the words of a DestinationRule. */
interface SettingKind {
  readonly kind: KindRef;
  /** `conf`: `default` of all that hold, as one; the kind's check has accepted each. */
  readonly settingsOf: (conf: object) => Settings;
}

const KINDS: readonly SettingKind[] = [
  {
    kind: MESH_LOAD_BALANCING_STRATEGY,
    settingsOf: (conf) => {
      const loadBalancer = balancerOf(conf);
      return loadBalancer === undefined ? {} : { loadBalancer };
    },
  },
  { kind: MESH_TIMEOUT, settingsOf: connectionTimes },
  { kind: MESH_CIRCUIT_BREAKER, settingsOf: breakerSettings },
];

/**
 * A rule with what Kuma's policies say of calls to its service. What the rule says itself holds instead, setting by
 * setting; the policies' statuses say so.
 */
export function withKumaSettings(
  t: Translation,
  service: Service,
  rule: MergedRule | undefined,
): MergedRule | undefined {
  const objects = new Set<MeshObject>();
  for (const { kind, settingsOf } of KINDS) {
    for (const port of service.ports) {
      const items = holdingItems<CallItem>(t, kind, { service, port });
      for (const { object } of items) {
        t.own(object);
        objects.add(object);
      }
      if (rule !== undefined) warnOfRuled(t, rule, settingsOf(confOf(items)), items);
    }
  }
  if (objects.size === 0) return rule;
  const own = [...objects].map((object) => ({ ...object, spec: { host: service.host } }));
  return {
    trafficPolicy: undefined,
    subsets: new Map(),
    ...rule,
    objects: [...(rule?.objects ?? []), ...own],
    portDefaults: (port) => settingsFor(t, service, port),
  };
}

function settingsFor(t: Translation, service: Service, number: number): Settings {
  const port = portNamed(service, number);
  const called = { service, ...(port !== undefined && { port }) };
  return merged(
    KINDS.map(({ kind, settingsOf }) => settingsOf(confOf(holdingItems<CallItem>(t, kind, called)))),
  );
}

function warnOfRuled(
  t: Translation,
  { objects: [owner], trafficPolicy = {} }: MergedRule,
  settings: Settings,
  items: readonly { readonly object: MeshObject }[],
): void {
  for (const setting of ["loadBalancer", "connectionPool", "outlierDetection"] as const) {
    if (settings[setting] === undefined || trafficPolicy[setting] === undefined || owner === undefined)
      continue;
    for (const { object } of items) {
      t.warn(
        `${nameOf(object)}: ${nameOf(owner)} has trafficPolicy.${setting} for the same host, which holds instead`,
      );
    }
  }
}
