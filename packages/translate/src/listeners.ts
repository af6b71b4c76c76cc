import { create } from "@bufbuild/protobuf";
import { TrafficDirection } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import {
  FilterChainMatchSchema,
  FilterChainSchema,
} from "@tulle/xds/gen/envoy/config/listener/v3/listener_components_pb.js";
import { ListenerSchema, type Listener } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { LocalRateLimitSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.js";
import {
  HttpConnectionManagerSchema,
  type HttpConnectionManager,
  type HttpFilter,
} from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import type { TcpProxy } from "@tulle/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { chainRules } from "./consul/chain-routes.js";
import { detect, PLAINTEXT_HTTP } from "./detection.js";
import type { Frontend } from "./gateway-api/parents.js";
import { routedFrontend } from "./gateway-api/routed-frontend.js";
import { parseAuthority } from "./hosts.js";
import {
  connectionManager,
  grpcWebFilters,
  httpFilter,
  outboundFilters,
  rateLimitFilter,
} from "./http-connection-manager.js";
import { fromAds, packed } from "./messages.js";
import { carriageOf, defaultPort, portNamed, type MeshPort, type MeshService } from "./mesh-service.js";
import { routeConfigurationName } from "./names.js";
import { admissionControlFilter } from "./overload-filters.js";
import { isLocalLimit } from "./rate-limit-parts.js";
import { rateLimitsOf } from "./rate-limits.js";
import { routedTcp, tcpRoute } from "./routes/tcp-route.js";
import { tlsRoutes } from "./routes/tls-routes.js";
import { calledHost } from "./services.js";
import { tcpChain } from "./tcp-proxy.js";
import { callingPolicy } from "./traffic-policies.js";
import type { Translation } from "./translation.js";
import { virtualServiceFor } from "./virtual-services.js";

/** Port that HTTP means when none is written. */
const HTTP_PORT = 80;

/**
 * The listener for an authority as a client wrote it: an API listener that leads to the routes of the host in full or,
 * where the port does not carry HTTP or nobody says that it does, one without an address whose filter chains carry
 * bytes, and HTTP where it is found. Undefined when no service has the name and port, and no VirtualService rules the
 * host.
 */
export function outboundListener(t: Translation, name: string): Listener | undefined {
  const target = targetOf(t, name);
  if (target === undefined) return undefined;
  if ("bytes" in target) {
    return create(ListenerSchema, {
      name,
      trafficDirection: TrafficDirection.OUTBOUND,
      filterChains: [tcpChain(t, target.bytes, { name })],
    });
  }
  if ("port" in target && carriageOf(t, target.port) !== "http") return chainsListener(t, name, target);
  return create(ListenerSchema, {
    name,
    trafficDirection: TrafficDirection.OUTBOUND,
    apiListener: {
      apiListener: packed(
        HttpConnectionManagerSchema,
        managerFor(t, target.routes, "port" in target ? target.port : undefined),
      ),
    },
  });
}

/** A chain for plaintext HTTP where the port may carry it, one for each `tls` rule, and one for everything else. */
function chainsListener(t: Translation, name: string, target: ServiceTarget): Listener {
  const { service, port, routes } = target;
  const listener = create(ListenerSchema, { name, trafficDirection: TrafficDirection.OUTBOUND });
  const http = carriageOf(t, port) === "detected";
  if (http) {
    const chain = create(FilterChainSchema, {
      name: "http",
      filterChainMatch: { transportProtocol: "raw_buffer", applicationProtocols: [...PLAINTEXT_HTTP] },
      filters: [httpFilter(managerFor(t, routes, port))],
    });
    listener.filterChains.push(chain);
  }
  // Nobody looks into a port that is declared as `tcp`: its server may speak first.
  const byName = port.protocol === "tcp" ? [] : tlsRoutes(t, target);
  for (const [index, { serverNames, proxy }] of byName.entries()) {
    const filterChainMatch = create(FilterChainMatchSchema, {
      transportProtocol: "tls",
      serverNames: [...serverNames],
    });
    listener.filterChains.push(tcpChain(t, proxy, { name: `tls[${index}]`, filterChainMatch }));
  }
  warnOfRulesWithoutEffect(t, service, port);
  const rest = tcpChain(t, tcpRoute(t, target), { name });
  if (listener.filterChains.length === 0) {
    listener.filterChains.push(rest);
  } else {
    listener.defaultFilterChain = rest;
    detect(t, listener, { http });
  }
  return listener;
}

function managerFor(t: Translation, routes: string, port: MeshPort | undefined): HttpConnectionManager {
  const web = t.view.dialect === "tulle" ? grpcWebFilters(port?.protocol) : [];
  const manager = connectionManager(t, routes, [...web, ...filtersFor(t, routes), ...outboundFilters()]);
  manager.routeSpecifier = create(HttpConnectionManagerSchema, {
    routeSpecifier: { case: "rds", value: { routeConfigName: routes, configSource: fromAds() } },
  }).routeSpecifier;
  return manager;
}

/** Filters that only some services' routes configure. `routes`: full host and port. */
function filtersFor(t: Translation, routes: string): HttpFilter[] {
  const { host, port } = parseAuthority(routes) ?? {};
  if (host === undefined || port === undefined) return [];
  // What they count is the route table's, which every way of writing the host leads to.
  const limits = rateLimitsOf(t, host, "OUTBOUND").map(({ name, filter }) =>
    rateLimitFilter(
      name,
      isLocalLimit(filter) ? create(LocalRateLimitSchema, { statPrefix: filter.statPrefix }) : filter,
    ),
  );
  const { admissionControl } = callingPolicy(t, host, port);
  if (admissionControl === undefined) return limits;
  if (t.view.dialect === "grpc") t.warn(`${routes}: proxyless gRPC clients have no admission control`);
  return [...limits, admissionControlFilter()];
}

function warnOfRulesWithoutEffect(
  t: Translation,
  service: MeshService,
  { number, protocol }: MeshPort,
): void {
  const object = virtualServiceFor(t, service.host);
  if (object === undefined || protocol === "auto") return;
  const { metadata, spec } = object;
  const where = `VirtualService ${metadata.namespace}/${metadata.name}`;
  if (spec.tls !== undefined && protocol === "tcp") {
    t.warn(`${where}: tls rules have no effect on ${service.host}:${number}, which is declared as tcp`);
  }
  if (spec.http !== undefined && spec.tcp === undefined) {
    t.warn(`${where}: http rules have no effect on ${service.host}:${number}, which carries ${protocol}`);
  }
}

interface ServiceTarget extends Frontend {
  readonly routes: string;
}

/** What an authority leads to: a service's port, a RouteConfiguration alone, or where rules send its bytes. */
function targetOf(
  t: Translation,
  name: string,
): ServiceTarget | { readonly routes: string } | { readonly bytes: TcpProxy } | undefined {
  const authority = parseAuthority(name);
  if (authority === undefined) return undefined;
  const { host, service, hidden } = calledHost(t, authority.host, authority.port);
  if (hidden) return undefined;
  if (service !== undefined) {
    const port = authority.port === undefined ? defaultPort(service) : portNamed(service, authority.port);
    if (port === undefined) return undefined;
    const listenerPort = authority.port ?? port.number;
    return { routes: routeConfigurationName(host, listenerPort), host, service, port, listenerPort };
  }
  // A host that exists by its routes alone.
  const ruling = virtualServiceFor(t, host);
  const listenerPort = authority.port ?? HTTP_PORT;
  if ((ruling?.spec.http ?? []).length > 0) return { routes: routeConfigurationName(host, listenerPort) };
  const bytes = ruling && routedTcp(t, ruling, listenerPort);
  if (bytes !== undefined) return { bytes };
  if (chainRules(t, host) !== undefined) return { routes: routeConfigurationName(host, listenerPort) };
  const routed = routedFrontend(t, host, listenerPort);
  return routed && { routes: routeConfigurationName(routed.host, listenerPort) };
}
