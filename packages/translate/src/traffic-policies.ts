import type { MeshObject, TrafficPolicySpec } from "@tulle/api";
import type { EffectivePolicy } from "./destination-rules.js";
import { chainFailover } from "./consul/chain-routes.js";
import { serviceOfHost } from "./consul/entries.js";
import { EXACT_HOST, fullHost, hostMatch } from "./hosts.js";
import { TRAFFIC_POLICY } from "./kinds.js";
import type { MeshService } from "./mesh-service.js";
import type { ClusterName } from "./names.js";
import { resolveHost } from "./services.js";
import type { Translation } from "./translation.js";
import { byAge } from "./visibility.js";

/** What all TrafficPolicies together say of a service's port. */
export type TrafficPolicy = Omit<TrafficPolicySpec, "host" | "port" | "subset">;

type Setting = keyof TrafficPolicy;

const BALANCING: readonly Setting[] = [
  "loadBalancer",
  "loadReports",
  "hashBalanceFactor",
  "maxEndpoints",
  "overrideHostHeader",
  "connections",
  "waitForEndpoint",
];
const FAILOVER: readonly Setting[] = ["failover"];
const CALLING: readonly Setting[] = ["hedging", "retries", "admissionControl"];
const SERVING: readonly Setting[] = ["adaptiveConcurrency", "pathNormalization"];

type Service = Pick<MeshService, "host" | "namespace">;

/** What holds for calls to an authority (full host), whatever the subset. */
export function callingPolicy(t: Translation, host: string, port: number): TrafficPolicy {
  const { service } = resolveHost(t, host, t.view.namespace);
  // A host that exists by its routes alone is the client's own.
  return settingsOf(t, { host, namespace: service?.namespace ?? t.view.namespace }, "", port, CALLING);
}

/** What a service's own sidecar goes by. */
export function servingPolicy(t: Translation, host: string, port: number): TrafficPolicy {
  return settingsOf(t, { host, namespace: t.view.namespace }, "", port, SERVING);
}

/** What a gateway goes by for requests that name a host at one of its ports. It is caller and callee in one. */
export function edgePolicy(t: Translation, host: string, port: number): TrafficPolicy {
  return settingsOf(t, { host, namespace: t.view.namespace }, "", port, [...CALLING, ...SERVING]);
}

/** A service that takes over for another, as it is written in a namespace. */
export interface FailoverTarget {
  readonly host: string;
  readonly namespace: string;
  readonly subset: string;
}

/** The services that take over for a service, in their order: by a TrafficPolicy, else by a resolver of Consul's. */
export function failoverTargets(
  t: Translation,
  service: Service,
  subset: string,
  port: number,
): readonly FailoverTarget[] {
  const [holding] = holdingOf(t, service, subset, port, FAILOVER, t.view.namespace);
  if (holding !== undefined) {
    const { namespace } = holding.object.metadata;
    return (holding.object.spec.failover ?? []).map((host) => ({ host, namespace, subset: "" }));
  }
  const id = serviceOfHost(t, service.host);
  return (id === undefined ? [] : chainFailover(t, id, subset)).map(({ id: to, subset: of }) => ({
    host: fullHost(to, t.settings.domainSuffix),
    namespace: to.namespace,
    subset: of,
  }));
}

/** A policy of DestinationRules with what a TrafficPolicy says of balancing. The rules' own annotations come first. */
export function withOwnBalancing(
  t: Translation,
  policy: EffectivePolicy,
  service: Service,
  { subset, port }: Pick<ClusterName, "subset" | "port">,
): EffectivePolicy {
  const own = settingsOf(t, service, subset, port, BALANCING);
  if (Object.keys(own).length === 0) return policy;
  if (t.view.dialect === "grpc") {
    t.warn(
      `${service.host}: proxyless gRPC clients balance without ${Object.keys(own).join(", ")} of TrafficPolicies; these have no effect`,
    );
  }
  const { balancing } = policy;
  return {
    ...policy,
    balancing: {
      ...own,
      connections: own.connections ?? balancing?.connections,
      policy: balancing?.policy ?? own.loadBalancer,
      hashBalanceFactor: balancing?.hashBalanceFactor ?? own.hashBalanceFactor,
    },
  };
}

