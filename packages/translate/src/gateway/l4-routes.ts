import type { L4MatchAttributes, MeshObject, VirtualServiceSpec } from "@tulle/api";
import { listenerTcpRoute, listenerTlsRoutes } from "../gateway-api/listener-routes.js";
import { placeOf, proxyByRule } from "../routes/l4-rule.js";
import type { TlsRoute } from "../routes/tls-routes.js";
import type { Translation } from "../translation.js";
import { isSource } from "../visibility.js";
import { ClaimedSources } from "./claimed-sources.js";
import { boundServices, namesGateway } from "./bound-services.js";
import { commonHost, placeOfServer, type Server } from "./server.js";

/** Where connections from some addresses go. */
export type TcpRoute = Omit<TlsRoute, "serverNames">;

/** Where the connections of a server for bytes go: to the destinations of the first `tcp` rule that is bound to it and takes the client. */
export function serverTcpRoutes(t: Translation, server: Server): readonly TcpRoute[] {
  if (server.listener !== undefined) {
    const proxy = listenerTcpRoute(t, server.listener);
    return proxy === undefined ? [] : [{ proxy }];
  }
  const routes: TcpRoute[] = [];
  const claimed = new ClaimedSources();
  for (const { object } of boundServices(t, server)) {
    for (const [index, { match = [], route }] of (object.spec.tcp ?? []).entries()) {
      const rule = { object, route, field: `tcp[${index}]` };
      const conditions = match.length === 0 ? [{}] : match;
      const subnets = conditions
        .filter((each) => canHold(t, server, object, each, placeOf(rule)))
        .map(({ sourceSubnet }) => sourceSubnet)
        .filter((subnet) => claimed.take("", subnet));
      const proxy = subnets.length > 0 ? proxyByRule(t, rule, server.port) : undefined;
      if (proxy === undefined) continue;
      t.own(object);
      routes.push({ proxy, ...sourcesOf(subnets) });
    }
  }
  if (routes.length === 0)
    t.warn(`${placeOfServer(server)}: no tcp rule is bound to it: connections are closed`);
  return routes;
}

/** Where TLS goes that a server passes on as it is: the `tls` rules that are bound to it, by the names that both have. */
export function serverTlsRoutes(t: Translation, server: Server): readonly TlsRoute[] {
  if (server.listener !== undefined) return listenerTlsRoutes(t, server.listener);
  const routes: TlsRoute[] = [];
  const claimed = new ClaimedSources();
  for (const { object, hosts } of boundServices(t, server)) {
    for (const [index, { match, route }] of (object.spec.tls ?? []).entries()) {
      const rule = { object, route, field: `tls[${index}]` };
      const holding = match.filter((each) => canHold(t, server, object, each, placeOf(rule)));
      for (const [subnet, names] of namesBySource(holding, hosts)) {
        const own = names.filter((name) => claimed.take(name, subnet));
        const proxy = own.length > 0 ? proxyByRule(t, rule, server.port) : undefined;
        if (proxy === undefined) continue;
        t.own(object);
        routes.push({ serverNames: own.includes("*") ? [] : own, proxy, ...sourcesOf([subnet]) });
      }
    }
  }
  if (routes.length === 0)
    t.warn(`${placeOfServer(server)}: no tls rule is bound to it: connections are closed`);
  return routes;
}

/** The names of a rule's matches that its hosts have, too, by the clients that they are for. */
function namesBySource(
  matches: NonNullable<VirtualServiceSpec["tls"]>[number]["match"],
  hosts: readonly string[],
): ReadonlyMap<string | undefined, readonly string[]> {
  const bySource = new Map<string | undefined, string[]>();
  for (const { sniHosts, sourceSubnet } of matches) {
    const names = sniHosts.flatMap((name) =>
      hosts.flatMap((host) => commonHost(host, name.toLowerCase()) ?? []),
    );
    bySource.set(sourceSubnet, [...new Set([...(bySource.get(sourceSubnet) ?? []), ...names])]);
  }
  return bySource;
}

function sourcesOf(subnets: readonly (string | undefined)[]): Pick<TcpRoute, "sources"> {
  const sources = subnets.filter((subnet) => subnet !== undefined);
  return sources.length < subnets.length ? {} : { sources };
}

function canHold(
  t: Translation,
  server: Server,
  { metadata }: MeshObject<VirtualServiceSpec>,
  match: L4MatchAttributes,
  where: string,
): boolean {
  if (match.destinationSubnets !== undefined) {
    t.warn(`${where}: destinationSubnets is not supported at gateways; the match is left out`);
    return false;
  }
  if (match.port !== undefined && match.port !== server.port) return false;
  return namesGateway(match.gateways, metadata.namespace, server) && isSource(match, t.view);
}
