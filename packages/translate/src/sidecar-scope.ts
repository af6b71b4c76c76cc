import type { MeshObject, SidecarEgress, SidecarSpec } from "@tulle/api";
import { expandHost } from "./hosts.js";
import { SIDECAR } from "./kinds.js";
import type { Translation } from "./translation.js";
import { byAge, selects } from "./visibility.js";

type Sidecar = MeshObject<SidecarSpec>;

/** A service as a Sidecar names it. */
export interface ScopedService {
  readonly namespace: string;
  /** In full; of a service with a wildcard host both what was asked for and the wildcard. */
  readonly hosts: readonly string[];
}

/** One translation asks about the same client many times. */
const chosen = new WeakMap<Translation, { readonly sidecar: Sidecar | undefined }>();

/**
 * The Sidecar that holds for the client: of its own namespace the one that selects it, else the one without a selector,
 * else that of the root namespace. Of several the oldest.
 */
export function sidecarOf(t: Translation): Sidecar | undefined {
  let choice = chosen.get(t);
  if (choice === undefined) {
    choice = { sidecar: choose(t) };
    chosen.set(t, choice);
  }
  return choice.sidecar;
}

function choose(t: Translation): Sidecar | undefined {
  const { view, settings } = t;
  // Gateways call what their routes name, as in Istio.
  if (view.gateway !== undefined) return undefined;
  const all = [...t.objects<SidecarSpec>(SIDECAR)].sort(byAge);
  const isIn = (sidecar: Sidecar, namespace: string): boolean => sidecar.metadata.namespace === namespace;
  return (
    all.find(
      (sidecar) =>
        isIn(sidecar, view.namespace) &&
        hasSelector(sidecar) &&
        selects(sidecar.spec.workloadSelector?.labels, view.labels),
    ) ??
    all.find((sidecar) => isIn(sidecar, view.namespace) && !hasSelector(sidecar)) ??
    all.find((sidecar) => isIn(sidecar, settings.rootNamespace) && !hasSelector(sidecar))
  );
}

/**
 * Whether the client may call a service at a port, as far as its Sidecar says. An item of `egress` for that port counts
 * alone; what no item names is unknown to the client. Destinations of routes that it may use are not asked about.
 */
export function mayCall(t: Translation, service: ScopedService, port: number | undefined): boolean {
  const sidecar = sidecarOf(t);
  const egress = sidecar?.spec.egress;
  if (sidecar === undefined || egress === undefined || egress.length === 0) return true;
  t.own(sidecar);
  const forPort = egress.filter((item) => item.port !== undefined && item.port.number === port);
  const items = forPort.length > 0 ? forPort : egress.filter((item) => item.port === undefined);
  // A port of no item's is asked about where it does not matter yet: in DNS.
  return (port === undefined ? egress : items).some((item) => imports(t, item, service));
}

/** Whether rules of a namespace for some hosts hold for the client. */
export function mayUseRules(
  t: Translation,
  object: { readonly namespace: string; readonly hosts: readonly string[] },
): boolean {
  const egress = sidecarOf(t)?.spec.egress;
  if (egress === undefined || egress.length === 0) return true;
  const { namespace } = object;
  const hosts = object.hosts.map((host) =>
    expandHost(host.toLowerCase(), namespace, t.settings.domainSuffix),
  );
  return egress.some((item) => imports(t, item, { namespace, hosts }));
}

function hasSelector({ spec }: Sidecar): boolean {
  return Object.keys(spec.workloadSelector?.labels ?? {}).length > 0;
}

function imports(t: Translation, { hosts: written }: SidecarEgress, service: ScopedService): boolean {
  return written.some((text) => {
    const slash = text.indexOf("/");
    const from = text.slice(0, slash);
    if (from === "~") return false;
    const namespace = from === "." ? t.view.namespace : from;
    if (namespace !== "*" && namespace !== service.namespace) return false;
    const pattern = text.slice(slash + 1).toLowerCase();
    return service.hosts.some((host) => matches(pattern, host));
  });
}

function matches(pattern: string, host: string): boolean {
  if (pattern === "*" || pattern === host) return true;
  if (!pattern.startsWith("*")) return false;
  return host.length > pattern.length - 1 && host.endsWith(pattern.slice(1));
}
