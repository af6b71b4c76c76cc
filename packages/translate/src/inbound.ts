import { create } from "@bufbuild/protobuf";
import {
  Cluster_DiscoveryType,
  ClusterSchema,
  type Cluster,
} from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { TrafficDirection } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import {
  FilterChainSchema,
  FilterSchema,
  type FilterChain,
} from "@tulle/xds/gen/envoy/config/listener/v3/listener_components_pb.js";
import { ListenerSchema, type Listener } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import {
  RouteActionSchema,
  RouteSchema,
  VirtualHostSchema,
  type VirtualHost,
} from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { RouteConfigurationSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_pb.js";
import {
  HttpConnectionManager_ForwardClientCertDetails as ForwardClientCert,
  HttpConnectionManagerSchema,
  type HttpConnectionManager,
} from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import {
  TcpProxySchema,
  type TcpProxy,
} from "@tulle/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { acceptedTls, type AcceptedTls } from "./authentication.js";
import { catalogService } from "./catalog-service.js";
import { applyPolicy } from "./cluster-policy.js";
import type { InboundPort } from "./contract.js";
import { durationOf } from "./duration.js";
import { fullHost, writtenForms } from "./hosts.js";
import { connectionManager, routerFilter } from "./http-connection-manager.js";
import { addressOf, packed } from "./messages.js";
import { carriesBytes, needsHttp2, portNamed, type MeshPort, type MeshService } from "./mesh-service.js";
import { anyPortServerName, inboundClusterName, serverName, type ClusterName } from "./names.js";
import { DEFAULT_ROUTE } from "./routes/route-configuration.js";
import { matchAll } from "./routes/match.js";
import { inboundRetryPolicy } from "./routes/retry.js";
import { passthroughChain, redirected, takeFrom } from "./redirected-inbound.js";
import { tcpChain } from "./tcp-proxy.js";
import { MESH_ALPN, meshTlsServer, rawBuffer } from "./tls.js";
import { behindHeader } from "./upstream-proxy-protocol.js";
import type { Translation } from "./translation.js";

/** Name of the inbound listener (Istio's). */
export const INBOUND_LISTENER = "virtualInbound";
/** Where Istio's inbound listener binds; a sidecar binds where it was told to. */
const INBOUND_PORT = 15_006;

/** A port of the workload with what else is known about it. */
interface Inbound {
  readonly port: InboundPort;
  readonly host: string;
  readonly cluster: string;
  readonly accepted: AcceptedTls;
  /** Its bytes pass as they are. */
  readonly opaque: boolean;
  /** Server names that mean this port. */
  readonly serverNames: readonly string[];
}

/**
 * The workload's inbound listener: a chain of mutual TLS for each port, chosen by server name, and one of plaintext that
 * chooses by Host, for the ports that take it. Undefined for clients without inbound ports, or with none that they could
 * serve as they must.
 */
export function inboundListener(t: Translation): Listener | undefined {
  if (t.view.inbound.length === 0) return undefined;
  const seen = new Set<string>();
  const ports = t.view.inbound.flatMap((port) => inboundOf(t, port, seen) ?? []);
  const chains = t.view.mtls
    ? ports.filter(({ accepted, serverNames }) => accepted !== "DISABLE" && serverNames.length > 0)
    : [];
  const filterChains = chains.map((port) => mtlsChain(t, port));
  const plaintext = plaintextChainOf(t, ports);
  if (plaintext !== undefined) filterChains.push(plaintext);
  if (t.view.intercepts === true) {
    for (const chain of filterChains) takeFrom(chain, INBOUND_PORT);
    filterChains.push(...redirectedChains(t, ports));
  }
  if (filterChains.length === 0) return undefined;
  return create(ListenerSchema, {
    name: INBOUND_LISTENER,
    trafficDirection: TrafficDirection.INBOUND,
    address: addressOf("0.0.0.0", INBOUND_PORT),
    filterChains,
  });
}

/**
 * The chains for connections that were redirected on their way to the workload, each chosen by the port that it was made
 * to. Other ports than the declared ones pass as they are, unless the workload takes mutual TLS only.
 */
function redirectedChains(t: Translation, ports: readonly Inbound[]): FilterChain[] {
  const appPorts = [...new Set(ports.map(({ port }) => port.appPort))];
  const chains = appPorts.flatMap((appPort) => {
    const [first, ...others] = ports.filter(({ port }) => port.appPort === appPort);
    if (first === undefined) return [];
    const mtls = t.view.mtls && first.accepted !== "DISABLE" ? [mtlsChain(t, first)] : [];
    const plaintext = plaintextChainOf(t, first.opaque ? [first] : [first, ...others]);
    const made = plaintext === undefined ? mtls : [...mtls, plaintext];
    return made.map((chain) => redirected(chain, appPort));
  });
  const passthrough = passthroughChain(t);
  return passthrough === undefined ? chains : [...chains, passthrough];
}

/** The cluster of the workload's own application; undefined when the view has no such port. */
export function inboundCluster(
  t: Translation,
  name: string,
  { host, port }: ClusterName,
): Cluster | undefined {
  const inbound = t.view.inbound.find(
    (candidate) => candidate.servicePort === port && hostOf(t, candidate) === host,
  );
  if (inbound === undefined) return undefined;
  const cluster = create(ClusterSchema, {
    name,
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.STATIC },
    loadAssignment: {
      clusterName: name,
      endpoints: [
        {
          locality: {},
          lbEndpoints: [
            {
              hostIdentifier: {
                case: "endpoint",
                value: { address: addressOf("127.0.0.1", inbound.appPort) },
              },
              loadBalancingWeight: 1,
            },
          ],
          loadBalancingWeight: 1,
        },
      ],
    },
  });
  if (inbound.proxyProtocol !== undefined) {
    cluster.transportSocket = behindHeader(rawBuffer(), inbound.proxyProtocol === 1 ? "V1" : "V2");
  }
  const declared = portOf(t, inbound);
  applyPolicy(
    t,
    cluster,
    { loadBalancer: { simple: "ROUND_ROBIN" } },
    declared !== undefined && needsHttp2(declared.port.protocol),
  );
  return cluster;
}

