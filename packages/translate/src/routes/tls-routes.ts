import type { TcpProxy } from "@tulle/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { serviceTlsRoutes } from "../gateway-api/l4-routes.js";
import { warnOfOverruled } from "../gateway-api/overruled.js";
import type { Frontend } from "../gateway-api/parents.js";
import { TLS_ROUTE } from "../kinds.js";
import type { Translation } from "../translation.js";
import { virtualServiceFor } from "../virtual-services.js";
import { canHold, placeOf, proxyByRule } from "./l4-rule.js";

/** Where TLS connections go that ask for one of some server names. */
export interface TlsRoute {
  /** Exact ones and `*.suffix`, lower-case; empty = any. */
  readonly serverNames: readonly string[];
  readonly proxy: TcpProxy;
  /** Blocks of client addresses (`10.0.0.0/8`); absent = any. At gateways only. */
  readonly sources?: readonly string[];
}

/**
 * The `tls` rules of a service's VirtualService that can hold for this client. Which one a connection takes, the best
 * match of its server name decides, not their order; of two rules with the same name the first has it. Where there are
 * none, its TLSRoutes.
 */
export function tlsRoutes(t: Translation, frontend: Frontend): readonly TlsRoute[] {
  const { service, listenerPort } = frontend;
  const object = virtualServiceFor(t, service.host);
  const routes: TlsRoute[] = [];
  const taken = new Set<string>();
  for (const [index, { match, route }] of (object?.spec.tls ?? []).entries()) {
    if (object === undefined) break;
    const rule = { object, route, field: `tls[${index}]` };
    const names = match
      .filter((each) => canHold(t, service, each, listenerPort, placeOf(rule)))
      .flatMap(({ sniHosts }) => sniHosts.map((name) => name.toLowerCase()));
    const own = [...new Set(names)].filter((name) => !taken.has(name));
    const proxy = own.length > 0 ? proxyByRule(t, rule, listenerPort) : undefined;
    if (proxy === undefined) continue;
    for (const name of own) taken.add(name);
    routes.push({ serverNames: own.includes("*") ? [] : own, proxy });
  }
  if (object === undefined || routes.length === 0) return serviceTlsRoutes(t, frontend);
  warnOfOverruled(t, object, frontend, [TLS_ROUTE]);
  return routes;
}
