import { create } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import type { LoadReports, OwnLoadBalancer } from "@tulle/api";
import {
  CircuitBreakers_ThresholdsSchema,
  CircuitBreakersSchema,
} from "@tulle/xds/gen/envoy/config/cluster/v3/circuit_breaker_pb.js";
import {
  Cluster_LbPolicy,
  ClusterSchema,
  LoadBalancingPolicySchema,
  type Cluster,
  type LoadBalancingPolicy,
} from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { RoutingPriority } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import { ClientSideWeightedRoundRobinSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/client_side_weighted_round_robin/v3/client_side_weighted_round_robin_pb.js";
import { LeastRequestSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/least_request/v3/least_request_pb.js";
import { OverrideHostSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/override_host/v3/override_host_pb.js";
import { RandomSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/random/v3/random_pb.js";
import { RandomSubsettingSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/random_subsetting/v3/random_subsetting_pb.js";
import { RoundRobinSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/round_robin/v3/round_robin_pb.js";
import { PeakEwmaSchema } from "@tulle/xds/gen/tulle/load_balancing/v1/peak_ewma_pb.js";
import type { OwnBalancing } from "./destination-rules.js";
import { durationOfText } from "./duration.js";
import { packed } from "./messages.js";
import type { Translation } from "./translation.js";

/** What stands for no limit on the wire. */
const NO_LIMIT = 4_294_967_295;

/** A policy of the list, by its name and its configuration. */
type Entry = readonly [name: string, config: Any];

/**
 * What Istio's settings of a load balancer have no words for. Policies are a list, so that a proxy that does not know the
 * first takes the next; the last is what it would be without.
 */
export function applyOwnBalancing(t: Translation, cluster: Cluster, balancing: OwnBalancing): void {
  applyConnections(cluster, balancing);
  const { policy, maxEndpoints, overrideHostHeader } = balancing;
  if (policy === undefined && maxEndpoints === undefined && overrideHostHeader === undefined) return;
  const said = [
    policy,
    maxEndpoints === undefined ? undefined : "maxEndpoints",
    overrideHostHeader === undefined ? undefined : "overrideHostHeader",
  ].filter((one) => one !== undefined);
  const standard = standardEntry(cluster);
  if (
    standard === undefined ||
    (policy !== undefined && cluster.lbPolicy !== Cluster_LbPolicy.LEAST_REQUEST)
  ) {
    const simple = policy === undefined ? "LEAST_REQUEST, ROUND_ROBIN or RANDOM" : "LEAST_REQUEST";
    t.warn(
      `${cluster.name}: ${said.join(", ")} has no effect beside consistentHash or simple: ${simple} must be it`,
    );
    return;
  }
  if (
    cluster.lbConfig.case !== undefined ||
    cluster.commonLbConfig?.localityConfigSpecifier.case !== undefined
  ) {
    t.warn(
      `${cluster.name}: ${said.join(", ")} goes without warmup and without weights of localities; these have no effect`,
    );
  }
  let entries: readonly Entry[] =
    policy === undefined ? [standard] : ownEntries(policy, balancing.loadReports);
  if (maxEndpoints !== undefined) {
    const subsetting = packed(RandomSubsettingSchema, {
      subsetSize: maxEndpoints,
      childPolicy: listOf(entries),
    });
    entries = [["envoy.load_balancing_policies.random_subsetting", subsetting], ...entries];
  }
  if (overrideHostHeader !== undefined) {
    const override = packed(OverrideHostSchema, {
      overrideHostSources: [{ header: overrideHostHeader.toLowerCase() }],
      fallbackPolicy: listOf(entries),
    });
    entries = [["envoy.load_balancing_policies.override_host", override], ...entries];
  }
  cluster.lbPolicy = Cluster_LbPolicy.LOAD_BALANCING_POLICY_CONFIG;
  cluster.lbConfig = { case: undefined };
  cluster.loadBalancingPolicy = listOf(entries);
}

function applyConnections(cluster: Cluster, { connections }: OwnBalancing): void {
  const { preconnectRatio = 1, perClientConnection = false, maxPerInstance, maxPools } = connections ?? {};
  const { highPriority } = connections ?? {};
  if (preconnectRatio > 1) {
    cluster.preconnectPolicy = create(ClusterSchema, {
      preconnectPolicy: { perUpstreamPreconnectRatio: preconnectRatio },
    }).preconnectPolicy;
  }
  cluster.connectionPoolPerDownstreamConnection = perClientConnection;
  const breakers = (cluster.circuitBreakers ??= create(CircuitBreakersSchema));
  if (maxPerInstance !== undefined)
    breakers.perHostThresholds.push(
      create(CircuitBreakers_ThresholdsSchema, { maxConnections: maxPerInstance }),
    );
  const [thresholds] = breakers.thresholds;
  if (highPriority !== undefined)
    breakers.thresholds.push(
      create(CircuitBreakers_ThresholdsSchema, {
        priority: RoutingPriority.HIGH,
        maxConnections: highPriority.maxConnections ?? NO_LIMIT,
        maxPendingRequests: highPriority.maxPendingRequests ?? NO_LIMIT,
        maxRequests: highPriority.maxRequests ?? NO_LIMIT,
        maxRetries: highPriority.maxRetries ?? NO_LIMIT,
        trackRemaining: true,
      }),
    );
  if (maxPools !== undefined && thresholds !== undefined) thresholds.maxConnectionPools = maxPools;
}

function listOf(entries: readonly Entry[]): LoadBalancingPolicy {
  return create(LoadBalancingPolicySchema, {
    policies: entries.map(([name, typedConfig]) => ({ typedExtensionConfig: { name, typedConfig } })),
  });
}

const LEAST_REQUEST = "envoy.load_balancing_policies.least_request";
const ROUND_ROBIN = "envoy.load_balancing_policies.round_robin";

/** The policy that the cluster has, as an entry of a list; undefined for those that hash. */
function standardEntry({ lbPolicy }: Cluster): Entry | undefined {
  switch (lbPolicy) {
    case Cluster_LbPolicy.LEAST_REQUEST:
      return [LEAST_REQUEST, packed(LeastRequestSchema)];
    case Cluster_LbPolicy.ROUND_ROBIN:
      return [ROUND_ROBIN, packed(RoundRobinSchema)];
    case Cluster_LbPolicy.RANDOM:
      return ["envoy.load_balancing_policies.random", packed(RandomSchema)];
    default:
      return undefined;
  }
}

function ownEntries(policy: OwnLoadBalancer, reports: LoadReports = {}): readonly Entry[] {
  if (policy === "PEAK_EWMA") {
    return [
      ["tulle.peak_ewma", packed(PeakEwmaSchema)],
      [LEAST_REQUEST, packed(LeastRequestSchema)],
    ];
  }
  const { blackout, expiration, updateInterval, errorPenalty } = reports;
  const weighted = packed(ClientSideWeightedRoundRobinSchema, {
    ...(blackout !== undefined && { blackoutPeriod: durationOfText(blackout) }),
    ...(expiration !== undefined && { weightExpirationPeriod: durationOfText(expiration) }),
    ...(updateInterval !== undefined && { weightUpdatePeriod: durationOfText(updateInterval) }),
    ...(errorPenalty !== undefined && { errorUtilizationPenalty: errorPenalty }),
  });
  return [
    ["envoy.load_balancing_policies.client_side_weighted_round_robin", weighted],
    [ROUND_ROBIN, packed(RoundRobinSchema)],
  ];
}
