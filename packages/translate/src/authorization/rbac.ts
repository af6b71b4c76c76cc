import { create } from "@bufbuild/protobuf";
import type { AuthorizationAction } from "@tulle/api";
import {
  RBAC_Action,
  RBACSchema,
  type Policy,
  type RBAC,
} from "@tulle/xds/gen/envoy/config/rbac/v3/rbac_pb.js";
import type { Translation } from "../translation.js";
import { holdingPolicies, type AuthorizationPolicy, type Guarded } from "./holding-policies.js";
import { rulePolicy } from "./rule-policy.js";

/** What the policies of one action come to. */
export interface TranslatedRbac {
  readonly rules: RBAC | undefined;
  readonly shadowRules: RBAC | undefined;
  /** Istio's, of what the dry run finds. */
  readonly shadowRulesStatPrefix: string;
}

const ACTIONS = {
  AUDIT: RBAC_Action.LOG,
  CUSTOM: RBAC_Action.DENY,
  DENY: RBAC_Action.DENY,
  ALLOW: RBAC_Action.ALLOW,
} as const;

/** The policies of an action for something that is guarded; undefined = there are none. `keeps`: those that count. */
export function rbacOf(
  t: Translation,
  action: AuthorizationAction,
  guarded: Guarded,
  bytes: boolean,
  keeps: (policy: AuthorizationPolicy) => boolean = () => true,
): TranslatedRbac | undefined {
  const holding = holdingPolicies(t, action, guarded);
  const { dryRun } = holding;
  const enforced = holding.enforced.filter(keeps);
  if (enforced.length === 0 && dryRun.length === 0) return undefined;
  const made = (policies: readonly AuthorizationPolicy[]): RBAC | undefined =>
    policies.length === 0
      ? undefined
      : create(RBACSchema, {
          action: ACTIONS[action],
          policies: policiesOf(t, policies, action, guarded, bytes),
        });
  return {
    rules: made(enforced),
    shadowRules: made(dryRun),
    shadowRulesStatPrefix:
      dryRun.length === 0 ? "" : `istio_dry_run_${action === "ALLOW" ? "allow" : "deny"}_`,
  };
}

/** By names that tell object and rule, as Istio's. Without any, ALLOW allows nothing. */
export function policiesOf(
  t: Translation,
  policies: readonly AuthorizationPolicy[],
  action: AuthorizationAction,
  { port }: Guarded,
  bytes: boolean,
): Record<string, Policy> {
  const { trustDomain } = t.settings;
  const use = { refuses: action !== "ALLOW", bytes, port };
  const made: Record<string, Policy> = {};
  for (const { metadata, spec } of policies) {
    const context = { namespace: metadata.namespace, trustDomains: [trustDomain] };
    (spec.rules ?? []).forEach((rule, index) => {
      const policy = rulePolicy(rule, use, context);
      if (policy !== undefined) made[policyName(metadata, index)] = policy;
    });
  }
  return made;
}

/** Istio's name of a rule: `ns[default]-policy[reviews]-rule[0]`. */
export function policyName(
  { namespace, name }: { readonly namespace: string; readonly name: string },
  rule: number,
): string {
  return `ns[${namespace}]-policy[${name}]-rule[${rule}]`;
}
