import { create } from "@bufbuild/protobuf";
import { TrafficDirection } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import { ListenerSchema, type Listener } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { HttpConnectionManagerSchema } from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { parseAuthority } from "./hosts.js";
import { connectionManager, outboundFilters } from "./http-connection-manager.js";
import { fromAds, packed } from "./messages.js";
import { defaultPort, portNamed } from "./mesh-service.js";
import { routeConfigurationName } from "./names.js";
import { resolveHost } from "./services.js";
import type { Translation } from "./translation.js";
import { virtualServiceFor } from "./virtual-services.js";

/** Port that HTTP means when none is written. */
const HTTP_PORT = 80;

/**
 * The API listener for an authority as a client wrote it: leads to the routes of the host in full. Undefined when no
 * service has the name and port, and no VirtualService rules the host.
 */
export function outboundListener(t: Translation, name: string): Listener | undefined {
  const routes = routesOf(t, name);
  if (routes === undefined) return undefined;
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

/** Name of the RouteConfiguration that an authority leads to. */
function routesOf(t: Translation, name: string): string | undefined {
  const authority = parseAuthority(name);
  if (authority === undefined) return undefined;
  const { host, service } = resolveHost(t, authority.host, t.view.namespace);
  if (service !== undefined) {
    const port = authority.port === undefined ? defaultPort(service) : portNamed(service, authority.port);
    return port && routeConfigurationName(host, authority.port ?? port.number);
  }
  // A host that exists by its routes alone.
  const rules = virtualServiceFor(t, host)?.spec.http ?? [];
  return rules.length > 0 ? routeConfigurationName(host, authority.port ?? HTTP_PORT) : undefined;
}
