import { defaultInboundHttpRetry } from "./mesh-defaults.js";
import { create } from "@bufbuild/protobuf";
import {
  FilterChainSchema,
  type FilterChain,
} from "@tulle/xds/gen/envoy/config/listener/v3/listener_components_pb.js";
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
  type HttpFilter,
} from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import {
  TcpProxySchema,
  type TcpProxy,
} from "@tulle/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import type { AppProtocol } from "@tulle/api";
import type { InboundPort } from "./contract.js";
import { transcoderFilters, transcoderFiltersByHost } from "./grpc-json-transcoders.js";
import {
  authorizationFilters,
  authorizationFiltersByHost,
  connectionGuards,
} from "./authorization/filters.js";
import type { Guarded } from "./authorization/holding-policies.js";
import { PLAINTEXT_HTTP } from "./detection.js";
import { durationOf } from "./duration.js";
import { writtenForms } from "./hosts.js";
import {
  connectionManager,
  grpcWebFilters,
  grpcWebFiltersByHost,
  httpFilter,
  rateLimitFilter,
  routerFilter,
  takingGrpcWeb,
} from "./http-connection-manager.js";
import type { Inbound } from "./inbound-ports.js";
import { INBOUND_LISTENER } from "./names.js";
import { commonPaths } from "./common-paths.js";
import { adaptiveConcurrencyFilter, limitConcurrency } from "./overload-filters.js";
import type { TranslatedRateLimit } from "./rate-limit-parts.js";
import { rateLimitsOf } from "./rate-limits.js";
import { serverRateLimits } from "./server-rate-limits.js";
import { DEFAULT_ROUTE } from "./routes/route-configuration.js";
import { matchAll } from "./routes/match.js";
import { inboundRetryPolicy } from "./routes/retry.js";
import { markRetries } from "./routes/route-marks.js";
import { tcpChain } from "./tcp-proxy.js";
import { MESH_ALPN, meshTlsServer } from "./tls.js";
import { servingPolicy, type TrafficPolicy } from "./traffic-policies.js";
import type { Translation } from "./translation.js";

/**
 * The chains of a port for mutual TLS. Where nobody says what it carries, the caller's sidecar has found it out and says
 * so by ALPN: who offers HTTP speaks it, anybody else sends bytes.
 */
export function mtlsChains(t: Translation, inbound: Inbound): FilterChain[] {
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
  const chain = {
    name: offered.length === 0 ? cluster : `${cluster}-tcp`,
    filterChainMatch: { transportProtocol: "tls", serverNames: [...serverNames] },
    transportSocket: meshTlsServer(t, offered),
  };
  return tcpChain(t, toApplication(cluster), chain, connectionGuards(t, guardedOf(t, inbound.port), cluster));
}

/** `applicationProtocols`: what a client must have offered; empty = any. */
function mtlsHttpChain(
  t: Translation,
  { cluster, host, port, protocol, serverNames }: Inbound,
  applicationProtocols: readonly string[],
): FilterChain {
  const limits = limitsOf(t, host, port);
  const policy = servingPolicy(t, host, port.servicePort);
  const everybody = limitConcurrency(
    limited(everything(t, cluster, port), limits),
    policy.adaptiveConcurrency,
  );
  const guarded = guardedOf(t, port);
  const guards = [
    ...grpcWebFilters(protocol),
    // Policies see the calls that the application gets.
    ...transcoderFilters(t, { guarded, protocol }),
    ...authorizationFilters(t, guarded),
  ];
  const manager = inboundManager(t, cluster, [everybody], guards, limits, [policy]);
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
    transportSocket: meshTlsServer(t, MESH_ALPN),
    filters: [httpFilter(manager)],
  });
}

