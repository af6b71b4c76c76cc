import type { MeshObject, ServiceEntrySpec } from "@tulle/api";
import { catalogService } from "./catalog-service.js";
import { entryService } from "./entry-service.js";
import { EXACT_HOST, expandHost, hostMatch, serviceNamed } from "./hosts.js";
import { SERVICE_ENTRY } from "./kinds.js";
import { defaultPort, type MeshService } from "./mesh-service.js";
import { mayCall } from "./sidecar-scope.js";
import type { Translation } from "./translation.js";
import { byAge, isExported } from "./visibility.js";

/** What a host means. */
export interface ResolvedHost {
  /** In full: what virtual hosts and resource names use. */
  readonly host: string;
  /** Undefined when nothing of that name exists (for this client). */
  readonly service: MeshService | undefined;
}

/**
 * Finds what `host` (lower-case), written in `namespace`, means. A registered service wins over a ServiceEntry of the
 * same name, an exact ServiceEntry host over a wildcard.
 */
export function resolveHost(t: Translation, host: string, namespace: string): ResolvedHost {
  const domain = t.settings.domainSuffix;
  const id = serviceNamed(host, namespace, domain);
  const registered = id === undefined ? undefined : t.service(id);
  if (registered !== undefined) {
    const service = catalogService(t, registered);
    return { host: service.host, service };
  }
  const full = expandHost(host, namespace, domain);
  const entry = entryFor(t, host) ?? (full === host ? undefined : entryFor(t, full));
  if (entry === undefined) return { host: full, service: undefined };
  // Found by name when it is called: each host that a wildcard covers is a service of its own.
  const isDynamic = entry.object.spec.resolution === "DYNAMIC_DNS";
  const own = isDynamic ? entry.concrete : entry.pattern;
  return { host: entry.concrete, service: entryService(t, entry.object, own) };
}

/**
 * The same for a host that the client itself calls, at a port (undefined = any): what its Sidecar does not let it call
 * does not exist for it.
 */
export function calledHost(
  t: Translation,
  host: string,
  port: number | undefined,
): ResolvedHost & { readonly hidden: boolean } {
  const found = resolveHost(t, host, t.view.namespace);
  const { service } = found;
  if (service === undefined) return { ...found, hidden: false };
  const called = port ?? defaultPort(service)?.number;
  const hosts = found.host === service.host ? [service.host] : [found.host, service.host];
  if (mayCall(t, { namespace: service.namespace, hosts }, called)) return { ...found, hidden: false };
  return { host: found.host, service: undefined, hidden: true };
}

interface FoundEntry {
  readonly object: MeshObject<ServiceEntrySpec>;
  /** The host as the entry has it. */
  readonly pattern: string;
  /** The host that was asked for. */
  readonly concrete: string;
}

/** The ServiceEntry for a host: best match, then the client's own namespace, then the oldest. */
function entryFor(t: Translation, host: string): FoundEntry | undefined {
  const { view, settings } = t;
  let best: { found: FoundEntry; score: number } | undefined;
  for (const object of t.objects<ServiceEntrySpec>(SERVICE_ENTRY)) {
    const { namespace } = object.metadata;
    if (!isExported(object.spec.exportTo, namespace, view.namespace)) continue;
    for (const written of object.spec.hosts) {
      const pattern = written.toLowerCase();
      // The pattern itself stands for its wildcard cluster.
      const score =
        pattern === host ? EXACT_HOST : hostMatch(pattern, namespace, host, settings.domainSuffix);
      if (score === 0) continue;
      if (best !== undefined && !isBetter(object, score, best)) continue;
      best = { found: { object, pattern, concrete: host }, score };
    }
  }
  return best?.found;

  function isBetter(object: MeshObject, score: number, other: { found: FoundEntry; score: number }): boolean {
    if (score !== other.score) return score > other.score;
    const isOwn = object.metadata.namespace === view.namespace;
    const otherIsOwn = other.found.object.metadata.namespace === view.namespace;
    return isOwn === otherIsOwn ? byAge(object, other.found.object) < 0 : isOwn;
  }
}
