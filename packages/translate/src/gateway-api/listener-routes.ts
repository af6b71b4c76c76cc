import type { GatewayListener } from "@tulle/api";
import type { TcpProxy } from "@tulle/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import type { Route } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { GRPC_ROUTE, HTTP_ROUTE, TCP_ROUTE, TLS_ROUTE } from "../kinds.js";
import type { OwnedRule } from "../routes/rule.js";
import { ruleRoutes } from "../routes/rule-routes.js";
import type { TlsRoute } from "../routes/tls-routes.js";
import type { Translation } from "../translation.js";
import { byAge } from "../visibility.js";
import { commonHostnames, routesOfListener } from "./gateways.js";
import type { HeldListener } from "./listener-sets.js";
import { routeProxy } from "./l4-routes.js";
import { bySpecificity, type Ordered } from "./precedence.js";
import type { TcpRouteObject, TlsRouteObject } from "./route-kinds.js";
import { convertedRules } from "./service-routes.js";

/** A listener of a Gateway. */
export type ListenerOf = Pick<HeldListener, "gateway" | "holder" | "listener">;

/** A condition of a rule that holds for requests to a host. */
type Candidate = Ordered & { readonly owned: OwnedRule };

/**
 * The routes of requests by host (name, `*.suffix` or `*`), of the HTTPRoutes and GRPCRoutes that are attached to a listener:
 * the most specific conditions first, whatever object they are of; those of gRPC before the others.
 */
export function listenerHttpRoutes(
  t: Translation,
  { holder, listener }: ListenerOf,
): ReadonlyMap<string, Route[]> {
  const byHost = new Map<string, Route[]>();
  for (const kind of [GRPC_ROUTE, HTTP_ROUTE]) {
    const candidates = new Map<string, Candidate[]>();
    for (const route of routesOfListener(t, holder, listener, kind)) {
      t.own(route);
      const ranked = convertedRules(t, route, listener.port).flatMap(({ rule, matches }, index) =>
        matches.map(({ match, precedence }, place): Candidate => {
          const owned = { rule: { ...rule, match: [match] }, object: route, field: `rules[${index}]` };
          return { precedence, route, rule: index, match: place, owned };
        }),
      );
      for (const host of commonHostnames(listener, route)) {
        candidates.set(host, [...(candidates.get(host) ?? []), ...ranked]);
      }
    }
    for (const [host, all] of candidates) {
      const routes = all
        .sort(bySpecificity)
        .flatMap(({ owned }) => ruleRoutes(t, owned, listener.port, () => true));
      byHost.set(host, [...(byHost.get(host) ?? []), ...routes]);
    }
  }
  return byHost;
}

/** Where connections go by the TCPRoutes that are attached to a listener, of which the oldest holds. */
export function listenerTcpRoute(t: Translation, { holder, listener }: ListenerOf): TcpProxy | undefined {
  const [route] = [...routesOfListener(t, holder, listener, TCP_ROUTE)].sort(
    byAge,
  ) as readonly TcpRouteObject[];
  if (route === undefined) return undefined;
  t.own(route);
  return routeProxy(t, route, route.spec.rules[0]?.backendRefs ?? [], placeOf(listener));
}

/** Where TLS goes that passes as it is, by the TLSRoutes that are attached to a listener. */
export function listenerTlsRoutes(t: Translation, { holder, listener }: ListenerOf): readonly TlsRoute[] {
  const made: TlsRoute[] = [];
  const taken = new Set<string>();
  for (const route of [...routesOfListener(t, holder, listener, TLS_ROUTE)].sort(
    byAge,
  ) as readonly TlsRouteObject[]) {
    t.own(route);
    const names = commonHostnames(listener, route).filter((name) => !taken.has(name));
    if (names.length === 0) continue;
    for (const name of names) taken.add(name);
    const proxy = routeProxy(t, route, route.spec.rules[0]?.backendRefs ?? [], placeOf(listener));
    made.push({ serverNames: names.includes("*") ? [] : names, proxy });
  }
  return made;
}

function placeOf({ name, port }: GatewayListener) {
  return { host: name, listenerPort: port };
}
