import { create } from "@bufbuild/protobuf";
import { TrafficDirection } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import { ListenerSchema, type Listener } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { HttpConnectionManagerSchema } from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { parseAuthority } from "./hosts.js";
import { connectionManager, outboundFilters } from "./http-connection-manager.js";
import { fromAds, packed } from "./messages.js";
import { carriesBytes, defaultPort, portNamed, type MeshPort, type MeshService } from "./mesh-service.js";
import { routeConfigurationName } from "./names.js";
import { tcpRoute } from "./routes/tcp-route.js";
import { resolveHost } from "./services.js";
import { tcpChain } from "./tcp-proxy.js";
import type { Translation } from "./translation.js";
import { virtualServiceFor } from "./virtual-services.js";

/** Port that HTTP means when none is written. */
const HTTP_PORT = 80;

/**
 * The listener for an authority as a client wrote it: an API listener that leads to the routes of the host in full or,
 * where the port does not carry HTTP, one without an address whose one filter chain carries bytes. Undefined when no
 * service has the name and port, and no VirtualService rules the host.
 */
export function outboundListener(t: Translation, name: string): Listener | undefined {
  const target = targetOf(t, name);
  if (target === undefined) return undefined;
  if ("port" in target && carriesBytes(t, target.port)) return bytesListener(t, name, target);
  const { routes } = target;
  const manager = connectionManager(t, routes, outboundFilters());
  manager.routeSpecifier = create(HttpConnectionManagerSchema, {
    routeSpecifier: { case: "rds", value: { routeConfigName: routes, configSource: fromAds() } },
  }).routeSpecifier;
  return create(ListenerSchema, {
    name,
    trafficDirection: TrafficDirection.OUTBOUND,
    apiListener: { apiListener: packed(HttpConnectionManagerSchema, manager) },
  });
}

function bytesListener(
  t: Translation,
  name: string,
  { service, port, listenerPort }: ServiceTarget,
): Listener {
  const proxy = tcpRoute(t, service, port, listenerPort);
  return create(ListenerSchema, {
    name,
    trafficDirection: TrafficDirection.OUTBOUND,
    filterChains: [tcpChain(t, proxy, { name })],
  });
}

interface ServiceTarget {
  readonly routes: string;
  readonly service: MeshService;
  readonly port: MeshPort;
  /** The port that the caller named. */
  readonly listenerPort: number;
}

/** What an authority leads to: a service's port, or a RouteConfiguration alone. */
function targetOf(t: Translation, name: string): ServiceTarget | { readonly routes: string } | undefined {
  const authority = parseAuthority(name);
  if (authority === undefined) return undefined;
  const { host, service } = resolveHost(t, authority.host, t.view.namespace);
  if (service !== undefined) {
    const port = authority.port === undefined ? defaultPort(service) : portNamed(service, authority.port);
    if (port === undefined) return undefined;
    const listenerPort = authority.port ?? port.number;
    return { routes: routeConfigurationName(host, listenerPort), service, port, listenerPort };
  }
  // A host that exists by its routes alone.
  const rules = virtualServiceFor(t, host)?.spec.http ?? [];
  return rules.length > 0 ? { routes: routeConfigurationName(host, authority.port ?? HTTP_PORT) } : undefined;
}
