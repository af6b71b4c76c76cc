import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { CidrRangeSchema, type CidrRange } from "@tulle/xds/gen/envoy/config/core/v3/address_pb.js";
import { TrafficDirection } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import {
  type FilterChainMatchSchema,
  FilterChainSchema,
  type FilterChain,
} from "@tulle/xds/gen/envoy/config/listener/v3/listener_components_pb.js";
import { ListenerSchema, type Listener } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import {
  HttpConnectionManager_ForwardClientCertDetails as ForwardClientCert,
  HttpConnectionManagerSchema,
  type HttpConnectionManager,
} from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { authorizationFilters, connectionGuards } from "../authorization/filters.js";
import type { Guarded } from "../authorization/holding-policies.js";
import {
  connectionManager,
  grpcWebFilters,
  httpFilter,
  outboundFilters,
} from "../http-connection-manager.js";
import { transcoderFilters } from "../grpc-json-transcoders.js";
import { addressOf, fromAds } from "../messages.js";
import { INBOUND_LISTENER } from "../names.js";
import { provenance } from "../provenance.js";
import { TcpProxySchema } from "@tulle/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { commonPaths } from "../common-paths.js";
import { overloadFilters } from "../overload-filters.js";
import { edgePolicy } from "../traffic-policies.js";
import { tcpChain } from "../tcp-proxy.js";
import type { Translation } from "../translation.js";
import { hostsOfTable } from "./http-routes.js";
import { serverTcpRoutes, serverTlsRoutes } from "./l4-routes.js";
import { limitFilters } from "./limits.js";
import { passedNames } from "./passed-services.js";
import { servedPorts, type ServedPort } from "./ports.js";
import { placeOfServer, serverNamesOf, type Server } from "./server.js";
import { serverTlsContext } from "./server-tls.js";

/** Every address, of which a gateway may be told another. */
const ANY_ADDRESS = "0.0.0.0";

/**
 * A gateway's listener: one with an address for each port that its Gateways open, and chains that name their port. Undefined
 * when no Gateway selects the client.
 */
export function gatewayListener(t: Translation): Listener | undefined {
  const chains = servedPorts(t).map((port) => ({ port, filterChains: chainsOf(t, port) }));
  // A port whose connections would all be refused is not opened.
  const opened = chains.filter(({ filterChains }) => filterChains.length > 0);
  const [first, ...others] = opened.map(({ port }) => addressOf(port.bind ?? ANY_ADDRESS, port.number));
  if (first === undefined) return undefined;
  return create(ListenerSchema, {
    name: INBOUND_LISTENER,
    trafficDirection: TrafficDirection.OUTBOUND,
    address: first,
    additionalAddresses: others.map((address) => ({ address })),
    filterChains: opened.flatMap(({ filterChains }) => filterChains),
  });
}

/** A port as policies see it. */
function guardedBy(servers: readonly Server[]): Guarded {
  const gateways = servers
    .flatMap(({ listener }) => listener?.gateway ?? [])
    .map(({ metadata }) => ({ namespace: metadata.namespace, name: metadata.name }));
  return { services: [], gateways, port: servers[0]?.port };
}

function chainsOf(t: Translation, { servers }: ServedPort): FilterChain[] {
  const [first] = servers;
  // They share a chain: what guards one of them guards all.
  if (first?.kind === "http") return [httpChain(t, first, servers)];
  return servers.flatMap((server) => {
    switch (server.kind) {
      case "https":
        return httpsChain(t, server) ?? [];
      case "passthrough":
        return serverTlsRoutes(t, server).map(({ serverNames, proxy, sources }, index) =>
          tcpChain(
            t,
            proxy,
            chain(
              server,
              { serverNames: [...serverNames], transportProtocol: "tls", ...sourceMatch(sources) },
              index,
            ),
            connectionGuards(t, guardedBy([server]), server.routes),
          ),
        );
      case "auto":
        return passedNames(t, server).map((name) => passedChain(t, server, name));
      case "tls": {
        const transportSocket = serverTlsContext(t, server, []);
        if (transportSocket === undefined) return [];
        const guards = connectionGuards(t, guardedBy([server]), server.routes);
        return serverTcpRoutes(t, server).map(({ proxy, sources }, index) => {
          const match = { ...tlsMatch(server), ...sourceMatch(sources) };
          return tcpChain(
            t,
            proxy,
            { ...chain(server, match, index === 0 ? undefined : index), transportSocket },
            guards,
          );
        });
      }
      default: {
        const guards = connectionGuards(t, guardedBy([server]), server.routes);
        return serverTcpRoutes(t, server).map(({ proxy, sources }, index) =>
          tcpChain(t, proxy, chain(server, sourceMatch(sources), index === 0 ? undefined : index), guards),
        );
      }
    }
  });
}

