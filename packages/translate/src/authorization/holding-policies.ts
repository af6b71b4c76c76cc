import type { AuthorizationAction, AuthorizationPolicySpec, MeshObject } from "@tulle/api";
import { AUTHORIZATION_POLICY } from "../kinds.js";
import type { Translation } from "../translation.js";
import { holdsFor, type Guarded } from "../policy-scope.js";
import { byAge } from "../visibility.js";

export type { Guarded } from "../policy-scope.js";

export type AuthorizationPolicy = MeshObject<AuthorizationPolicySpec>;

/** Policies that hold for something, the oldest first. */
export interface HoldingPolicies {
  readonly enforced: readonly AuthorizationPolicy[];
  /** They are only told about. */
  readonly dryRun: readonly AuthorizationPolicy[];
}

/**
 * The policies of an action that hold for a port of the client's workload: those of its namespace and of the mesh (root
 * namespace) whose selector it matches, and those attached to the port's services.
 */
export function holdingPolicies(
  t: Translation,
  action: AuthorizationAction,
  guarded: Guarded,
): HoldingPolicies {
  const holding = [...t.objects<AuthorizationPolicySpec>(AUTHORIZATION_POLICY)]
    .filter((policy) => (policy.spec.action ?? "ALLOW") === action && holdsFor(t, policy, guarded))
    .sort(byAge);
  for (const policy of holding) t.own(policy);
  return {
    enforced: holding.filter((policy) => !isDryRun(policy)),
    dryRun: holding.filter(isDryRun),
  };
}

/** Istio's annotation; what it does not know as true enforces. */
export const DRY_RUN_ANNOTATION = "istio.io/dry-run";
const TRUE = ["1", "t", "T", "TRUE", "true", "True"];

/** Whether a policy is only told about. */
export function isDryRun({ metadata }: MeshObject): boolean {
  return TRUE.includes(metadata.annotations?.[DRY_RUN_ANNOTATION] ?? "");
}
