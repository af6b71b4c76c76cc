import type { HttpRetry, MeshConfigSpec } from "@tulle/api";
import { fromMeshConfig } from "./mesh-config.js";
import type { Translation } from "./translation.js";

/** How services are called of which no DestinationRule says more (Istio's `defaultTrafficPolicy` and `connectTimeout`). */
export function defaultTrafficPolicy(t: Translation): NonNullable<MeshConfigSpec["defaultTrafficPolicy"]> {
  const policy = fromMeshConfig(t, (spec) => spec.defaultTrafficPolicy) ?? {};
  const connectTimeout = fromMeshConfig(t, (spec) => spec.connectTimeout);
  if (connectTimeout === undefined || policy.connectionPool?.tcp?.connectTimeout !== undefined) return policy;
  const { connectionPool } = policy;
  return {
    ...policy,
    connectionPool: { ...connectionPool, tcp: { ...connectionPool?.tcp, connectTimeout } },
  };
}

/** Retries of routes that say nothing of them: a MeshConfig's, else those that the control plane was started with. */
export function defaultHttpRetry(t: Translation): HttpRetry | undefined {
  return fromMeshConfig(t, (spec) => spec.defaultHttpRetryPolicy) ?? t.settings.defaultHttpRetryPolicy;
}

/** The same of a callee's sidecar towards its application. */
export function defaultInboundHttpRetry(t: Translation): HttpRetry | undefined {
  return (
    fromMeshConfig(t, (spec) => spec.defaultInboundHttpRetryPolicy) ??
    t.settings.defaultInboundHttpRetryPolicy
  );
}
