import type { MeshObject, MutualTls, PeerAuthenticationSpec } from "@tulle/api";
import { PEER_AUTHENTICATION } from "./kinds.js";
import type { Translation } from "./translation.js";
import { byAge, selects } from "./visibility.js";

/** What an inbound port accepts. */
export type AcceptedTls = "DISABLE" | "PERMISSIVE" | "STRICT";

type PeerAuthentication = MeshObject<PeerAuthenticationSpec>;

/**
 * What a workload's port accepts: the port's own setting, else the workload's policy, else its namespace's, else the
 * mesh's (root namespace), else PERMISSIVE. UNSET passes on to the next wider one. The oldest policy of a level counts.
 */
export function acceptedTls(t: Translation, appPort: number): AcceptedTls {
  const { view, settings } = t;
  const policies = [...t.objects<PeerAuthenticationSpec>(PEER_AUTHENTICATION)].sort(byAge);
  const workload = policies.find(
    (policy) =>
      isIn(policy, view.namespace) &&
      hasSelector(policy) &&
      selects(policy.spec.selector?.matchLabels, view.labels),
  );
  const namespace = policies.find((policy) => isIn(policy, view.namespace) && !hasSelector(policy));
  const mesh = policies.find((policy) => isIn(policy, settings.rootNamespace) && !hasSelector(policy));
  const ports = workload?.spec.portLevelMtls;
  const portLevel = ports !== undefined && Object.hasOwn(ports, appPort) ? ports[appPort] : undefined;
  const levels: readonly (readonly [PeerAuthentication | undefined, MutualTls | undefined])[] = [
    [workload, portLevel],
    [workload, workload?.spec.mtls],
    [namespace, namespace?.spec.mtls],
    [mesh, mesh?.spec.mtls],
  ];
  for (const [policy, mtls] of levels) {
    const mode = mtls?.mode ?? "UNSET";
    if (policy === undefined || mode === "UNSET") continue;
    t.own(policy);
    return mode;
  }
  return "PERMISSIVE";
}

function isIn(policy: PeerAuthentication, namespace: string): boolean {
  return policy.metadata.namespace === namespace;
}

function hasSelector(policy: PeerAuthentication): boolean {
  return Object.keys(policy.spec.selector?.matchLabels ?? {}).length > 0;
}