/** The chains for plaintext: HTTP names its port by Host; bytes name nothing, so their port must be the only one. */
export function plaintextChains(t: Translation, ports: readonly Inbound[]): FilterChain[] {
  const taken = ports.filter(({ accepted }) => accepted !== "STRICT");
  const [only] = taken;
  if (ports.length === 1 && only !== undefined && only.carriage !== "http") {
    const chain = {
      name: `${INBOUND_LISTENER}-plaintext${only.carriage === "bytes" ? "" : "-tcp"}`,
      filterChainMatch: { transportProtocol: "raw_buffer" },
    };
    const guards = connectionGuards(t, guardedOf(t, only.port), only.cluster);
    const bytes = tcpChain(t, toApplication(only.cluster), chain, guards);
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
  const hosts: {
    readonly host: VirtualHost;
    readonly guarded: Guarded;
    readonly protocol: AppProtocol;
  }[] = [];
  const limits = new Map<string, TranslatedRateLimit>();
  const policies: TrafficPolicy[] = [];
  for (const { cluster, host, port, protocol } of ports) {
    const own = limitsOf(t, host, port);
    for (const limit of own) limits.set(limit.name, limit);
    const policy = servingPolicy(t, host, port.servicePort);
    policies.push(policy);
    const forms = writtenForms(host, t.view.namespace, t.settings.domainSuffix)
      .flatMap((form) => [`${form}:${port.servicePort}`, form])
      .filter((form) => !domains.has(form));
    for (const form of forms) domains.add(form);
    if (forms.length === 0) continue;
    const named = limited(virtualHostOf(t, cluster, forms, cluster, port), own);
    const virtualHost = limitConcurrency(named, policy.adaptiveConcurrency);
    hosts.push({ host: takingGrpcWeb(virtualHost, protocol), guarded: guardedOf(t, port), protocol });
  }
  const [first] = ports;
  if (first !== undefined) {
    const everybody = limited(everything(t, first.cluster, first.port), limitsOf(t, first.host, first.port));
    const virtualHost = limitConcurrency(everybody, policies[0]?.adaptiveConcurrency);
    hosts.push({
      host: takingGrpcWeb(virtualHost, first.protocol),
      guarded: guardedOf(t, first.port),
      protocol: first.protocol,
    });
  }
  const virtualHosts = hosts.map(({ host }) => host);
  const guards =
    first !== undefined && ports.length === 1
      ? authorizationFilters(t, guardedOf(t, first.port))
      : authorizationFiltersByHost(t, hosts);
  const all = [...grpcWebFiltersByHost(ports), ...transcoderFiltersByHost(t, hosts), ...guards];
  const manager = inboundManager(t, INBOUND_LISTENER, virtualHosts, all, [...limits.values()], policies);
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

/** A port of the workload as policies see it: by whichever of its services a caller names it. */
function guardedOf({ view }: Translation, { appPort }: InboundPort): Guarded {
  const services = view.inbound
    .filter((port) => port.appPort === appPort)
    .map(({ namespace, service }) => ({ namespace, name: service }));
  return { services, port: appPort };
}

/** The limits of a port of the workload. */
function limitsOf(t: Translation, host: string, port: InboundPort): readonly TranslatedRateLimit[] {
  return [...rateLimitsOf(t, host, "INBOUND"), ...serverRateLimits(t, host, port)];
}

/** The host's requests count for these limits. */
function limited(host: VirtualHost, limits: readonly TranslatedRateLimit[]): VirtualHost {
  host.rateLimits = limits.flatMap(({ sources }) => sources);
  return host;
}

function inboundManager(
  t: Translation,
  name: string,
  virtualHosts: VirtualHost[],
  guards: readonly HttpFilter[],
  limits: readonly TranslatedRateLimit[],
  policies: readonly TrafficPolicy[],
): HttpConnectionManager {
  // Who may not ask uses up nobody's limit.
  const filters = [...guards, ...limits.map((limit) => rateLimitFilter(limit.name, limit.filter))];
  if (policies.some(({ adaptiveConcurrency }) => adaptiveConcurrency !== undefined))
    filters.push(adaptiveConcurrencyFilter());
  const manager = connectionManager(t, name, [...filters, routerFilter()]);
  Object.assign(
    manager,
    commonPaths(
      t,
      policies,
      "the ports of this workload have different pathNormalization: requests in plaintext have the mesh's, as one chain takes them for all ports",
    ),
  );
  manager.routeSpecifier = {
    case: "routeConfig",
    value: create(RouteConfigurationSchema, { name, virtualHosts, validateClusters: false }),
  };
  return manager;
}

function everything(t: Translation, cluster: string, port: InboundPort): VirtualHost {
  return virtualHostOf(t, `inbound|http|${port.servicePort}`, ["*"], cluster, port);
}

function virtualHostOf(
  t: Translation,
  name: string,
  domains: string[],
  cluster: string,
  port: InboundPort,
): VirtualHost {
  const retries = defaultInboundHttpRetry(t);
  const route = create(RouteSchema, {
    name: DEFAULT_ROUTE,
    match: matchAll(),
    decorator: { operation: `${port.service}.${port.namespace}:${port.servicePort}/*` },
    action: {
      case: "route",
      value: create(RouteActionSchema, {
        clusterSpecifier: { case: "cluster", value: cluster },
        timeout: durationOf(0),
        retryPolicy: inboundRetryPolicy(retries),
      }),
    },
  });
  markRetries(route, retries, {});
  return create(VirtualHostSchema, { name, domains, routes: [route] });
}
