import type { AuthorizationPolicySpec, SidecarSpec } from "@tulle/api";

/** An object as users write it. */
export interface WrittenPolicy<Spec = AuthorizationPolicySpec | SidecarSpec> {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: Spec;
}

const DRY_RUN = { "istio.io/dry-run": "true" };

/** An AuthorizationPolicy; `dryRun`: one that is only told about. */
export function authorizationPolicy(
  namespace: string,
  name: string,
  spec: AuthorizationPolicySpec,
  dryRun = false,
): WrittenPolicy<AuthorizationPolicySpec> {
  return {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name, namespace, ...(dryRun ? { annotations: DRY_RUN } : {}) },
    spec,
  };
}
