import { create } from "@bufbuild/protobuf";
import type { Warmup } from "@tulle/api";
import {
  Cluster_CommonLbConfig_ConsistentHashingLbConfigSchema,
  Cluster_CommonLbConfig_LocalityWeightedLbConfigSchema,
  Cluster_CommonLbConfigSchema,
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  Cluster_RingHashLbConfig_HashFunction,
  Cluster_RingHashLbConfigSchema,
  Cluster_SlowStartConfigSchema,
  ClusterSchema,
  type Cluster,
  type Cluster_SlowStartConfig,
} from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { HealthStatus, HealthStatusSetSchema } from "@tulle/xds/gen/envoy/config/core/v3/health_check_pb.js";
import type { BalancerSettings, EffectivePolicy } from "./destination-rules.js";
import { durationOfText } from "./duration.js";
import { localityPlan, warnOfLocality, weighsLocalities } from "./locality/locality-plan.js";
import { applyOwnBalancing } from "./own-balancing.js";
import type { Translation } from "./translation.js";

/** Entries of a hash ring: Istio's default, and Envoy's and gRPC's limit. */
const DEFAULT_RING_SIZE = 1024;
const MAX_RING_SIZE = 8_388_608;

/**
 * How a cluster's endpoints are chosen. Least request unless told otherwise, and no panic mode: unhealthy endpoints get
 * no traffic, ever, unless `minHealthPercent` says from when on they do (Istio's defaults).
 */
export function applyLoadBalancer(t: Translation, cluster: Cluster, policy: EffectivePolicy): void {
  const { loadBalancer, outlierDetection, balancing } = policy;
  const panic = outlierDetection?.minHealthPercent ?? 0;
  warnOfLocality(t, cluster.name, policy);
  const config = create(Cluster_CommonLbConfigSchema, { healthyPanicThreshold: { value: panic } });
  if (weighsLocalities(localityPlan(t, policy))) {
    const value = create(Cluster_CommonLbConfig_LocalityWeightedLbConfigSchema);
    config.localityConfigSpecifier = { case: "localityWeightedLbConfig", value };
  }
  if (balancing?.hashBalanceFactor !== undefined) {
    const { hashBalanceFactor } = balancing;
    config.consistentHashingLbConfig = create(Cluster_CommonLbConfig_ConsistentHashingLbConfigSchema, {
      hashBalanceFactor,
    });
  }
  cluster.commonLbConfig = config;
  if (loadBalancer?.consistentHash !== undefined)
    applyHash(cluster, loadBalancer.consistentHash, loadBalancer.ring);
  else applySimple(cluster, loadBalancer);
  if (loadBalancer?.simple === "PASSTHROUGH" && !isOriginal(cluster)) {
    t.warn(
      `${cluster.name}: PASSTHROUGH is for destinations outside of the mesh; its endpoints are taken in turn`,
    );
  }
  if (balancing !== undefined) applyOwnBalancing(t, cluster, balancing);
}

/** Lets sessions that are bound to an endpoint stay there while it is drained. */
export function keepSessions({ view }: Translation, cluster: Cluster): void {
  if (view.dialect !== "tulle") return;
  cluster.commonLbConfig ??= create(Cluster_CommonLbConfigSchema);
  cluster.commonLbConfig.overrideHostStatus = create(HealthStatusSetSchema, { statuses: SESSION_STATUSES });
}

const SESSION_STATUSES: HealthStatus[] = [
  HealthStatus.UNKNOWN,
  HealthStatus.HEALTHY,
  HealthStatus.DEGRADED,
  HealthStatus.DRAINING,
];

function isOriginal({ clusterDiscoveryType }: Cluster): boolean {
  return clusterDiscoveryType.value === Cluster_DiscoveryType.ORIGINAL_DST;
}

function applyHash(
  cluster: Cluster,
  hash: NonNullable<BalancerSettings["consistentHash"]>,
  ring: BalancerSettings["ring"] = {},
): void {
  if (hash.maglev !== undefined) {
    // 0 is Istio's way to say: the default.
    const tableSize = hash.maglev.tableSize === 0 ? undefined : hash.maglev.tableSize;
    cluster.lbPolicy = Cluster_LbPolicy.MAGLEV;
    cluster.lbConfig = create(ClusterSchema, {
      lbConfig: {
        case: "maglevLbConfig",
        value: tableSize === undefined ? {} : { tableSize: BigInt(tableSize) },
      },
    }).lbConfig;
    return;
  }
  const minimum = hash.ringHash?.minimumRingSize || DEFAULT_RING_SIZE;
  cluster.lbPolicy = Cluster_LbPolicy.RING_HASH;
  cluster.lbConfig = {
    case: "ringHashLbConfig",
    value: create(Cluster_RingHashLbConfigSchema, {
      minimumRingSize: BigInt(Math.min(minimum, ring.maximumSize ?? MAX_RING_SIZE)),
      ...(ring.maximumSize !== undefined && { maximumRingSize: BigInt(ring.maximumSize) }),
      ...(ring.murmur === true && {
        hashFunction: Cluster_RingHashLbConfig_HashFunction.MURMUR_HASH_2,
      }),
    }),
  };
}

function applySimple(cluster: Cluster, settings: BalancerSettings | undefined): void {
  const slowStartConfig = slowStart(settings?.warmup);
  switch (settings?.simple ?? "UNSPECIFIED") {
    case "ROUND_ROBIN":
      cluster.lbPolicy = Cluster_LbPolicy.ROUND_ROBIN;
      if (slowStartConfig !== undefined) {
        cluster.lbConfig = create(ClusterSchema, {
          lbConfig: { case: "roundRobinLbConfig", value: { slowStartConfig } },
        }).lbConfig;
      }
      return;
    case "RANDOM":
      cluster.lbPolicy = Cluster_LbPolicy.RANDOM;
      return;
    case "PASSTHROUGH":
      cluster.lbPolicy = Cluster_LbPolicy.CLUSTER_PROVIDED;
      return;
    case "UNSPECIFIED":
    case "LEAST_REQUEST":
      cluster.lbPolicy = Cluster_LbPolicy.LEAST_REQUEST;
      if (slowStartConfig !== undefined || settings?.leastRequest !== undefined) {
        const { choiceCount, activeRequestBias } = settings?.leastRequest ?? {};
        const bias = activeRequestBias !== undefined && {
          activeRequestBias: { defaultValue: activeRequestBias, runtimeKey: "" },
        };
        cluster.lbConfig = create(ClusterSchema, {
          lbConfig: {
            case: "leastRequestLbConfig",
            value: {
              ...(slowStartConfig && { slowStartConfig }),
              ...(choiceCount !== undefined && { choiceCount }),
              ...bias,
            },
          },
        }).lbConfig;
      }
  }
}

function slowStart(warmup: Warmup | undefined): Cluster_SlowStartConfig | undefined {
  if (warmup === undefined) return undefined;
  return create(Cluster_SlowStartConfigSchema, {
    slowStartWindow: durationOfText(warmup.duration),
    minWeightPercent: { value: warmup.minimumPercent ?? 10 },
    aggression: { defaultValue: warmup.aggression ?? 1, runtimeKey: "" },
  });
}