/** A match for clients of some addresses (`10.0.0.0/8`, or one address). */
function sourceMatch(sources: readonly string[] = []): { sourcePrefixRanges: CidrRange[] } {
  return {
    sourcePrefixRanges: sources.map((source) => {
      const [addressPrefix = "", length] = source.split("/");
      const prefixLen = Number(length ?? (addressPrefix.includes(":") ? 128 : 32));
      return create(CidrRangeSchema, { addressPrefix, prefixLen });
    }),
  };
}

/** The mesh's own TLS goes on as it is, to the service that it asks for. */
function passedChain(t: Translation, server: Server, name: string): FilterChain {
  const proxy = create(TcpProxySchema, {
    statPrefix: name,
    clusterSpecifier: { case: "cluster", value: name },
  });
  const match = { serverNames: [name], transportProtocol: "tls" };
  return tcpChain(
    t,
    proxy,
    { ...chain(server, match), name: `${server.port}|${name}` },
    connectionGuards(t, guardedBy([server]), server.routes),
  );
}

/** Plaintext for all servers of a port: they have one route table. */
function httpChain(t: Translation, server: Server, servers: readonly Server[]): FilterChain {
  return create(FilterChainSchema, {
    ...chain(server, { transportProtocol: "raw_buffer" }),
    filters: [httpFilter(managerFor(t, server, servers))],
  });
}

function httpsChain(t: Translation, server: Server): FilterChain | undefined {
  const transportSocket = serverTlsContext(t, server, ["h2", "http/1.1"]);
  if (transportSocket === undefined) return undefined;
  return create(FilterChainSchema, {
    ...chain(server, tlsMatch(server)),
    transportSocket,
    filters: [httpFilter(managerFor(t, server, [server]))],
  });
}

function tlsMatch(server: Server): MessageInitShape<typeof FilterChainMatchSchema> {
  return { serverNames: [...serverNamesOf(server)], transportProtocol: "tls" };
}

function chain(
  server: Server,
  match: MessageInitShape<typeof FilterChainMatchSchema>,
  index?: number,
): MessageInitShape<typeof FilterChainSchema> {
  return {
    name: `${server.port}|${server.routes}${index === undefined ? "" : `|${index}`}`,
    metadata: provenance(server.owner, server.field),
    filterChainMatch: { ...match, destinationPort: server.port },
  };
}

/**
 * At the edge of the mesh clients are believed nothing that they could have made up. `servers`: all that share the chain
 * with `server`.
 */
function managerFor(t: Translation, server: Server, servers: readonly Server[]): HttpConnectionManager {
  const hosts = [...hostsOfTable(t, server.routes)];
  const policies = hosts.map((host) => edgePolicy(t, host, server.port));
  // Who may not ask uses up nobody's limit.
  const filters = [
    ...grpcWebFilters(servers.some(({ grpcWeb }) => grpcWeb === true) ? "grpc-web" : undefined),
    ...authorizationFilters(t, guardedBy(servers)),
    ...limitFilters(t, hosts),
    ...overloadFilters(policies),
    // Policies, limits and CORS see the requests that clients write.
    ...outboundFilters(transcoderFilters(t, { guarded: guardedBy(servers), protocol: undefined })),
  ];
  const manager = connectionManager(t, server.routes, filters);
  Object.assign(
    manager,
    commonPaths(
      t,
      policies,
      `${placeOfServer(server)}: its hosts have different pathNormalization: their requests have the mesh's, as one chain takes them all`,
    ),
  );
  manager.forwardClientCertDetails = ForwardClientCert.SANITIZE_SET;
  // Workloads, at an egress gateway, are inside.
  if (server.tls?.mode !== "ISTIO_MUTUAL") {
    manager.useRemoteAddress = true;
    manager.xffNumTrustedHops = t.view.gateway?.trustedProxies ?? 0;
  }
  manager.routeSpecifier = create(HttpConnectionManagerSchema, {
    routeSpecifier: { case: "rds", value: { routeConfigName: server.routes, configSource: fromAds() } },
  }).routeSpecifier;
  return manager;
}
