import {
  parseFilter,
  type ConsulHashPolicy,
  type ConsulLoadBalancer,
  type ConsulSubset,
  type ConsulUpstream,
  type ConsistentHash,
  type DestinationRuleSpec,
  type MeshObject,
  type OutlierDetection,
  type TrafficPolicy,
} from "@tulle/api";
import type { BalancerSettings, HashKey, MergedRule, RuleSubset } from "../destination-rules.js";
import type { ServiceId } from "../hosts.js";
import type { MeshEndpoint, MeshService } from "../mesh-service.js";
import type { Translation } from "../translation.js";
import { some } from "./written-duration.js";
import { defaultsOf, resolverOf, serviceOfHost, type ResolverEntry } from "./entries.js";

/**
 * What Consul's entries say of calls to a service, in the words of a DestinationRule: its resolver of subsets and
 * balancing, and the `service-defaults` of the caller of its limits. Undefined when neither says anything.
 */
export function consulRule(t: Translation, service: Pick<MeshService, "host">): MergedRule | undefined {
  const id = serviceOfHost(t, service.host);
  if (id === undefined) return undefined;
  const resolver = resolverOf(t, id);
  const called = upstreamOf(t, id);
  const objects = [
    ...(resolver === undefined ? [] : [resolver]),
    ...(called === undefined ? [] : [called.object]),
  ];
  if (objects.length === 0) return undefined;
  for (const object of objects) t.own(object);
  const { subsets: written = {}, prioritizeByLocality } = resolver?.spec ?? {};
  const trafficPolicy = policyOf(resolver, called?.upstream ?? {});
  const subsets = Object.entries(written).map(([name, subset]) => subsetOf(name, subset));
  const spec: DestinationRuleSpec = { host: service.host, subsets, trafficPolicy };
  return {
    objects: objects.map((object) => ({ ...object, spec })),
    trafficPolicy: Object.keys(trafficPolicy).length === 0 ? undefined : trafficPolicy,
    subsets: new Map(subsets.map((subset) => [subset.name, subset])),
    ...(prioritizeByLocality?.mode === "failover" && { nearestFirst: true }),
  };
}

function subsetOf(name: string, { filter = "", onlyPassing = false }: ConsulSubset): RuleSubset {
  const holds = parseFilter(filter);
  return {
    name,
    admits: (endpoint) => (!onlyPassing || endpoint.warning !== true) && holds(subjectOf(endpoint)),
  };
}

function subjectOf({ service, address, port, tags = [], labels }: MeshEndpoint) {
  return { service, address, port, tags, meta: labels };
}

function policyOf(resolver: ResolverEntry | undefined, upstream: ConsulUpstream): TrafficPolicy {
  const { connectTimeoutMs, limits, passiveHealthCheck } = upstream;
  const connectTimeout =
    (connectTimeoutMs ?? 0) > 0 ? `${connectTimeoutMs}ms` : some(resolver?.spec.connectTimeout);
  const tcp = {
    ...(connectTimeout !== undefined && { connectTimeout }),
    ...(limits?.maxConnections !== undefined && { maxConnections: limits.maxConnections }),
  };
  const http = {
    ...(limits?.maxPendingRequests !== undefined && { http1MaxPendingRequests: limits.maxPendingRequests }),
    ...(limits?.maxConcurrentRequests !== undefined && { http2MaxRequests: limits.maxConcurrentRequests }),
  };
  const connectionPool = {
    ...(Object.keys(tcp).length > 0 && { tcp }),
    ...(Object.keys(http).length > 0 && { http }),
  };
  const loadBalancer = balancerOf(resolver);
  return {
    ...(Object.keys(connectionPool).length > 0 && { connectionPool }),
    ...(loadBalancer !== undefined && { loadBalancer }),
    ...(passiveHealthCheck !== undefined && { outlierDetection: outliersOf(passiveHealthCheck) }),
  };
}

function balancerOf(resolver: ResolverEntry | undefined): BalancerSettings | undefined {
  const { loadBalancer, prioritizeByLocality } = resolver?.spec ?? {};
  const { mode } = prioritizeByLocality ?? {};
  if (loadBalancer === undefined && mode === undefined) return undefined;
  return {
    ...(loadBalancer !== undefined && algorithmOf(loadBalancer)),
    ...(mode !== undefined && { localityLbSetting: { enabled: mode === "failover" } }),
  };
}

function algorithmOf(settings: ConsulLoadBalancer): BalancerSettings {
  const { hashPolicies = [], leastRequestConfig, ringHashConfig } = settings;
  switch (settings.policy ?? "") {
    case "random":
      return { simple: "RANDOM" };
    case "round_robin":
      return { simple: "ROUND_ROBIN" };
    case "least_request":
      return {
        simple: "LEAST_REQUEST",
        ...(leastRequestConfig !== undefined && { leastRequest: leastRequestConfig }),
      };
    case "maglev":
      return { consistentHash: { maglev: {} }, hashes: hashPolicies.map(hashKeyOf) };
    case "ring_hash": {
      const { minimumRingSize, maximumRingSize: maximumSize } = ringHashConfig ?? {};
      return {
        consistentHash: { ringHash: minimumRingSize === undefined ? {} : { minimumRingSize } },
        hashes: hashPolicies.map(hashKeyOf),
        ...(maximumSize !== undefined && { ring: { maximumSize } }),
      };
    }
    default:
      return {};
  }
}

function hashKeyOf(policy: ConsulHashPolicy): HashKey {
  return { hash: hashOf(policy), terminal: policy.terminal === true };
}

function hashOf({ field, fieldValue = "", cookieConfig, sourceIP }: ConsulHashPolicy): ConsistentHash {
  if (sourceIP === true) return { useSourceIp: true };
  if (field === "header") return { httpHeaderName: fieldValue };
  if (field === "query_parameter") return { httpQueryParameterName: fieldValue };
  const { session, ttl, path } = cookieConfig ?? {};
  const lifetime = session === true ? "0s" : ttl;
  return {
    httpCookie: {
      name: fieldValue,
      ...(lifetime !== undefined && { ttl: lifetime }),
      ...(path !== undefined && { path }),
    },
  };
}

function outliersOf(check: NonNullable<ConsulUpstream["passiveHealthCheck"]>): OutlierDetection {
  const { maxFailures = 0, maxEjectionPercent, enforcingConsecutive5xx } = check;
  const [interval, baseEjectionTime] = [some(check.interval), some(check.baseEjectionTime)];
  const failures = enforcingConsecutive5xx === 0 ? 0 : maxFailures > 0 ? maxFailures : undefined;
  return {
    ...(failures !== undefined && { consecutive5xxErrors: failures }),
    ...(interval !== undefined && { interval }),
    ...(baseEjectionTime !== undefined && { baseEjectionTime }),
    ...(maxEjectionPercent !== undefined && { maxEjectionPercent }),
  };
}

interface Upstream {
  readonly upstream: ConsulUpstream;
  readonly object: MeshObject;
}

/** How the client calls a service, by the `service-defaults` of the first service that it is an instance of. */
function upstreamOf(t: Translation, called: ServiceId): Upstream | undefined {
  for (const { service, namespace } of t.view.inbound) {
    const object = defaultsOf(t, { name: service, namespace });
    const config = object?.spec.upstreamConfig;
    if (object === undefined || config === undefined) continue;
    const own = config.overrides?.find(
      ({ name, namespace: of = namespace }) => name.toLowerCase() === called.name && of === called.namespace,
    );
    return { object, upstream: { ...config.defaults, ...own } };
  }
  return undefined;
}
