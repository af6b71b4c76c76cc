import { clone, create } from "@bufbuild/protobuf";
import {
  VirtualHost_TlsRequirementType as TlsRequirement,
  RouteSchema,
  VirtualHostSchema,
  type Route,
  type VirtualHost,
} from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import {
  RouteConfigurationSchema,
  type RouteConfiguration,
} from "@tulle/xds/gen/envoy/config/route/v3/route_pb.js";
import { listenerHttpRoutes } from "../gateway-api/listener-routes.js";
import { injectAnnotated } from "../routes/annotated-faults.js";
import { rulesOf } from "../routes/delegates.js";
import { maxDirectResponseBytes } from "../routes/reply.js";
import { withNotFound } from "./claim-routes.js";
import { controlAdmission, limitConcurrency } from "../overload-filters.js";
import { markPolicy } from "../routes/route-marks.js";
import { edgePolicy } from "../traffic-policies.js";
import { ruleRoutes } from "../routes/rule-routes.js";
import type { Translation } from "../translation.js";
import { boundServices, namesGateway } from "./bound-services.js";
import { limitsOfHost } from "./limits.js";
import { servedPorts } from "./ports.js";
import { commonHost, type Server } from "./server.js";

/** What is gathered for one host of a route table. */
interface HostRoutes {
  readonly routes: Route[];
  redirects: boolean;
}

/**
 * The route table of a gateway's servers: those of a port for plaintext share one, every server with TLS has its own. The
 * rules of all VirtualServices that are bound to a server and name a host come one after the other, the oldest object's
 * first. Undefined when no server has a table of this name.
 */
export function gatewayRoutes(t: Translation, name: string): RouteConfiguration | undefined {
  const servers = serversOfTable(t, name);
  if (servers.length === 0) return undefined;
  const hosts = hostsOf(t, servers);
  const all = [...hosts.values()].flatMap(({ routes }) => routes);
  const maxBytes = maxDirectResponseBytes(all);
  return create(RouteConfigurationSchema, {
    name,
    virtualHosts: [...hosts].map(([host, found]) => virtualHostOf(t, host, found, servers[0]?.port ?? 0)),
    // Clients write the port that they connected to, which may be another than the gateway's.
    ignorePortInHostMatching: true,
    validateClusters: false,
    ...(maxBytes !== undefined && { maxDirectResponseBodySizeBytes: maxBytes }),
  });
}

function virtualHostOf(t: Translation, host: string, found: HostRoutes, port: number): VirtualHost {
  const policy = edgePolicy(t, host, port);
  // Hosts share the routes of a rule, and policies may differ between hosts.
  const routes = found.routes.map((route) => clone(RouteSchema, route));
  markPolicy(t, routes, policy);
  const made = create(VirtualHostSchema, {
    name: `${host}:${port}`,
    domains: [host],
    routes: withNotFound(routes),
    requireTls: found.redirects ? TlsRequirement.ALL : TlsRequirement.NONE,
    includeRequestAttemptCount: true,
    ...limitsOfHost(t, host),
  });
  return controlAdmission(limitConcurrency(made, policy.adaptiveConcurrency), policy.admissionControl);
}

/** The hosts of a route table. */
export function hostsOfTable(t: Translation, name: string): Iterable<string> {
  return hostsOf(t, serversOfTable(t, name)).keys();
}

function serversOfTable(t: Translation, name: string): readonly Server[] {
  return servedPorts(t)
    .flatMap((port) => port.servers)
    .filter(({ kind, routes }) => routes === name && (kind === "http" || kind === "https"));
}

function hostsOf(t: Translation, servers: readonly Server[]): ReadonlyMap<string, HostRoutes> {
  const hosts = new Map<string, HostRoutes>();
  for (const server of servers) addServer(t, server, servers, hosts);
  return hosts;
}

function addServer(
  t: Translation,
  server: Server,
  others: readonly Server[],
  hosts: Map<string, HostRoutes>,
): void {
  const entry = (host: string): HostRoutes => {
    let found = hosts.get(host);
    if (found === undefined) {
      found = { routes: [], redirects: false };
      hosts.set(host, found);
    }
    found.redirects ||= server.redirects;
    return found;
  };
  if (server.listener !== undefined) {
    for (const [host, routes] of listenerHttpRoutes(t, server.listener)) {
      // Of listeners that share a port each has the hosts that no narrower one has.
      if (!isOthers(server, host, others)) entry(host).routes.push(...routes);
    }
    return;
  }
  // Who asks for a host that has no routes is told of HTTPS all the same.
  if (server.redirects) for (const { host } of server.hosts) entry(host);
  for (const { object, hosts: common } of boundServices(t, server)) {
    t.own(object);
    const routes = rulesOf(t, object).flatMap((rule) =>
      ruleRoutes(t, rule, server.port, (gateways) =>
        namesGateway(gateways, rule.object.metadata.namespace, server),
      ),
    );
    injectAnnotated(t, object, routes);
    for (const host of common) entry(host).routes.push(...routes);
  }
}

/** Whether another listener has a narrower hostname that a host lies within. */
function isOthers(server: Server, host: string, others: readonly Server[]): boolean {
  const own = server.hosts[0]?.host ?? "*";
  return others.some(({ listener, hosts }) => {
    const other = hosts[0]?.host ?? "*";
    if (listener === undefined || other === own || commonHost(own, other) !== other) return false;
    return commonHost(other, host) === host;
  });
}
