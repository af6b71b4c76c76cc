import { percentOf, type ConsistentHash, type MeshHashPolicy, type MeshLoadBalancing } from "@tulle/api";
import type { BalancerSettings, HashKey } from "../destination-rules.js";

/** How calls find their endpoint by MeshLoadBalancingStrategies; undefined where they say nothing. */
export function balancerOf(conf: MeshLoadBalancing): BalancerSettings | undefined {
  const { loadBalancer, localityAwareness, hashPolicies } = conf;
  if (loadBalancer === undefined && localityAwareness === undefined && hashPolicies === undefined)
    return undefined;
  const { ringHash, maglev, leastRequest } = loadBalancer ?? {};
  const hashes = keysOf(hashPolicies ?? ringHash?.hashPolicies ?? maglev?.hashPolicies ?? []);
  return {
    ...algorithmOf(loadBalancer),
    ...(hashes.length > 0 && { hashes }),
    ...(leastRequest !== undefined && {
      leastRequest: {
        ...(leastRequest.choiceCount !== undefined && { choiceCount: leastRequest.choiceCount }),
        ...(leastRequest.activeRequestBias !== undefined && {
          activeRequestBias: percentOf(leastRequest.activeRequestBias),
        }),
      },
    }),
    ...(ringHash !== undefined && {
      ring: {
        ...(ringHash.maxRingSize !== undefined && { maximumSize: ringHash.maxRingSize }),
        ...(ringHash.hashFunction === "MurmurHash2" && { murmur: true }),
      },
    }),
    ...(localityAwareness !== undefined &&
      (localityAwareness.disabled === true
        ? { localityLbSetting: { enabled: false } }
        : { zones: localityAwareness })),
  };
}

const SIMPLE = { RoundRobin: "ROUND_ROBIN", LeastRequest: "LEAST_REQUEST", Random: "RANDOM" } as const;

function algorithmOf(loadBalancer: MeshLoadBalancing["loadBalancer"]): BalancerSettings {
  if (loadBalancer === undefined) return {};
  const { type, ringHash, maglev } = loadBalancer;
  if (type === "RingHash") {
    const minimum = ringHash?.minRingSize;
    return { consistentHash: { ringHash: minimum === undefined ? {} : { minimumRingSize: minimum } } };
  }
  if (type === "Maglev") {
    const tableSize = maglev?.tableSize;
    return { consistentHash: { maglev: tableSize === undefined ? {} : { tableSize } } };
  }
  return { simple: SIMPLE[type] };
}

function keysOf(policies: readonly MeshHashPolicy[]): HashKey[] {
  return policies.flatMap((policy) => {
    const hash = hashOf(policy);
    return hash === undefined ? [] : [{ hash, terminal: policy.terminal === true }];
  });
}

function hashOf({
  type,
  header,
  cookie,
  connection,
  queryParameter,
}: MeshHashPolicy): ConsistentHash | undefined {
  switch (type) {
    case "Header":
      return header && { httpHeaderName: header.name };
    case "Cookie":
      return cookie && { httpCookie: cookie };
    case "QueryParameter":
      return queryParameter && { httpQueryParameterName: queryParameter.name };
    case "SourceIP":
    case "Connection":
      return connection?.sourceIP === false ? undefined : { useSourceIp: true };
    case "FilterState":
      return undefined;
  }
}