/** Undefined when another entry of the list already has the service's port. */
function inboundOf(t: Translation, port: InboundPort, seen: Set<string>): Inbound | undefined {
  const host = hostOf(t, port);
  const cluster = inboundClusterName(host, port.servicePort);
  if (seen.has(cluster)) return undefined;
  seen.add(cluster);
  const declared = portOf(t, port);
  const names = [serverName(host, port.servicePort)];
  // Callers of a portless service name the port that stands for the whole service, usually another instance's; which
  // one that is changes as instances come and go.
  if (declared?.service.portless === true) {
    names.push(serverName(host, declared.port.number), anyPortServerName(host));
  }
  const serverNames = [...new Set(names)].filter((name) => !seen.has(name));
  for (const name of serverNames) seen.add(name);
  return {
    port,
    host,
    cluster,
    accepted: acceptedTls(t, port.appPort),
    opaque: carriesBytes(t, { protocol: declared?.port.protocol ?? port.protocol ?? "http" }),
    serverNames,
  };
}

function hostOf(t: Translation, port: InboundPort): string {
  return fullHost({ namespace: port.namespace, name: port.service }, t.settings.domainSuffix);
}

/** The registered service's idea of the port; it may not be registered yet. */
function portOf(t: Translation, inbound: InboundPort): { service: MeshService; port: MeshPort } | undefined {
  const registered = t.service({ namespace: inbound.namespace, name: inbound.service.toLowerCase() });
  const service = registered && catalogService(t, registered);
  const port = service && portNamed(service, inbound.servicePort);
  return service && port && { service, port };
}

function mtlsChain(t: Translation, inbound: Inbound): FilterChain {
  const { cluster, port } = inbound;
  if (inbound.opaque) {
    return tcpChain(t, toApplication(cluster), {
      name: cluster,
      filterChainMatch: { transportProtocol: "tls", serverNames: [...inbound.serverNames] },
      transportSocket: meshTlsServer(t.settings.trustDomain, []),
    });
  }
  const manager = inboundManager(t, cluster, [everything(cluster, port)]);
  // What the peer says about callers before it stands only as a claim of the peer; its own identity is verified.
  manager.forwardClientCertDetails = ForwardClientCert.APPEND_FORWARD;
  manager.setCurrentClientCertDetails = create(HttpConnectionManagerSchema, {
    setCurrentClientCertDetails: { subject: true, dns: true, uri: true },
  }).setCurrentClientCertDetails;
  return create(FilterChainSchema, {
    name: cluster,
    filterChainMatch: { transportProtocol: "tls", serverNames: [...inbound.serverNames] },
    transportSocket: meshTlsServer(t.settings.trustDomain, MESH_ALPN),
    filters: [httpFilter(manager)],
  });
}