/** One setting that holds for a service's port, and the object that says it. */
export interface HoldingSetting {
  readonly setting: string;
  readonly object: MeshObject<TrafficPolicySpec>;
  readonly value: unknown;
}

/** Every setting that holds for calls to a port, by this client's word or by the service's own. */
export function holdingSettings(t: Translation, service: Service, port: number): readonly HoldingSetting[] {
  return [
    ...holdingOf(t, service, "", port, [...BALANCING, ...FAILOVER, ...CALLING], t.view.namespace),
    ...holdingOf(t, service, "", port, SERVING, service.namespace),
  ];
}

interface Ranked {
  readonly object: MeshObject<TrafficPolicySpec>;
  /** Higher is more specific. */
  readonly rank: number;
}

/**
 * Setting by setting, what the most specific policy says that names it: those of the client's namespace, then the
 * service's, then the root namespace; in each the best host, then the one that names subset and port. Of several that say
 * the same the oldest holds.
 */
function settingsOf(
  t: Translation,
  service: Service,
  subset: string,
  port: number,
  names: readonly Setting[],
): TrafficPolicy {
  const holding = holdingOf(t, service, subset, port, names, t.view.namespace);
  return Object.fromEntries(holding.map(({ setting, value }) => [setting, value]));
}

function holdingOf(
  t: Translation,
  service: Service,
  subset: string,
  port: number,
  names: readonly Setting[],
  clientNamespace: string,
): readonly HoldingSetting[] {
  const { settings } = t;
  const namespaces = [...new Set([clientNamespace, service.namespace, settings.rootNamespace])];
  const fitting = t
    .objects<TrafficPolicySpec>(TRAFFIC_POLICY)
    .flatMap((object) => {
      const rank = rankOf(object, service.host, subset, port, settings.domainSuffix);
      const place = namespaces.indexOf(object.metadata.namespace);
      return rank === 0 || place < 0 ? [] : [{ object, rank: rank - place * NAMESPACE_RANK }];
    })
    .sort((left, right) => right.rank - left.rank || byAge(left.object, right.object));
  return names.flatMap((setting) => {
    const object = firstThatSays(t, fitting, setting, service.host);
    return object === undefined ? [] : [{ setting, object, value: object.spec[setting] }];
  });
}

/** Above every rank within one namespace. */
const NAMESPACE_RANK = (EXACT_HOST + 1) * 4;

/** 0 = it is not about these calls. */
function rankOf(
  { spec, metadata }: MeshObject<TrafficPolicySpec>,
  host: string,
  subset: string,
  port: number,
  domain: string,
): number {
  if (spec.subset !== undefined && spec.subset !== subset) return 0;
  if (spec.port !== undefined && spec.port !== port) return 0;
  const pattern = spec.host.toLowerCase();
  const fit = pattern === host ? EXACT_HOST : hostMatch(pattern, metadata.namespace, host, domain);
  if (fit === 0) return 0;
  return fit * 4 + (spec.subset === undefined ? 0 : 2) + (spec.port === undefined ? 0 : 1);
}

function firstThatSays(
  t: Translation,
  fitting: readonly Ranked[],
  name: Setting,
  host: string,
): MeshObject<TrafficPolicySpec> | undefined {
  const saying = fitting.filter(({ object }) => object.spec[name] !== undefined);
  const [first, ...others] = saying;
  if (first === undefined) return undefined;
  t.own(first.object);
  const equals = others.filter(({ rank }) => rank === first.rank);
  if (equals.length > 0) {
    t.warn(
      `${equals.map(({ object }) => nameOf(object)).join(" and ")} and ${nameOf(first.object)} say ${name} of ${host}; ${nameOf(first.object)} is older and holds`,
    );
  }
  return first.object;
}

function nameOf({ metadata }: MeshObject): string {
  return `TrafficPolicy ${metadata.namespace}/${metadata.name}`;
}
