import { isMeshParent, type ParentReference, type ServiceEntrySpec } from "@tulle/api";
import { expandHost, fullHost } from "../hosts.js";
import { SERVICE_ENTRY } from "../kinds.js";
import type { MeshPort, MeshService } from "../mesh-service.js";
import type { KindRef, Translation } from "../translation.js";
import { ROUTE_KINDS, canRoute, type RouteObject } from "./route-kinds.js";

/** What callers name: a port of a service. */
export interface Frontend {
  /** In full, as it was called. */
  readonly host: string;
  readonly service: MeshService;
  readonly port: MeshPort;
  /** The port that the caller named. */
  readonly listenerPort: number;
}

/** The routes that hold for calls to a frontend. */
export interface AttachedRoutes {
  readonly kind: string;
  /** At least one. */
  readonly routes: readonly RouteObject[];
}

/**
 * The routes that hold for this client's calls. Routes of the client's own namespace to a service of another one
 * (consumer routes) hold instead of those of the service's namespace (producer routes), and the most specific kind holds
 * alone.
 */
export function attachedRoutes(t: Translation, frontend: Frontend): AttachedRoutes | undefined {
  const producer = frontend.service.namespace;
  for (const namespace of new Set([t.view.namespace, producer])) {
    for (const kind of ROUTE_KINDS) {
      if (!canRoute(kind, frontend.port)) continue;
      const routes = routesIn(t, kind, namespace, frontend);
      if (routes.length > 0) return { kind: kind.kind, routes };
    }
  }
  return undefined;
}

/** The routes of a kind in a namespace that are bound to a frontend. */
export function routesIn(
  t: Translation,
  kind: KindRef,
  namespace: string,
  frontend: Frontend,
): readonly RouteObject[] {
  return t
    .objects<RouteObject["spec"]>(kind)
    .filter(
      (route): route is RouteObject =>
        route.metadata.namespace === namespace &&
        (route.spec.parentRefs ?? []).some((parent) => isBound(t, parent, namespace, frontend)),
    );
}

/** Whether a parent of a route in `namespace` is this frontend. */
function isBound(t: Translation, parent: ParentReference, namespace: string, frontend: Frontend): boolean {
  return isMeshParent(parent) && isPort(parent, frontend) && namesHost(t, parent, namespace, frontend);
}

function namesHost(
  t: Translation,
  parent: ParentReference,
  namespace: string,
  { host, service }: Frontend,
): boolean {
  const hosts = parentHosts(t, parent, namespace);
  return hosts.includes(host) || hosts.includes(service.host);
}

/** Whether a parent leaves the port open or names it, by number, by name or both. */
export function isPort(
  parent: Pick<ParentReference, "port" | "sectionName">,
  { port, listenerPort }: Pick<Frontend, "port" | "listenerPort">,
): boolean {
  if (parent.port !== undefined && parent.port !== listenerPort && parent.port !== port.number) return false;
  return parent.sectionName === undefined || parent.sectionName === port.name;
}

/** The hosts that a parent stands for, in full; none when it is a ServiceEntry that does not exist. */
export function parentHosts(t: Translation, parent: ParentReference, namespace: string): readonly string[] {
  const domain = t.settings.domainSuffix;
  const where = parent.namespace ?? namespace;
  if (parent.kind === "Service") return [fullHost({ name: parent.name, namespace: where }, domain)];
  if (parent.kind === "Hostname") return [parent.name.toLowerCase()];
  const entry = t
    .objects<ServiceEntrySpec>(SERVICE_ENTRY)
    .find(({ metadata }) => metadata.name === parent.name && metadata.namespace === where);
  return (entry?.spec.hosts ?? []).map((host) => expandHost(host.toLowerCase(), where, domain));
}