/** The chain for plaintext: HTTP names its port by Host; bytes name nothing, so their port must be the only one. */
function plaintextChainOf(t: Translation, ports: readonly Inbound[]): FilterChain | undefined {
  const taken = ports.filter(({ accepted }) => accepted !== "STRICT");
  const [only] = taken;
  if (ports.length === 1 && only?.opaque === true) {
    return tcpChain(t, toApplication(only.cluster), {
      name: `${INBOUND_LISTENER}-plaintext`,
      filterChainMatch: { transportProtocol: "raw_buffer" },
    });
  }
  for (const { opaque, host, port } of taken) {
    if (!opaque) continue;
    t.warn(
      `${host}:${port.servicePort} takes mutual TLS only: plaintext TCP cannot name one of several ports`,
    );
  }
  const http = taken.filter(({ opaque }) => !opaque);
  return http.length > 0 ? plaintextChain(t, http) : undefined;
}

/** One try: the application is at one place, and whether it answers there is for the caller to know soon. */
function toApplication(cluster: string): TcpProxy {
  return create(TcpProxySchema, {
    statPrefix: cluster,
    clusterSpecifier: { case: "cluster", value: cluster },
  });
}

function plaintextChain(t: Translation, ports: readonly Inbound[]): FilterChain {
  const domains = new Set<string>();
  const hosts: VirtualHost[] = [];
  for (const { cluster, host, port } of ports) {
    const forms = writtenForms(host, t.view.namespace, t.settings.domainSuffix)
      .flatMap((form) => [`${form}:${port.servicePort}`, form])
      .filter((form) => !domains.has(form));
    for (const form of forms) domains.add(form);
    if (forms.length > 0) hosts.push(virtualHost(cluster, forms, cluster, port));
  }
  const [first] = ports;
  if (first !== undefined) hosts.push(everything(first.cluster, first.port));
  const manager = inboundManager(t, INBOUND_LISTENER, hosts);
  // Nobody vouches for the sender of plaintext: what it says about certificates is dropped.
  manager.forwardClientCertDetails = ForwardClientCert.SANITIZE;
  return create(FilterChainSchema, {
    name: `${INBOUND_LISTENER}-plaintext`,
    filterChainMatch: { transportProtocol: "raw_buffer" },
    filters: [httpFilter(manager)],
  });
}

function inboundManager(t: Translation, name: string, virtualHosts: VirtualHost[]): HttpConnectionManager {
  const manager = connectionManager(t, name, [routerFilter()]);
  manager.routeSpecifier = {
    case: "routeConfig",
    value: create(RouteConfigurationSchema, { name, virtualHosts, validateClusters: false }),
  };
  return manager;
}

function everything(cluster: string, port: InboundPort): VirtualHost {
  return virtualHost(`inbound|http|${port.servicePort}`, ["*"], cluster, port);
}

function virtualHost(name: string, domains: string[], cluster: string, port: InboundPort): VirtualHost {
  return create(VirtualHostSchema, {
    name,
    domains,
    routes: [
      create(RouteSchema, {
        name: DEFAULT_ROUTE,
        match: matchAll(),
        decorator: { operation: `${port.service}.${port.namespace}:${port.servicePort}/*` },
        action: {
          case: "route",
          value: create(RouteActionSchema, {
            clusterSpecifier: { case: "cluster", value: cluster },
            timeout: durationOf(0),
            retryPolicy: inboundRetryPolicy(),
          }),
        },
      }),
    ],
  });
}

function httpFilter(manager: HttpConnectionManager) {
  return create(FilterSchema, {
    name: "envoy.filters.network.http_connection_manager",
    configType: { case: "typedConfig", value: packed(HttpConnectionManagerSchema, manager) },
  });
}
