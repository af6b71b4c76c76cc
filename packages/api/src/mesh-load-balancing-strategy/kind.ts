import type { Kind } from "../kind.js";
import { policyKind } from "../kuma/policy-kind.js";
import { meshLoadBalancingStrategySpec } from "./schema.js";
import type { MeshHashPolicy, MeshLoadBalancingStrategySpec } from "./type.js";

export const meshLoadBalancingStrategyKind: Kind<MeshLoadBalancingStrategySpec> = policyKind({
  kind: "MeshLoadBalancingStrategy",
  plural: "meshloadbalancingstrategies",
  schema: meshLoadBalancingStrategySpec,
  warn: warnings,
});

function warnings({ to = [] }: MeshLoadBalancingStrategySpec): readonly string[] {
  if (to.length === 0) return ["spec.to is empty: the policy holds for no calls"];
  return to.flatMap(({ default: { hashPolicies, loadBalancer } = {} }, index) => {
    const at = `spec.to[${index}].default`;
    return [
      ...unhashed(hashPolicies, `${at}.hashPolicies`),
      ...unhashed(loadBalancer?.ringHash?.hashPolicies, `${at}.loadBalancer.ringHash.hashPolicies`),
      ...unhashed(loadBalancer?.maglev?.hashPolicies, `${at}.loadBalancer.maglev.hashPolicies`),
    ];
  });
}

function unhashed(policies: readonly MeshHashPolicy[] = [], at: string): string[] {
  return policies.flatMap(({ type }, index) =>
    type === "FilterState" ? [`${at}[${index}] has no effect: filter state is Envoy's; hash a header`] : [],
  );
}
