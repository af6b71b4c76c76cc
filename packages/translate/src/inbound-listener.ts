import { create } from "@bufbuild/protobuf";
import type { AppProtocol } from "@tulle/api";
import {
  Cluster_DiscoveryType,
  ClusterSchema,
  type Cluster,
} from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { TrafficDirection } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import {
  FilterChainSchema,
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
import { detect, PLAINTEXT_HTTP } from "./detection.js";
import { durationOf } from "./duration.js";
import { fullHost, writtenForms } from "./hosts.js";
import { connectionManager, httpFilter, routerFilter } from "./http-connection-manager.js";
import { addressOf } from "./messages.js";
import {
  carriageOf,
  httpVersionOf,
  portNamed,
  type Carriage,
  type MeshPort,
  type MeshService,
} from "./mesh-service.js";
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
  readonly carriage: Carriage;
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
  const mtls = chains.flatMap((port) => mtlsChains(t, port));
  const filterChains = [...mtls, ...plaintextChains(t, ports)];
  if (t.view.intercepts === true) {
    for (const chain of filterChains) takeFrom(chain, INBOUND_PORT);
    filterChains.push(...redirectedChains(t, ports));
  }
  if (filterChains.length === 0) return undefined;
  const listener = create(ListenerSchema, {
    name: INBOUND_LISTENER,
    trafficDirection: TrafficDirection.INBOUND,
    address: addressOf("0.0.0.0", INBOUND_PORT),
    filterChains,
  });
  if (ports.some(({ carriage }) => carriage !== "http")) {
    detect(listener, { http: ports.some(({ carriage }) => carriage === "detected") });
  }
  return listener;
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
    const mtls = t.view.mtls && first.accepted !== "DISABLE" ? mtlsChains(t, first) : [];
    const plaintext = plaintextChains(t, first.carriage === "http" ? [first, ...others] : [first]);
    return [...mtls, ...plaintext].map((chain) => redirected(chain, appPort));
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
    httpVersionOf(protocolOf(inbound, declared)),
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
    carriage: carriageOf(t, { protocol: protocolOf(port, declared) }),
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

/** What is registered counts more than what the workload says of itself. */
function protocolOf(inbound: InboundPort, declared: { readonly port: MeshPort } | undefined): AppProtocol {
  const registered = declared?.port.protocol ?? "auto";
  return registered === "auto" ? (inbound.protocol ?? "auto") : registered;
}

/**
 * The chains of a port for mutual TLS. Where nobody says what it carries, the caller's sidecar has found it out and says
 * so by ALPN: who offers HTTP speaks it, anybody else sends bytes.
 */
function mtlsChains(t: Translation, inbound: Inbound): FilterChain[] {
  switch (inbound.carriage) {
    case "http":
      return [mtlsHttpChain(t, inbound, [])];
    case "bytes":
      return [mtlsBytesChain(t, inbound, [])];
    case "detected":
      return [mtlsHttpChain(t, inbound, MESH_ALPN), mtlsBytesChain(t, inbound, MESH_ALPN)];
  }
}

/** `offered`: ALPN protocols that the other chain of the port takes. */
function mtlsBytesChain(t: Translation, inbound: Inbound, offered: readonly string[]): FilterChain {
  const { cluster, serverNames } = inbound;
  return tcpChain(t, toApplication(cluster), {
    name: offered.length === 0 ? cluster : `${cluster}-tcp`,
    filterChainMatch: { transportProtocol: "tls", serverNames: [...serverNames] },
    transportSocket: meshTlsServer(t.settings.trustDomain, offered),
  });
}

/** `applicationProtocols`: what a client must have offered; empty = any. */
function mtlsHttpChain(
  t: Translation,
  { cluster, port, serverNames }: Inbound,
  applicationProtocols: readonly string[],
): FilterChain {
  const manager = inboundManager(t, cluster, [everything(cluster, port)]);
  // What the peer says about callers before it stands only as a claim of the peer; its own identity is verified.
  manager.forwardClientCertDetails = ForwardClientCert.APPEND_FORWARD;
  manager.setCurrentClientCertDetails = create(HttpConnectionManagerSchema, {
    setCurrentClientCertDetails: { subject: true, dns: true, uri: true },
  }).setCurrentClientCertDetails;
  return create(FilterChainSchema, {
    name: cluster,
    filterChainMatch: {
      transportProtocol: "tls",
      serverNames: [...serverNames],
      applicationProtocols: [...applicationProtocols],
    },
    transportSocket: meshTlsServer(t.settings.trustDomain, MESH_ALPN),
    filters: [httpFilter(manager)],
  });
}

/** The chains for plaintext: HTTP names its port by Host; bytes name nothing, so their port must be the only one. */
function plaintextChains(t: Translation, ports: readonly Inbound[]): FilterChain[] {
  const taken = ports.filter(({ accepted }) => accepted !== "STRICT");
  const [only] = taken;
  if (ports.length === 1 && only !== undefined && only.carriage !== "http") {
    const bytes = tcpChain(t, toApplication(only.cluster), {
      name: `${INBOUND_LISTENER}-plaintext${only.carriage === "bytes" ? "" : "-tcp"}`,
      filterChainMatch: { transportProtocol: "raw_buffer" },
    });
    return only.carriage === "bytes" ? [bytes] : [plaintextChain(t, [only], PLAINTEXT_HTTP), bytes];
  }
  for (const { carriage, host, port } of taken) {
    if (carriage !== "bytes") continue;
    t.warn(
      `${host}:${port.servicePort} takes mutual TLS only: plaintext TCP cannot name one of several ports`,
    );
  }
  const http = taken.filter(({ carriage }) => carriage !== "bytes");
  return http.length > 0 ? [plaintextChain(t, http, [])] : [];
}

/** One try: the application is at one place, and whether it answers there is for the caller to know soon. */
function toApplication(cluster: string): TcpProxy {
  return create(TcpProxySchema, {
    statPrefix: cluster,
    clusterSpecifier: { case: "cluster", value: cluster },
  });
}

/** `applicationProtocols`: what must have been found in the first bytes; empty = anything. */
function plaintextChain(
  t: Translation,
  ports: readonly Inbound[],
  applicationProtocols: readonly string[],
): FilterChain {
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
    filterChainMatch: {
      transportProtocol: "raw_buffer",
      applicationProtocols: [...applicationProtocols],
    },
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
