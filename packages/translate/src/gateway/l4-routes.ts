import type { L4MatchAttributes, MeshObject, VirtualServiceSpec } from "@tulle/api";
import type { TcpProxy } from "@tulle/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { listenerTcpRoute, listenerTlsRoutes } from "../gateway-api/listener-routes.js";
import { placeOf, proxyByRule } from "../routes/l4-rule.js";
import type { TlsRoute } from "../routes/tls-routes.js";
import type { Translation } from "../translation.js";
import { isSource } from "../visibility.js";
import { boundServices, namesGateway } from "./bound-services.js";
import { commonHost, placeOfServer, type Server } from "./server.js";

/** Where the connections of a server for bytes go: to the destinations of the first `tcp` rule that is bound to it. */
export function serverTcpRoute(t: Translation, server: Server): TcpProxy | undefined {
  if (server.listener !== undefined) return listenerTcpRoute(t, server.listener);
  for (const { object } of boundServices(t, server)) {
    for (const [index, { match = [], route }] of (object.spec.tcp ?? []).entries()) {
      const rule = { object, route, field: `tcp[${index}]` };
      if (match.length > 0 && !match.some((each) => canHold(t, server, object, each, placeOf(rule))))
        continue;
      const proxy = proxyByRule(t, rule, server.port);
      if (proxy === undefined) continue;
      t.own(object);
      return proxy;
    }
  }
  t.warn(`${placeOfServer(server)}: no tcp rule is bound to it: connections are closed`);
  return undefined;
}

/** Where TLS goes that a server passes on as it is: the `tls` rules that are bound to it, by the names that both have. */
export function serverTlsRoutes(t: Translation, server: Server): readonly TlsRoute[] {
  if (server.listener !== undefined) return listenerTlsRoutes(t, server.listener);
  const routes: TlsRoute[] = [];
  const taken = new Set<string>();
  for (const { object, hosts } of boundServices(t, server)) {
    for (const [index, { match, route }] of (object.spec.tls ?? []).entries()) {
      const rule = { object, route, field: `tls[${index}]` };
      const names = match
        .filter((each) => canHold(t, server, object, each, placeOf(rule)))
        .flatMap(({ sniHosts }) => sniHosts)
        .flatMap((name) => hosts.flatMap((host) => commonHost(host, name.toLowerCase()) ?? []));
      const own = [...new Set(names)].filter((name) => !taken.has(name));
      const proxy = own.length > 0 ? proxyByRule(t, rule, server.port) : undefined;
      if (proxy === undefined) continue;
      t.own(object);
      for (const name of own) taken.add(name);
      routes.push({ serverNames: own.includes("*") ? [] : own, proxy });
    }
  }
  if (routes.length === 0)
    t.warn(`${placeOfServer(server)}: no tls rule is bound to it: connections are closed`);
  return routes;
}

function canHold(
  t: Translation,
  server: Server,
  { metadata }: MeshObject<VirtualServiceSpec>,
  match: L4MatchAttributes,
  where: string,
): boolean {
  for (const subnets of ["sourceSubnet", "destinationSubnets"] as const) {
    if (match[subnets] === undefined) continue;
    t.warn(`${where}: ${subnets} is not supported at gateways; the match is left out`);
    return false;
  }
  if (match.port !== undefined && match.port !== server.port) return false;
  return namesGateway(match.gateways, metadata.namespace, server) && isSource(match, t.view);
}
