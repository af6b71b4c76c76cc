import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type {
  Cluster,
  Cluster_CustomClusterType,
} from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { Cluster_DiscoveryType as DiscoveryType } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { RoutingPriority } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import { ClusterConfigSchema as AggregateSchema } from "@tulle/xds/gen/envoy/extensions/clusters/aggregate/v3/cluster_pb.js";
import {
  HttpProtocolOptionsSchema,
  type HttpProtocolOptions,
} from "@tulle/xds/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import { HealthStatus } from "@tulle/xds/gen/envoy/config/core/v3/health_check_pb.js";
import type { EndpointHealth } from "../pick/health.js";
import type { EndpointWait, Provenance } from "./contract.js";
import { compilePolicy } from "../pick/compile-policy.js";
import type { CompiledPolicy } from "../pick/compile-policy.js";
import { compileSubsets, type SubsetSettings } from "../pick/subset-settings.js";
import { holds, unpack } from "./any.js";
import { compileAssignment, healthOf, NO_ENDPOINTS } from "./assignment.js";
import type { Assignment } from "./assignment.js";
import { compileBreakers, compileHighBreakers, type Breakers } from "./circuit-breakers.js";
import { compileNamed, type NamedEndpoints } from "./dns-settings.js";
import { durationMs } from "./duration.js";
import { at, invalid } from "./invalid.js";
import { filterMetadata, provenanceOf } from "./metadata.js";
import { compileConnections } from "./connection-settings.js";
import type { ConnectionSettings } from "./connection-settings.js";
import { compileHealthCheck } from "./health-check-settings.js";
import type { HealthCheckSettings } from "./health-check-settings.js";
import { compileOutlier } from "./outlier-settings.js";
import type { OutlierSettings } from "./outlier-settings.js";
import { compileTransport } from "./upstream-tls.js";
import type { TransportChoice } from "./upstream-tls.js";

/** A compiled Cluster, without its endpoints. */
export interface ClusterSettings extends Breakers {
  readonly name: string;
  readonly serviceHost: string;
  readonly servicePort: number;
  readonly subset: string;
  readonly connectTimeoutMs: number;
  /** Of priority HIGH; undefined when nothing is said of it: then it has those of DEFAULT. */
  readonly high: Breakers | undefined;
  readonly maxRequestsPerConnection: number;
  readonly connection: ConnectionSettings;
  readonly outlier: OutlierSettings | undefined;
  readonly healthCheck: HealthCheckSettings | undefined;
  readonly endpointWait: EndpointWait | undefined;
  /** Endpoints in plaintext speak HTTP/2 by prior knowledge (`explicit_http_config.http2_protocol_options`). */
  readonly http2: boolean;
  /** Endpoints in plaintext speak what their client does (`use_downstream_protocol_config`). */
  readonly httpAsClient: boolean;
  readonly originalDestination: boolean;
  /** `connection_pool_per_downstream_connection` */
  readonly perClient: boolean;
  readonly provenance: Provenance;
  readonly balancing: CompiledPolicy;
  /** Undefined: requests do not choose endpoints by labels. */
  readonly subsets: SubsetSettings | undefined;
  /** Share of usable endpoints, percent, below which all are used; 0 = never. */
  readonly panicPercent: number;
  /** Then requests fail rather than go to endpoints that are not healthy. */
  readonly failOnPanic: boolean;
  /** `override_host_status`: states in which endpoints take the sessions that are bound to them. */
  readonly sessionHealth: ReadonlySet<EndpointHealth>;
  readonly transport: TransportChoice;
  /** Name of the ClusterLoadAssignment to ask for, or the endpoints themselves, or the clusters that have them. */
  readonly endpoints:
    | { readonly eds: string }
    | { readonly fixed: Assignment }
    | NamedEndpoints
    | { readonly members: readonly string[] };
}

/** Envoy's defaults. */
const CONNECT_TIMEOUT_MS = 5000;

/**
 * Compiles a Cluster. The panic threshold is 0 unless set, as Istio has it (Envoy alone: 50 %). `resolvesNames`:
 * those of DNS clusters are looked up; otherwise their endpoints have names for addresses.
 */
