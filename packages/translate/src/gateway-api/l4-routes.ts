import type { BackendReference } from "@tulle/api";
import {
  TcpProxy_WeightedClusterSchema,
  type TcpProxy,
} from "@tulle/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { create } from "@bufbuild/protobuf";
import { TCP_ROUTE, TLS_ROUTE } from "../kinds.js";
import { MESH_TCP_ROUTE } from "../kuma/kinds.js";
import { warnOfBound } from "../kuma/overruled.js";
import { NOBODY } from "../names.js";
import { targetOf } from "../routes/destination.js";
import { proxyTo, shareTunnel } from "../routes/l4-rule.js";
import type { TlsRoute } from "../routes/tls-routes.js";
import type { Translation } from "../translation.js";
import { byAge } from "../visibility.js";
import { backendOf } from "./backends.js";
import { attachedRoutes, type Frontend } from "./parents.js";
import type { RefProblem } from "./problems.js";
import type { RouteObject, TcpRouteObject, TlsRouteObject } from "./route-kinds.js";
import { sharesOf } from "./weights.js";

/** Where connections to a frontend go by its TCPRoutes, of which the oldest holds; undefined when it has none. */
export function serviceTcpRoute(t: Translation, frontend: Frontend): TcpProxy | undefined {
  const attached = attachedRoutes(t, frontend);
  if (attached?.kind !== TCP_ROUTE.kind) return undefined;
  const [route, ...ignored] = [...(attached.routes as readonly TcpRouteObject[])].sort(byAge);
  if (route === undefined) return undefined;
  t.own(route);
  warnOfBound(t, MESH_TCP_ROUTE, frontend, [route]);
  for (const { metadata } of ignored) {
    t.warn(
      `TCPRoute ${metadata.namespace}/${metadata.name} has no effect on ${frontend.host}:${frontend.listenerPort}: ` +
        `${route.metadata.namespace}/${route.metadata.name} is older, and connections can go one way only`,
    );
  }
  return routeProxy(t, route, route.spec.rules[0]?.backendRefs ?? [], frontend);
}

/**
 * Where TLS connections to a frontend go by its TLSRoutes. The best match of the server name decides, not the order; of
 * routes with the same name the oldest has it. Connections that ask for none of the names are closed. Empty when it has
 * no TLSRoute.
 */
export function serviceTlsRoutes(t: Translation, frontend: Frontend): readonly TlsRoute[] {
  const attached = attachedRoutes(t, frontend);
  if (attached?.kind !== TLS_ROUTE.kind) return [];
  const made: TlsRoute[] = [];
  const taken = new Set<string>();
  for (const route of [...(attached.routes as readonly TlsRouteObject[])].sort(byAge)) {
    t.own(route);
    // The empty name stands for any.
    const names = (route.spec.hostnames ?? [""]).filter((name) => !taken.has(name));
    if (names.length === 0) continue;
    for (const name of names) taken.add(name);
    const proxy = routeProxy(t, route, route.spec.rules[0]?.backendRefs ?? [], frontend);
    made.push({ serverNames: names.filter((name) => name !== ""), proxy });
  }
  if (!taken.has("")) made.push({ serverNames: [], proxy: toNobody(t, frontend) });
  return made;
}

/** What is wrong with the references of a route of connections. */
export function l4Problems(t: Translation, route: RouteObject): readonly RefProblem[] {
  if (route.kind !== TCP_ROUTE.kind && route.kind !== TLS_ROUTE.kind) return [];
  return (route as TcpRouteObject).spec.rules.flatMap(({ backendRefs }) =>
    backendRefs.flatMap((reference) => backendOf(t, reference, route, "bytes").problem ?? []),
  );
}

/** A proxy to the backends of a route of connections; what has none is closed. */
export function routeProxy(
  t: Translation,
  route: RouteObject,
  references: readonly BackendReference[],
  frontend: Pick<Frontend, "host" | "listenerPort">,
): TcpProxy {
  const { metadata } = route;
  const { usable, lost } = sharesOf(references, (reference) => {
    const { destination } = backendOf(t, reference, route, "bytes");
    return destination && targetOf(t, destination, metadata.namespace, frontend.listenerPort);
  });
  const [first] = usable;
  if (first === undefined) return toNobody(t, frontend);
  if (!shareTunnel(usable.map(({ backend }) => backend.policy))) {
    t.warn(
      `${route.kind} ${metadata.namespace}/${metadata.name}: its backends must have the same tunnel, or none; connections are refused`,
    );
    return toNobody(t, frontend);
  }
  const prefix = `${metadata.name}/rules[0]`;
  if (usable.length === 1 && lost === 0) {
    return proxyTo(t, prefix, { case: "cluster", value: first.backend.cluster }, first.backend.policy);
  }
  const clusters = usable.map(({ backend, weight }) => ({ name: backend.cluster, weight }));
  const weight = lostWeight(references, clusters);
  if (weight > 0) clusters.push({ name: NOBODY, weight });
  const weighted = create(TcpProxy_WeightedClusterSchema, { clusters });
  return proxyTo(t, prefix, { case: "weightedClusters", value: weighted }, first.backend.policy);
}

/** Weight of the backends that are not there. */
function lostWeight(
  references: readonly BackendReference[],
  usable: readonly { readonly weight: number }[],
): number {
  const sum = (items: readonly { readonly weight?: number }[]) =>
    items.reduce((total, { weight }) => total + (weight ?? 1), 0);
  return sum(references) - sum(usable);
}

function toNobody(t: Translation, { host, listenerPort }: Pick<Frontend, "host" | "listenerPort">): TcpProxy {
  return proxyTo(t, `${host}:${listenerPort}`, { case: "cluster", value: NOBODY }, {});
}
