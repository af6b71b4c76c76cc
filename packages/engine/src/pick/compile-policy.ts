import type { Cluster, LoadBalancingPolicy } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import {
  Cluster_LbPolicy as LbPolicy,
  Cluster_RingHashLbConfig_HashFunction as ClusterHash,
} from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { ClientSideWeightedRoundRobinSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/client_side_weighted_round_robin/v3/client_side_weighted_round_robin_pb.js";
import { ClusterProvidedSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/cluster_provided/v3/cluster_provided_pb.js";
import type { LocalityLbConfig } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/common/v3/common_pb.js";
import {
  LeastRequest_SelectionMethod as SelectionMethod,
  LeastRequestSchema,
} from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/least_request/v3/least_request_pb.js";
import { MaglevSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/maglev/v3/maglev_pb.js";
import { OverrideHostSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/override_host/v3/override_host_pb.js";
import { PickFirstSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/pick_first/v3/pick_first_pb.js";
import { RandomSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/random/v3/random_pb.js";
import { RandomSubsettingSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/random_subsetting/v3/random_subsetting_pb.js";
import {
  RingHash_HashFunction as RingFunction,
  RingHashSchema,
} from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/ring_hash/v3/ring_hash_pb.js";
import { RoundRobinSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/round_robin/v3/round_robin_pb.js";
import { SubsetSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/subset/v3/subset_pb.js";
import { WrrLocalitySchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/wrr_locality/v3/wrr_locality_pb.js";
import { PeakEwmaSchema } from "@tulle/xds/gen/tulle/load_balancing/v1/peak_ewma_pb.js";
import type { Any } from "@bufbuild/protobuf/wkt";
import { holds, typeName, unpack } from "../snapshot/any.js";
import { at, invalid } from "../snapshot/invalid.js";
import type { Policy } from "./balancer.js";
import { randomSubsetting } from "./random-subsetting.js";
import { compileReportedWeights, type ReportedWeights } from "./reported-weights.js";
import { compileLeastRequest, compileMaglev, compileRing, compileSlowStart } from "./policy-settings.js";
import { compileSubsets, type SubsetSettings } from "./subset-settings.js";
import { peakEwma } from "./peak-ewma.js";
import { pickFirst, random, roundRobin } from "./policies.js";
import type { SlowStart } from "./slow-start.js";

export interface CompiledPolicy {
  /** For people: `least request`. */
  readonly name: string;
  readonly policy: Policy;
  /** Whether localities are weighed before their endpoints. */
  readonly localityWeighted: boolean;
  /** Equal keys go to equal endpoints. */
  readonly hashed: boolean;
  /** How new endpoints are warmed up; undefined = they are not. */
  readonly slowStart: SlowStart | undefined;
  /** How endpoints are weighed by what they report; undefined = they are not. */
  readonly reported?: ReportedWeights | undefined;
  /** Headers in which a request may name its endpoints, lower-case, in the order in which they are looked at. */
  readonly overrideHeaders?: readonly string[] | undefined;
  /** How requests choose among endpoints by labels, before any of this. */
  readonly subsets?: SubsetSettings | undefined;
}

/** Compiles how a cluster balances: the first entry of `load_balancing_policy` that is known here, else `lb_policy`. */
export function compilePolicy(cluster: Cluster): CompiledPolicy {
  const list = cluster.loadBalancingPolicy;
  if (list !== undefined) return compileList("load_balancing_policy", list);
  const common = cluster.commonLbConfig;
  const localityWeighted = common?.localityConfigSpecifier.case === "localityWeightedLbConfig";
  const balanceFactor = common?.consistentHashingLbConfig?.hashBalanceFactor;
  const { lbConfig } = cluster;
  switch (cluster.lbPolicy) {
    case LbPolicy.ROUND_ROBIN: {
      const config = lbConfig.case === "roundRobinLbConfig" ? lbConfig.value.slowStartConfig : undefined;
      const slowStart = compileSlowStart("round_robin_lb_config.slow_start_config", config);
      return compiled("round robin", roundRobin, localityWeighted, { slowStart });
    }
    case LbPolicy.CLUSTER_PROVIDED:
      return compiled("round robin", roundRobin, localityWeighted);
    case LbPolicy.LEAST_REQUEST: {
      const field = "least_request_lb_config";
      const config = lbConfig.case === "leastRequestLbConfig" ? lbConfig.value : undefined;
      const slowStart = compileSlowStart(at(field, "slow_start_config"), config?.slowStartConfig);
      return compiled("least request", compileLeastRequest(field, config ?? {}), localityWeighted, {
        slowStart,
      });
    }
    case LbPolicy.RANDOM:
      return compiled("random", random, localityWeighted);
    case LbPolicy.RING_HASH: {
      const config = lbConfig.case === "ringHashLbConfig" ? lbConfig.value : undefined;
      const murmur = config?.hashFunction === ClusterHash.MURMUR_HASH_2;
      const { minimumRingSize, maximumRingSize } = config ?? {};
      const settings = { murmur, minimumRingSize, maximumRingSize, balanceFactor };
      return compiled("ring hash", compileRing("ring_hash_lb_config", settings), localityWeighted, {
        hashed: true,
      });
    }
    case LbPolicy.MAGLEV: {
      const tableSize = lbConfig.case === "maglevLbConfig" ? lbConfig.value.tableSize : undefined;
      const policy = compileMaglev("maglev_lb_config", { tableSize, balanceFactor });
      return compiled("Maglev", policy, localityWeighted, { hashed: true });
    }
    case LbPolicy.LOAD_BALANCING_POLICY_CONFIG:
      throw invalid("load_balancing_policy", "must be set when lb_policy is LOAD_BALANCING_POLICY_CONFIG");
    default:
      throw invalid("lb_policy", `${String(cluster.lbPolicy)} is not a known policy`);
  }
}

function compiled(
  name: string,
  policy: Policy,
  localityWeighted: boolean,
  more: { readonly hashed?: boolean; readonly slowStart?: SlowStart | undefined } = {},
): CompiledPolicy {
  return { name, policy, localityWeighted, hashed: more.hashed ?? false, slowStart: more.slowStart };
}

function compileList(field: string, list: LoadBalancingPolicy): CompiledPolicy {
  const passedOver: string[] = [];
  for (const [index, { typedExtensionConfig }] of list.policies.entries()) {
    const here = at(field, `policies[${index}].typed_extension_config.typed_config`);
    const config = typedExtensionConfig?.typedConfig;
    if (config === undefined) throw invalid(here, "must be set");
    const entry = compileEntry(here, config);
    if (entry !== undefined) return entry;
    passedOver.push(typeName(config));
  }
  throw invalid(
    at(field, "policies"),
    `none is known here (${passedOver.join(", ")}): add round_robin, client_side_weighted_round_robin, least_request, random, ring_hash, maglev, pick_first or wrr_locality`,
  );
}

function compileEntry(field: string, config: Any): CompiledPolicy | undefined {
  if (holds(config, LeastRequestSchema)) {
    const message = unpack(field, config, LeastRequestSchema);
    const fullScan = message.enableFullScan === true || message.selectionMethod === SelectionMethod.FULL_SCAN;
    return compiled(
      "least request",
      compileLeastRequest(field, { ...message, fullScan }),
      weighted(message.localityLbConfig),
      { slowStart: compileSlowStart(at(field, "slow_start_config"), message.slowStartConfig) },
    );
  }
  if (holds(config, RoundRobinSchema)) {
    const { slowStartConfig, localityLbConfig } = unpack(field, config, RoundRobinSchema);
    const slowStart = compileSlowStart(at(field, "slow_start_config"), slowStartConfig);
    return compiled("round robin", roundRobin, weighted(localityLbConfig), { slowStart });
  }
  if (holds(config, RandomSchema))
    return compiled("random", random, weighted(unpack(field, config, RandomSchema).localityLbConfig));
  if (holds(config, PeakEwmaSchema)) return compiled("peak EWMA", peakEwma, false);
  if (holds(config, PickFirstSchema))
    return compiled(
      "pick first",
      pickFirst(unpack(field, config, PickFirstSchema).shuffleAddressList),
      false,
    );
  if (holds(config, ClientSideWeightedRoundRobinSchema)) {
    const reported = compileReportedWeights(field, unpack(field, config, ClientSideWeightedRoundRobinSchema));
    return { ...compiled("round robin weighted by load reports", roundRobin, false), reported };
  }
  if (holds(config, ClusterProvidedSchema)) return compiled("round robin", roundRobin, false);
  if (holds(config, WrrLocalitySchema)) {
    const inner = unpack(field, config, WrrLocalitySchema).endpointPickingPolicy;
    if (inner === undefined) throw invalid(at(field, "endpoint_picking_policy"), "must be set");
    return { ...compileList(at(field, "endpoint_picking_policy"), inner), localityWeighted: true };
  }
  return compileHash(field, config) ?? compileWrapper(field, config);
}

/** A policy that has another one choose. */
function compileWrapper(field: string, config: Any): CompiledPolicy | undefined {
  if (holds(config, SubsetSchema)) {
    const { subsetLbPolicy, ...message } = unpack(field, config, SubsetSchema);
    if (subsetLbPolicy === undefined) throw invalid(at(field, "subset_lb_policy"), "must be set");
    return {
      ...compileList(at(field, "subset_lb_policy"), subsetLbPolicy),
      subsets: compileSubsets(field, message),
    };
  }
  if (holds(config, RandomSubsettingSchema)) {
    const { subsetSize = 0, childPolicy } = unpack(field, config, RandomSubsettingSchema);
    if (subsetSize < 1) throw invalid(at(field, "subset_size"), "must be at least 1");
    if (childPolicy === undefined) throw invalid(at(field, "child_policy"), "must be set");
    const child = compileList(at(field, "child_policy"), childPolicy);
    const name = `${child.name} over at most ${subsetSize} endpoints`;
    return { ...child, name, policy: randomSubsetting(subsetSize, child.policy) };
  }
  if (!holds(config, OverrideHostSchema)) return undefined;
  const { overrideHostSources: sources, fallbackPolicy } = unpack(field, config, OverrideHostSchema);
  if (fallbackPolicy === undefined) throw invalid(at(field, "fallback_policy"), "must be set");
  if (sources.length === 0) throw invalid(at(field, "override_host_sources"), "must not be empty");
  // Of the two that a source can be, nothing here writes dynamic metadata: such a source never has an address.
  const headers = sources.map(({ header }) => header.toLowerCase()).filter((header) => header !== "");
  return { ...compileList(at(field, "fallback_policy"), fallbackPolicy), overrideHeaders: headers };
}

function compileHash(field: string, config: Any): CompiledPolicy | undefined {
  if (holds(config, RingHashSchema)) {
    const message = unpack(field, config, RingHashSchema);
    const { minimumRingSize, maximumRingSize } = message;
    const policy = compileRing(field, {
      murmur: message.hashFunction === RingFunction.MURMUR_HASH_2,
      minimumRingSize,
      maximumRingSize,
      balanceFactor: message.consistentHashingLbConfig?.hashBalanceFactor ?? message.hashBalanceFactor,
    });
    return compiled("ring hash", policy, message.localityWeightedLbConfig !== undefined, { hashed: true });
  }
  if (!holds(config, MaglevSchema)) return undefined;
  const message = unpack(field, config, MaglevSchema);
  const policy = compileMaglev(field, {
    tableSize: message.tableSize,
    balanceFactor: message.consistentHashingLbConfig?.hashBalanceFactor,
  });
  return compiled("Maglev", policy, message.localityWeightedLbConfig !== undefined, { hashed: true });
}

function weighted(config: LocalityLbConfig | undefined): boolean {
  return config?.localityConfigSpecifier.case === "localityWeightedLbConfig";
}