export function compileCluster(cluster: Cluster, resolvesNames = false): ClusterSettings {
  const balancing = compilePolicy(cluster);
  const type = cluster.clusterDiscoveryType;
  const discovery = type.case === "type" ? type.value : DiscoveryType.STATIC;
  const httpOptions = httpProtocolOptions(cluster);
  return {
    name: cluster.name,
    ...serviceOf(cluster.name),
    connectTimeoutMs: durationMs("connect_timeout", cluster.connectTimeout) ?? CONNECT_TIMEOUT_MS,
    ...compileBreakers(cluster, RoutingPriority.DEFAULT),
    high: compileHighBreakers(cluster),
    maxRequestsPerConnection: requestsPerConnection(cluster, httpOptions),
    connection: compileConnections(cluster, httpOptions),
    outlier: compileOutlier(cluster),
    healthCheck: compileHealthCheck(cluster),
    endpointWait: compileEndpointWait(cluster),
    http2: isExplicitHttp2(cluster, httpOptions),
    httpAsClient: httpOptions?.upstreamProtocolOptions.case === "useDownstreamProtocolConfig",
    originalDestination: discovery === DiscoveryType.ORIGINAL_DST,
    perClient: cluster.connectionPoolPerDownstreamConnection,
    provenance: provenanceOf(cluster.metadata),
    balancing,
    subsets: subsetsOf(cluster, balancing),
    panicPercent: compilePanic(cluster),
    failOnPanic: failsOnPanic(cluster),
    sessionHealth: sessionHealth(cluster),
    transport: compileTransport(cluster),
    endpoints:
      type.case === "clusterType"
        ? { members: compileMembers("cluster_type", type.value) }
        : compileDiscovery(cluster, discovery, resolvesNames),
  };
}

const MAX_WAIT_MS = 3_600_000;
const MAX_WAITING = 1_000_000;

