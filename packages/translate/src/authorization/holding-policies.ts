import type { AuthorizationAction, AuthorizationPolicySpec, MeshObject } from "@tulle/api";
import type { ServiceId } from "../hosts.js";
import { AUTHORIZATION_POLICY } from "../kinds.js";
import type { Translation } from "../translation.js";
import { byAge, selects } from "../visibility.js";

export type AuthorizationPolicy = MeshObject<AuthorizationPolicySpec>;

/** What is guarded: a port of a workload or gateway, or all that has no port of its own. */
export interface Guarded {
  /** Services that the port is of. */
  readonly services: readonly ServiceId[];
  /** Gateways that open it, of Gateway API's kind. */
  readonly gateways?: readonly ServiceId[];
  /** Of the workload; undefined = the connection tells. */
  readonly port: number | undefined;
}

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

function holdsFor(
  t: Translation,
  { spec, metadata }: AuthorizationPolicy,
  { services, gateways = [] }: Guarded,
): boolean {
  const { namespace } = metadata;
  const targets = [...(spec.targetRefs ?? []), ...(spec.targetRef === undefined ? [] : [spec.targetRef])];
  if (targets.length > 0) {
    const isAmong = (ids: readonly ServiceId[], name: string): boolean =>
      ids.some((one) => one.namespace === namespace && one.name === name);
    return targets.some(
      ({ kind, name }) =>
        (kind === "Service" && isAmong(services, name)) || (kind === "Gateway" && isAmong(gateways, name)),
    );
  }
  if (namespace !== t.view.namespace && namespace !== t.settings.rootNamespace) return false;
  return selects(spec.selector?.matchLabels, t.view.labels);
}

/** Istio's annotation; what it does not know as true enforces. */
export const DRY_RUN_ANNOTATION = "istio.io/dry-run";
const TRUE = ["1", "t", "T", "TRUE", "true", "True"];

/** Whether a policy is only told about. */
export function isDryRun({ metadata }: MeshObject): boolean {
  return TRUE.includes(metadata.annotations?.[DRY_RUN_ANNOTATION] ?? "");
}
