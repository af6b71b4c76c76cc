import type { HealthCheckSpec, MeshObject } from "@tulle/api";
import { EXACT_HOST, hostMatch } from "./hosts.js";
import { HEALTH_CHECK } from "./kinds.js";
import type { MeshService } from "./mesh-service.js";
import type { Translation } from "./translation.js";
import { byAge } from "./visibility.js";

/**
 * The HealthCheck for calls to one port of a subset: of those in the client's namespace, else the service's, else the
 * root namespace, the one that names the host best; of these the one that names subset and port. Of several that say the
 * same the oldest holds.
 */
export function healthCheckFor(
  t: Translation,
  service: Pick<MeshService, "host" | "namespace">,
  subset: string,
  port: number,
): HealthCheckSpec | undefined {
  const { view, settings } = t;
  const all = t.objects<HealthCheckSpec>(HEALTH_CHECK);
  for (const namespace of new Set([view.namespace, service.namespace, settings.rootNamespace])) {
    const [first, ...others] = bestOf(
      all.filter(({ metadata }) => metadata.namespace === namespace),
      service.host,
      subset,
      port,
      settings.domainSuffix,
    );
    if (first === undefined) continue;
    t.own(first);
    if (others.length > 0) {
      t.warn(
        `${others.map(nameOf).join(" and ")} and ${nameOf(first)} check the same endpoints of ${service.host}; ${nameOf(first)} is older and holds`,
      );
    }
    return first.spec;
  }
  return undefined;
}

/** Those of the highest rank, the oldest first. */
function bestOf(
  checks: readonly MeshObject<HealthCheckSpec>[],
  host: string,
  subset: string,
  port: number,
  domain: string,
): MeshObject<HealthCheckSpec>[] {
  let best: MeshObject<HealthCheckSpec>[] = [];
  let bestRank = 0;
  for (const check of checks) {
    const { spec, metadata } = check;
    if (spec.subset !== undefined && spec.subset !== subset) continue;
    if (spec.port !== undefined && spec.port !== port) continue;
    const pattern = spec.host.toLowerCase();
    const fit = pattern === host ? EXACT_HOST : hostMatch(pattern, metadata.namespace, host, domain);
    if (fit === 0) continue;
    const rank = fit * 4 + (spec.subset === undefined ? 0 : 2) + (spec.port === undefined ? 0 : 1);
    if (rank < bestRank) continue;
    if (rank > bestRank) best = [];
    bestRank = rank;
    best.push(check);
  }
  return best.sort(byAge);
}

function nameOf({ metadata }: MeshObject): string {
  return `HealthCheck ${metadata.namespace}/${metadata.name}`;
}