/** `endpointWait` of the metadata `tulle.dev`: `{timeoutMs, maxRequests}`. */
function compileEndpointWait({ metadata }: Cluster): EndpointWait | undefined {
  const said = filterMetadata(metadata, "tulle.dev")?.["endpointWait"];
  if (said === undefined) return undefined;
  const { timeoutMs, maxRequests } = isObject(said) ? said : {};
  if (!isBetween(timeoutMs, 1, MAX_WAIT_MS) || !isBetween(maxRequests, 1, MAX_WAITING))
    throw invalid(
      "metadata.tulle.dev.endpointWait",
      `must have timeoutMs, at most ${MAX_WAIT_MS}, and maxRequests, at most ${MAX_WAITING}`,
    );
  return { timeoutMs, maxRequests };
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isBetween(value: JsonValue | undefined, least: number, most: number): value is number {
  return typeof value === "number" && value >= least && value <= most;
}

/** Of the two ways to say it, as in Envoy the policy comes first: with one, `lb_subset_config` is not looked at. */
function subsetsOf(cluster: Cluster, balancing: CompiledPolicy): SubsetSettings | undefined {
  if (cluster.loadBalancingPolicy !== undefined) return balancing.subsets;
  const config = cluster.lbSubsetConfig;
  return config && compileSubsets("lb_subset_config", config);
}

function compileDiscovery(
  cluster: Cluster,
  discovery: DiscoveryType,
  resolvesNames: boolean,
): ClusterSettings["endpoints"] {
  switch (discovery) {
    case DiscoveryType.EDS: {
      const config = cluster.edsClusterConfig;
      if (config === undefined) throw invalid("eds_cluster_config", "must be set for type EDS");
      return { eds: config.serviceName === "" ? cluster.name : config.serviceName };
    }
    case DiscoveryType.STRICT_DNS:
    case DiscoveryType.LOGICAL_DNS: {
      const named = compileNamed(cluster, discovery);
      return resolvesNames || "fixed" in named ? named : { fixed: named.assignment };
    }
    case DiscoveryType.STATIC:
      if (cluster.loadAssignment === undefined)
        throw invalid("load_assignment", `must be set for type ${DiscoveryType[discovery]}`);
      return { fixed: compileAssignment("load_assignment", cluster.loadAssignment, true) };
    case DiscoveryType.ORIGINAL_DST:
      return { fixed: NO_ENDPOINTS };
    default:
      throw invalid("type", `${String(discovery)} is not a known discovery type`);
  }
}

/** More members are refused. */
const MAX_MEMBERS = 64;

/** The clusters of an aggregate cluster, in their order: the only type of its kind that is known. */
function compileMembers(field: string, { name, typedConfig }: Cluster_CustomClusterType): readonly string[] {
  if (typedConfig === undefined || !holds(typedConfig, AggregateSchema))
    throw invalid(field, `${JSON.stringify(name)} is not supported`);
  const here = at(field, "typed_config.clusters");
  const { clusters } = unpack(at(field, "typed_config"), typedConfig, AggregateSchema);
  if (clusters.length === 0 || clusters.length > MAX_MEMBERS || clusters.includes(""))
    throw invalid(here, `must be 1 to ${MAX_MEMBERS} names`);
  return [...new Set(clusters)];
}

function compilePanic(cluster: Cluster): number {
  return percent(
    "common_lb_config.healthy_panic_threshold",
    cluster.commonLbConfig?.healthyPanicThreshold?.value,
    0,
  );
}

function failsOnPanic({ commonLbConfig }: Cluster): boolean {
  const specifier = commonLbConfig?.localityConfigSpecifier;
  return specifier?.case === "zoneAwareLbConfig" && specifier.value.failTrafficOnPanic;
}

function sessionHealth({ commonLbConfig }: Cluster): ReadonlySet<EndpointHealth> {
  const statuses = commonLbConfig?.overrideHostStatus?.statuses ?? [
    HealthStatus.HEALTHY,
    HealthStatus.DEGRADED,
  ];
  return new Set(statuses.map(healthOf));
}

function percent(field: string, value: number | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  if (!(value >= 0 && value <= 100)) throw invalid(field, "must be between 0 and 100");
  return value;
}

const HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

function httpProtocolOptions(cluster: Cluster): HttpProtocolOptions | undefined {
  const options = Object.hasOwn(cluster.typedExtensionProtocolOptions, HTTP_OPTIONS)
    ? cluster.typedExtensionProtocolOptions[HTTP_OPTIONS]
    : undefined;
  const field = at("typed_extension_protocol_options", HTTP_OPTIONS);
  return options !== undefined && holds(options, HttpProtocolOptionsSchema)
    ? unpack(field, options, HttpProtocolOptionsSchema)
    : undefined;
}

function requestsPerConnection(cluster: Cluster, options: HttpProtocolOptions | undefined): number {
  const common =
    options === undefined ? cluster.commonHttpProtocolOptions : options.commonHttpProtocolOptions;
  return common?.maxRequestsPerConnection ?? cluster.maxRequestsPerConnection ?? 0;
}

function isExplicitHttp2(cluster: Cluster, options: HttpProtocolOptions | undefined): boolean {
  if (options === undefined) return cluster.http2ProtocolOptions !== undefined;
  const { upstreamProtocolOptions: upstream } = options;
  return (
    upstream.case === "explicitHttpConfig" && upstream.value.protocolConfig.case === "http2ProtocolOptions"
  );
}

/** Service, port and subset of Istio's cluster names: `outbound|9080|v1|reviews.default.svc.cluster.local`. */
function serviceOf(name: string): Pick<ClusterSettings, "serviceHost" | "servicePort" | "subset"> {
  const [direction, port, subset, host] = name.split("|");
  if (
    host === undefined ||
    (direction !== "outbound" && direction !== "inbound" && direction !== "failover") ||
    !/^\d{1,5}$/.test(port ?? "")
  ) {
    return { serviceHost: "", servicePort: 0, subset: "" };
  }
  return { serviceHost: host, servicePort: Number(port), subset: subset ?? "" };
}
