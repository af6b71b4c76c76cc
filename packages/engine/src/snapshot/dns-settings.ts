import type { Cluster } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import {
  Cluster_DiscoveryType as DiscoveryType,
  Cluster_DnsLookupFamily as Family,
} from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { formatAddress } from "@tulle/base";
import { compileAssignment, type AssignedEndpoint, type Assignment } from "./assignment.js";
import { durationMs } from "./duration.js";
import { at, invalid } from "./invalid.js";

/** Which addresses of a name are wanted. `v6-preferred`: those of IPv4 where it has none of IPv6. */
export type AddressFamily = "v4" | "v6" | "v4-preferred" | "v6-preferred" | "all";

/** How the names of a cluster's endpoints are looked up. Times in milliseconds. */
export interface DnsSettings {
  /** Without repetition; addresses are none. */
  readonly names: readonly string[];
  readonly family: AddressFamily;
  /** Of each name one address is used at a time (LOGICAL_DNS), not all of them. */
  readonly oneAddress: boolean;
  readonly refreshMs: number;
  /** Where the records say for how long they are good, that counts. */
  readonly respectTtl: boolean;
  /** After a failure it is tried again so soon at first, and so late at most. */
  readonly failureMs: number;
  readonly maxFailureMs: number;
}

/** A cluster of names: how they are looked up, and its endpoints with names for addresses. */
export interface NamedEndpoints {
  readonly dns: DnsSettings;
  readonly assignment: Assignment;
}

/** Envoy's default. */
const REFRESH_MS = 5000;
const MAX_FAILURE_FACTOR = 10;
/** Nobody is asked more often than this, whatever the records or the configuration say. */
const MIN_REFRESH_MS = 1000;

/** Compiles a STRICT_DNS or LOGICAL_DNS cluster. Its endpoints are as they were written when none of them has a name. */
export function compileNamed(
  cluster: Cluster,
  type: DiscoveryType.STRICT_DNS | DiscoveryType.LOGICAL_DNS,
): NamedEndpoints | { readonly fixed: Assignment } {
  if (cluster.loadAssignment === undefined)
    throw invalid("load_assignment", `must be set for type ${DiscoveryType[type]}`);
  const assignment = compileAssignment("load_assignment", cluster.loadAssignment);
  const names = [...new Set(assignment.endpoints.map(({ host }) => host).filter(isName))];
  if (names.length === 0) return { fixed: assignment };
  const refreshMs = Math.max(
    MIN_REFRESH_MS,
    durationMs("dns_refresh_rate", cluster.dnsRefreshRate) ?? REFRESH_MS,
  );
  const failure = cluster.dnsFailureRefreshRate;
  const field = "dns_failure_refresh_rate";
  const failureMs = Math.max(
    MIN_REFRESH_MS,
    durationMs(at(field, "base_interval"), failure?.baseInterval) ?? refreshMs,
  );
  const longest = durationMs(at(field, "max_interval"), failure?.maxInterval);
  return {
    dns: {
      names,
      family: familyOf(cluster.dnsLookupFamily),
      oneAddress: type === DiscoveryType.LOGICAL_DNS,
      refreshMs,
      respectTtl: cluster.respectDnsTtl,
      failureMs,
      maxFailureMs: Math.max(failureMs, longest ?? failureMs * MAX_FAILURE_FACTOR),
    },
    assignment,
  };
}

function familyOf(family: Family): AddressFamily {
  switch (family) {
    case Family.V4_ONLY:
      return "v4";
    case Family.V6_ONLY:
      return "v6";
    case Family.V4_PREFERRED:
      return "v4-preferred";
    case Family.ALL:
      return "all";
    default:
      return "v6-preferred";
  }
}

/** An assignment with addresses for names: of each endpoint one for each address of its name, which is its host name. */
export function withAddresses(
  assignment: Assignment,
  addresses: ReadonlyMap<string, readonly string[]>,
): Assignment {
  const seen = new Set<string>();
  const endpoints: AssignedEndpoint[] = [];
  for (const endpoint of assignment.endpoints) {
    for (const host of isName(endpoint.host) ? (addresses.get(endpoint.host) ?? []) : [endpoint.host]) {
      const key = formatAddress(host, endpoint.port);
      if (seen.has(key)) continue;
      seen.add(key);
      endpoints.push({ ...endpoint, key, host });
    }
  }
  return { ...assignment, endpoints };
}

/** Whether a host is a name and no address. */
function isName(host: string): boolean {
  return !/^[\d.]+$|:/.test(host);
}
