import type { Cluster, LoadBalancingPolicy } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { Cluster_LbPolicy as LbPolicy } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { LeastRequestSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/least_request/v3/least_request_pb.js";
import { RandomSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/random/v3/random_pb.js";
import { RoundRobinSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/round_robin/v3/round_robin_pb.js";
import { WrrLocalitySchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/wrr_locality/v3/wrr_locality_pb.js";
import type { LocalityLbConfig } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/common/v3/common_pb.js";
import type { Any } from "@bufbuild/protobuf/wkt";
import { holds, typeName, unpack } from "../snapshot/any.js";
import { at, invalid } from "../snapshot/invalid.js";
import type { Policy } from "./balancer.js";
import { leastRequest, random, roundRobin } from "./policies.js";

export interface CompiledPolicy {
  readonly policy: Policy;
  /** Whether localities are weighed before their endpoints. */
  readonly localityWeighted: boolean;
  /** Equal keys go to equal endpoints. */
  readonly hashed: boolean;
}

/** Envoy's default: power of two choices. */
const DEFAULT_CHOICES = 2;
/** Bounds the work of one pick. */
const MAX_CHOICES = 64;

/**
 * Compiles how a cluster balances: the first entry of `load_balancing_policy` that is known here, else `lb_policy`.
 * RING_HASH and MAGLEV are not implemented: in the list they are passed over, alone they are an error.
 */
export function compilePolicy(cluster: Cluster): CompiledPolicy {
  const list = cluster.loadBalancingPolicy;
  if (list !== undefined) return compileList("load_balancing_policy", list);
  const localityWeighted =
    cluster.commonLbConfig?.localityConfigSpecifier.case === "localityWeightedLbConfig";
  switch (cluster.lbPolicy) {
    case LbPolicy.ROUND_ROBIN:
    case LbPolicy.CLUSTER_PROVIDED:
      return { policy: roundRobin, localityWeighted, hashed: false };
    case LbPolicy.LEAST_REQUEST: {
      const config = cluster.lbConfig.case === "leastRequestLbConfig" ? cluster.lbConfig.value : undefined;
      return {
        policy: leastRequest(choices("least_request_lb_config", config?.choiceCount)),
        localityWeighted,
        hashed: false,
      };
    }
    case LbPolicy.RANDOM:
      return { policy: random, localityWeighted, hashed: false };
    case LbPolicy.RING_HASH:
    case LbPolicy.MAGLEV:
      throw invalid(
        "lb_policy",
        `${LbPolicy[cluster.lbPolicy]} is not implemented: use LEAST_REQUEST, ROUND_ROBIN or RANDOM, or a load_balancing_policy list that names one of them too`,
      );
    case LbPolicy.LOAD_BALANCING_POLICY_CONFIG:
      throw invalid("load_balancing_policy", "must be set when lb_policy is LOAD_BALANCING_POLICY_CONFIG");
    default:
      throw invalid("lb_policy", `${String(cluster.lbPolicy)} is not a known policy`);
  }
}

function compileList(field: string, list: LoadBalancingPolicy): CompiledPolicy {
  const passedOver: string[] = [];
  for (const [index, { typedExtensionConfig }] of list.policies.entries()) {
    const here = at(field, `policies[${index}].typed_extension_config.typed_config`);
    const config = typedExtensionConfig?.typedConfig;
    if (config === undefined) throw invalid(here, "must be set");
    const compiled = compileEntry(here, config);
    if (compiled !== undefined) return compiled;
    passedOver.push(typeName(config));
  }
  throw invalid(
    at(field, "policies"),
    `none is known here (${passedOver.join(", ")}): add round_robin, least_request, random or wrr_locality`,
  );
}

function compileEntry(field: string, config: Any): CompiledPolicy | undefined {
  if (holds(config, LeastRequestSchema)) {
    const { choiceCount, localityLbConfig } = unpack(field, config, LeastRequestSchema);
    return {
      policy: leastRequest(choices(field, choiceCount)),
      localityWeighted: weighted(localityLbConfig),
      hashed: false,
    };
  }
  if (holds(config, RoundRobinSchema)) {
    return {
      policy: roundRobin,
      localityWeighted: weighted(unpack(field, config, RoundRobinSchema).localityLbConfig),
      hashed: false,
    };
  }
  if (holds(config, RandomSchema)) {
    return {
      policy: random,
      localityWeighted: weighted(unpack(field, config, RandomSchema).localityLbConfig),
      hashed: false,
    };
  }
  if (holds(config, WrrLocalitySchema)) {
    const inner = unpack(field, config, WrrLocalitySchema).endpointPickingPolicy;
    if (inner === undefined) throw invalid(at(field, "endpoint_picking_policy"), "must be set");
    return { ...compileList(at(field, "endpoint_picking_policy"), inner), localityWeighted: true };
  }
  return undefined;
}

function weighted(config: LocalityLbConfig | undefined): boolean {
  return config?.localityConfigSpecifier.case === "localityWeightedLbConfig";
}

function choices(field: string, count: number | undefined): number {
  if (count !== undefined && count < 2) throw invalid(at(field, "choice_count"), "must be at least 2");
  return Math.min(count ?? DEFAULT_CHOICES, MAX_CHOICES);
}
