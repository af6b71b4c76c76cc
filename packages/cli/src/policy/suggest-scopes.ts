import type { ProxyTraffic, SidecarSpec } from "@tulle/api";
import type { WrittenPolicy } from "./policy-object.js";

/** For each namespace a Sidecar with the hosts that its workloads called. */
export function suggestScopes(
  traffic: readonly ProxyTraffic[],
  namespace: string | undefined,
): readonly WrittenPolicy<SidecarSpec>[] {
  const byNamespace = new Map<string, Set<string>>();
  for (const { proxy, calls } of traffic) {
    if (namespace !== undefined && proxy.namespace !== namespace) continue;
    const hosts = byNamespace.get(proxy.namespace) ?? new Set<string>();
    for (const host of calls) hosts.add(scoped(host));
    byNamespace.set(proxy.namespace, hosts);
  }
  return [...byNamespace]
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([ofNamespace, hosts]) => ({
      apiVersion: "networking.istio.io/v1",
      kind: "Sidecar",
      metadata: { name: "observed", namespace: ofNamespace },
      // Nobody called anybody: the namespace itself is what little is left.
      spec: { egress: [{ hosts: hosts.size === 0 ? ["./*"] : [...hosts].sort() }] },
    }));
}

/** `namespace/host`; of hosts that are no services of the mesh, wherever they are declared. */
function scoped(host: string): string {
  const [, namespace, kind] = host.split(".");
  return namespace !== undefined && kind === "svc" ? `${namespace}/${host}` : `*/${host}`;
}
