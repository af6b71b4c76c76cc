import type { JsonObject } from "@bufbuild/protobuf";
import { formatAddress } from "@tulle/base";
import type { Address } from "@tulle/xds/gen/envoy/config/core/v3/address_pb.js";
import type { Locality } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import { HealthStatus } from "@tulle/xds/gen/envoy/config/core/v3/health_check_pb.js";
import type { ClusterLoadAssignment } from "@tulle/xds/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import type { LbEndpoint } from "@tulle/xds/gen/envoy/config/endpoint/v3/endpoint_components_pb.js";
import type { EndpointHealth } from "../pick/health.js";
import type { WorkloadLabels } from "./contract.js";
import { at, invalid } from "./invalid.js";
import { filterMetadata, LB_METADATA, workloadOf } from "./metadata.js";

/** An endpoint as its assignment describes it, before a cluster says how to reach it. */
export interface AssignedEndpoint {
  readonly key: string;
  readonly host: string;
  readonly port: number;
  /** What it is called by, where the configuration says so or its address is a name; "" otherwise. */
  readonly hostname: string;
  readonly weight: number;
  readonly health: EndpointHealth;
  readonly priority: number;
  /** Position of its locality group in the assignment. */
  readonly locality: number;
  /** `filter_metadata["envoy.transport_socket_match"]` */
  readonly transportMatch: JsonObject | undefined;
  /** `filter_metadata["envoy.lb"]` */
  readonly labels: JsonObject | undefined;
  readonly workload: WorkloadLabels | undefined;
}

/** A compiled ClusterLoadAssignment. */
export interface Assignment {
  readonly endpoints: readonly AssignedEndpoint[];
  /** Weight of each locality group; used by locality-weighted balancing only. */
  readonly localityWeights: readonly number[];
  /** `region/zone/sub-zone` of each locality group, as far as they are set. */
  readonly localityNames: readonly string[];
  /** How much more than its part a priority or locality is taken to stand: 1.4 = 140 %. */
  readonly overprovisioning: number;
}

/** Of a cluster whose endpoints are not known, or do not exist. */
export const NO_ENDPOINTS: Assignment = {
  endpoints: [],
  localityWeights: [],
  localityNames: [],
  overprovisioning: 1.4,
};

const TRANSPORT_MATCH = "envoy.transport_socket_match";
/** Envoy's default of `policy.overprovisioning_factor`, percent. */
const OVERPROVISIONING = 140;
/** As many bytes as an address of the family has room for, with its end. */
const MAX_SOCKET_PATH = 107;
/** Priorities above are refused, as in Envoy. */
const MAX_PRIORITY = 128;

/**
 * Compiles a ClusterLoadAssignment. An address that occurs twice counts once, its first occurrence. Drop policies
 * are not evaluated. `takesSockets`: endpoints may be Unix sockets of this machine (Envoy's `pipe`).
 */
export function compileAssignment(
  field: string,
  message: ClusterLoadAssignment,
  takesSockets = false,
): Assignment {
  const endpoints: AssignedEndpoint[] = [];
  const seen = new Set<string>();
  message.endpoints.forEach((group, locality) => {
    const here = at(field, `endpoints[${locality}]`);
    if (group.lbConfig.case === "ledsClusterLocalityConfig") {
      throw invalid(at(here, "leds_cluster_locality_config"), "is not supported: send lb_endpoints");
    }
    if (group.priority > MAX_PRIORITY) throw invalid(at(here, "priority"), `must be at most ${MAX_PRIORITY}`);
    const members =
      group.lbConfig.case === "loadBalancerEndpoints" ? group.lbConfig.value.lbEndpoints : group.lbEndpoints;
    members.forEach((member, index) => {
      const endpoint = compileEndpoint(
        at(here, `lb_endpoints[${index}]`),
        member,
        group.priority,
        locality,
        takesSockets,
      );
      if (seen.has(endpoint.key)) return;
      seen.add(endpoint.key);
      endpoints.push(endpoint);
    });
  });
  const factor = message.policy?.overprovisioningFactor ?? OVERPROVISIONING;
  if (factor < 1) throw invalid(at(field, "policy.overprovisioning_factor"), "must be at least 1");
  return {
    endpoints,
    localityWeights: message.endpoints.map((group) => group.loadBalancingWeight ?? 0),
    localityNames: message.endpoints.map(({ locality }) => nameOf(locality)),
    overprovisioning: factor / 100,
  };
}

function nameOf(locality: Locality | undefined): string {
  if (locality === undefined) return "";
  return [locality.region, locality.zone, locality.subZone].join("/").replace(/\/+$/, "");
}

function compileEndpoint(
  field: string,
  member: LbEndpoint,
  priority: number,
  locality: number,
  takesSockets: boolean,
): AssignedEndpoint {
  if (member.hostIdentifier.case !== "endpoint") throw invalid(at(field, "endpoint"), "must be set");
  const here = at(field, "endpoint.address");
  const address = member.hostIdentifier.value.address?.address;
  const { key, host, port } = placeOf(here, address, takesSockets);
  const weight = member.loadBalancingWeight ?? 1;
  if (weight < 1) throw invalid(at(field, "load_balancing_weight"), "must be at least 1");
  const { hostname } = member.hostIdentifier.value;
  if (/[\0-\x20\x7f/]/.test(hostname))
    throw invalid(at(field, "endpoint.hostname"), `${JSON.stringify(hostname)} is no host`);
  return {
    key,
    host,
    port,
    hostname: hostname === "" && port !== 0 && !/^[\d.]+$|:/.test(host) ? host : hostname,
    weight,
    health: healthOf(member.healthStatus),
    priority,
    locality,
    transportMatch: filterMetadata(member.metadata, TRANSPORT_MATCH),
    labels: filterMetadata(member.metadata, LB_METADATA),
    workload: workloadOf(member.metadata),
  };
}

/** Of a Unix socket the path is host and key, and the port is 0. */
function placeOf(
  field: string,
  address: Address["address"] | undefined,
  takesSockets: boolean,
): Pick<AssignedEndpoint, "key" | "host" | "port"> {
  if (takesSockets && address?.case === "pipe") {
    const { path } = address.value;
    if (!/^[/@][^\0]+$/.test(path) || path.length > MAX_SOCKET_PATH)
      throw invalid(at(field, "pipe.path"), `must be an absolute path of ${MAX_SOCKET_PATH} bytes at most`);
    return { key: path, host: path, port: 0 };
  }
  if (address?.case !== "socketAddress") throw invalid(field, "must be a socket_address");
  const { address: host, portSpecifier } = address.value;
  if (host === "" || /[\0-\x20\x7f/@]/.test(host))
    throw invalid(at(field, "socket_address.address"), `${JSON.stringify(host)} is not an address`);
  const port = portSpecifier.case === "portValue" ? portSpecifier.value : 0;
  if (port < 1 || port > 65_535)
    throw invalid(at(field, "socket_address.port_value"), "must be between 1 and 65535");
  return { key: formatAddress(host, port), host, port };
}

/** What EDS says of an endpoint, in our words. */
export function healthOf(status: HealthStatus): AssignedEndpoint["health"] {
  switch (status) {
    case HealthStatus.UNKNOWN:
    case HealthStatus.HEALTHY:
      return "healthy";
    case HealthStatus.DEGRADED:
      return "degraded";
    case HealthStatus.DRAINING:
      return "draining";
    default:
      return "unhealthy";
  }
}
