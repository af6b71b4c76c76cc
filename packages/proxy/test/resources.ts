// xDS resources for the proxy's tests, in the shape that the control plane gives them.
import {
  create,
  toBinary,
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { anyPack, DurationSchema, type Any, type Duration } from "@bufbuild/protobuf/wkt";
import type { ResourceChange } from "@tulle/engine";
import { CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ROUTE_TYPE, SECRET_TYPE } from "@tulle/xds";
import {
  ClusterSchema,
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
} from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import type { OutlierDetectionSchema } from "@tulle/xds/gen/envoy/config/cluster/v3/outlier_detection_pb.js";
import type {
  Http2ProtocolOptionsSchema,
  HttpProtocolOptionsSchema as CommonOptionsSchema,
} from "@tulle/xds/gen/envoy/config/core/v3/protocol_pb.js";
import type { HealthCheckSchema } from "@tulle/xds/gen/envoy/config/core/v3/health_check_pb.js";
import { RoutingPriority, TrafficDirection } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import { ClusterLoadAssignmentSchema } from "@tulle/xds/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import {
  type ProxyProtocolConfigSchema,
  ProxyProtocolConfig_Version as Version,
} from "@tulle/xds/gen/envoy/config/core/v3/proxy_protocol_pb.js";
import { ListenerSchema } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { RouteConfigurationSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_pb.js";
import type { RouteSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { FileAccessLogSchema } from "@tulle/xds/gen/envoy/extensions/access_loggers/file/v3/file_pb.js";
import { RouterSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/router/v3/router_pb.js";
import { ProxyProtocolSchema } from "@tulle/xds/gen/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol_pb.js";
import { ProxyProtocolUpstreamTransportSchema } from "@tulle/xds/gen/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.js";
import {
  HttpConnectionManager_ForwardClientCertDetails as ForwardClientCert,
  HttpConnectionManagerSchema,
} from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { TcpProxySchema } from "@tulle/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import {
  SubjectAltNameMatcher_SanType,
  type TlsParametersSchema,
} from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import { SecretSchema } from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import {
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";

import { HttpProtocolOptionsSchema } from "@tulle/xds/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import { ISTIO_ACCESS_LOG_FORMAT } from "../src/telemetry/access-log-format.js";

/** What TLS is spoken with. */
export type TlsParams = MessageInitShape<typeof TlsParametersSchema>;
export type RouteInit = MessageInitShape<typeof RouteSchema>;

let version = 0;

function resource<Desc extends DescMessage>(
  typeUrl: string,
  name: string,
  schema: Desc,
  message: MessageShape<Desc>,
): ResourceChange {
  return { typeUrl, name, version: String(++version), bytes: toBinary(schema, message) };
}

function pack<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): Any {
  return anyPack(schema, create(schema, init));
}

export function ms(value: number): Duration {
  return create(DurationSchema, { seconds: BigInt(Math.floor(value / 1000)), nanos: (value % 1000) * 1e6 });
}

function accessLog() {
  return {
    name: "envoy.access_loggers.file",
    configType: {
      case: "typedConfig" as const,
      value: pack(FileAccessLogSchema, {
        path: "/dev/stdout",
        accessLogFormat: {
          case: "logFormat",
          value: { format: { case: "textFormat", value: `${ISTIO_ACCESS_LOG_FORMAT}\n` } },
        },
      }),
    },
  };
}

const ROUTER = {
  name: "envoy.filters.http.router",
  configType: { case: "typedConfig" as const, value: pack(RouterSchema, {}) },
};
const ADS = { configSourceSpecifier: { case: "ads" as const, value: {} } };

/** An API listener whose routes come by RDS under `routes`; paths are normalised as Istio does by default. */
export function apiListener(
  name: string,
  routes: string,
  settings: MessageInitShape<typeof HttpConnectionManagerSchema> = {},
): ResourceChange {
  const manager = pack(HttpConnectionManagerSchema, {
    statPrefix: "outbound",
    normalizePath: true,
    routeSpecifier: { case: "rds", value: { routeConfigName: routes, configSource: ADS } },
    httpFilters: [ROUTER],
    accessLog: [accessLog()],
    ...settings,
  } as MessageInitShape<typeof HttpConnectionManagerSchema>);
  return resource(
    LISTENER_TYPE,
    name,
    ListenerSchema,
    create(ListenerSchema, { name, apiListener: { apiListener: manager } }),
  );
}

/** What Istio gives every route unless told otherwise. */
export const DEFAULT_RETRIES = {
  retryOn: "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes,reset-before-request",
  numRetries: 2,
  hostSelectionRetryMaxAttempts: 5n,
  retryHostPredicate: [{ name: "envoy.retry_host_predicates.previous_hosts" }],
};

/** A route of everything to one cluster. */
export function routeTo(cluster: string, action: Record<string, unknown> = {}) {
  return {
    name: "default",
    match: { pathSpecifier: { case: "prefix" as const, value: "/" } },
    action: {
      case: "route" as const,
      value: {
        clusterSpecifier: { case: "cluster" as const, value: cluster },
        timeout: ms(0),
        retryPolicy: DEFAULT_RETRIES,
        ...action,
      },
    },
  };
}

export function routes(
  name: string,
  list: readonly RouteInit[],
  domains: readonly string[] = ["*"],
  host: object = {},
): ResourceChange {
  const message = create(RouteConfigurationSchema, {
    name,
    virtualHosts: [{ name: "vh", domains: [...domains], routes: [...list], ...host }],
  });
  return resource(ROUTE_TYPE, name, RouteConfigurationSchema, message);
}

export interface ClusterOptions {
  readonly connectTimeoutMs?: number;
  /** Endpoints with `tlsMode: istio` are called with this SNI and must be this identity. */
  readonly tls?: {
    readonly sni: string;
    readonly spiffeId: string;
    readonly alpn?: readonly string[];
    readonly tlsParams?: TlsParams;
  };
  /** Every endpoint is a TLS server outside the mesh. */
  readonly originate?: MessageInitShape<typeof UpstreamTlsContextSchema>;
  /** Endpoints in plaintext speak HTTP/2. */
  readonly http2?: boolean;
  /** Connections begin with a PROXY header of this version. */
  readonly proxyProtocol?: 1 | 2;
  readonly thresholds?: {
    readonly maxConnections?: number;
    readonly maxPendingRequests?: number;
    readonly maxRequests?: number;
    readonly maxConnectionPools?: number;
    readonly trackRemaining?: boolean;
  };
  /** Connections to one endpoint. */
  readonly maxConnectionsPerHost?: number;
  /** Of priority HIGH. */
  readonly highThresholds?: ClusterOptions["thresholds"];
  readonly outlierDetection?: MessageInitShape<typeof OutlierDetectionSchema>;
  readonly healthCheck?: MessageInitShape<typeof HealthCheckSchema>;
  /** Of HTTP/1.1 and HTTP/2 connections alike. */
  readonly common?: MessageInitShape<typeof CommonOptionsSchema>;
  /** Of HTTP/2 connections. */
  readonly http2Options?: MessageInitShape<typeof Http2ProtocolOptionsSchema>;
  /** Seconds without a byte after which the kernel asks. */
  readonly keepAliveSeconds?: number;
  /** Fields as they are. */
  readonly more?: MessageInitShape<typeof ClusterSchema>;
}

/** An EDS cluster. */
export function cluster(name: string, options: ClusterOptions = {}): ResourceChange {
  const message = create(ClusterSchema, {
    name,
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.EDS },
    edsClusterConfig: { edsConfig: ADS },
    connectTimeout: ms(options.connectTimeoutMs ?? 1000),
    // Istio lifts the limit of retries at once; Envoy alone has 3.
    circuitBreakers: {
      thresholds: [
        { maxRetries: 4_294_967_295, ...options.thresholds },
        ...(options.highThresholds === undefined
          ? []
          : [{ priority: RoutingPriority.HIGH, ...options.highThresholds }]),
      ],
      perHostThresholds:
        options.maxConnectionsPerHost === undefined
          ? []
          : [{ maxConnections: options.maxConnectionsPerHost }],
    },
    healthChecks: options.healthCheck === undefined ? [] : [options.healthCheck],
    ...(options.outlierDetection === undefined ? {} : { outlierDetection: options.outlierDetection }),
    transportSocketMatches: options.tls === undefined ? [] : tlsMatches(options.tls),
    typedExtensionProtocolOptions: httpOptions(options.http2, options),
    ...(options.keepAliveSeconds === undefined
      ? {}
      : { upstreamConnectionOptions: { tcpKeepalive: { keepaliveTime: options.keepAliveSeconds } } }),
    ...(options.proxyProtocol === undefined
      ? {}
      : { transportSocket: proxySocket({ version: options.proxyProtocol === 1 ? Version.V1 : Version.V2 }) }),
    ...(options.originate === undefined ? {} : { transportSocket: tlsSocket(options.originate) }),
    ...(options.more as object),
  });
  return resource(CLUSTER_TYPE, name, ClusterSchema, message);
}

function tlsSocket(context: MessageInitShape<typeof UpstreamTlsContextSchema>) {
  const value = pack(UpstreamTlsContextSchema, context);
  return { name: "tls", configType: { case: "typedConfig" as const, value } };
}

/** A Secret, as the control plane sends it. */
export function secret(
  name: string,
  type: NonNullable<MessageInitShape<typeof SecretSchema>["type"]>,
): ResourceChange {
  return resource(SECRET_TYPE, name, SecretSchema, create(SecretSchema, { name, type }));
}

function proxySocket(config: MessageInitShape<typeof ProxyProtocolConfigSchema>) {
  return {
    name: "envoy.transport_sockets.upstream_proxy_protocol",
    configType: {
      case: "typedConfig" as const,
      value: pack(ProxyProtocolUpstreamTransportSchema, { config }),
    },
  };
}

function httpOptions(
  http2 = false,
  { common, http2Options }: Pick<ClusterOptions, "common" | "http2Options"> = {},
): Record<string, Any> {
  if (!http2 && common === undefined && http2Options === undefined) return {};
  const options = pack(HttpProtocolOptionsSchema, {
    ...(common === undefined ? {} : { commonHttpProtocolOptions: common }),
    upstreamProtocolOptions: http2
      ? {
          case: "explicitHttpConfig",
          value: { protocolConfig: { case: "http2ProtocolOptions", value: http2Options ?? {} } },
        }
      : { case: "autoConfig", value: { http2ProtocolOptions: http2Options ?? {} } },
  });
  return { "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options };
}

function tlsMatches(tls: NonNullable<ClusterOptions["tls"]>) {
  const context = pack(UpstreamTlsContextSchema, {
    sni: tls.sni,
    commonTlsContext: {
      ...(tls.tlsParams !== undefined && { tlsParams: tls.tlsParams }),
      alpnProtocols: [...(tls.alpn ?? ["h2", "http/1.1"])],
      validationContextType: {
        case: "combinedValidationContext",
        value: {
          defaultValidationContext: {
            matchTypedSubjectAltNames: [
              {
                sanType: SubjectAltNameMatcher_SanType.URI,
                matcher: { matchPattern: { case: "exact", value: tls.spiffeId } },
              },
            ],
          },
        },
      },
    },
  });
  return [
    {
      name: "istio",
      match: { tlsMode: "istio" },
      transportSocket: { name: "tls", configType: { case: "typedConfig" as const, value: context } },
    },
  ];
}

export interface EndpointInit {
  /** Default 127.0.0.1. */
  readonly host?: string;
  readonly port: number;
  readonly mtls?: boolean;
  /** `workload;namespace;canonical;revision;cluster` */
  readonly workload?: string;
}

export function endpoints(clusterName: string, list: readonly EndpointInit[]): ResourceChange {
  const message = create(ClusterLoadAssignmentSchema, {
    clusterName,
    endpoints: [
      {
        locality: {},
        lbEndpoints: list.map(({ host, port, mtls, workload }) => ({
          hostIdentifier: { case: "endpoint" as const, value: { address: socketAddress(port, host) } },
          metadata: {
            filterMetadata: {
              ...(mtls === true ? { "envoy.transport_socket_match": { tlsMode: "istio" } } : {}),
              ...(workload === undefined ? {} : { istio: { workload } }),
            },
          },
        })),
      },
    ],
  });
  return resource(ENDPOINT_TYPE, clusterName, ClusterLoadAssignmentSchema, message);
}

function socketAddress(port: number, address = "127.0.0.1") {
  return {
    address: {
      case: "socketAddress" as const,
      value: { address, portSpecifier: { case: "portValue" as const, value: port } },
    },
  };
}

/** A static cluster of one port on this machine. */
export function staticCluster(
  name: string,
  port: number,
  options: {
    readonly http2?: boolean;
    readonly proxyProtocol?: MessageInitShape<typeof ProxyProtocolConfigSchema>;
  } = {},
): ResourceChange {
  const message = create(ClusterSchema, {
    name,
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.STATIC },
    connectTimeout: ms(1000),
    typedExtensionProtocolOptions: httpOptions(options.http2),
    ...(options.proxyProtocol === undefined ? {} : { transportSocket: proxySocket(options.proxyProtocol) }),
    loadAssignment: {
      clusterName: name,
      endpoints: [
        { lbEndpoints: [{ hostIdentifier: { case: "endpoint", value: { address: socketAddress(port) } } }] },
      ],
    },
  });
  return resource(CLUSTER_TYPE, name, ClusterSchema, message);
}

interface InboundOptions {
  readonly sni: string;
  readonly cluster: string;
  readonly permissive?: boolean;
  /** A listener filter for PROXY headers. */
  readonly proxyProtocol?: MessageInitShape<typeof ProxyProtocolSchema>;
  /** What mutual TLS is spoken with. */
  readonly tlsParams?: TlsParams;
}

const SILENCE = ms(50);

/** The inbound listener: `filters` behind a mutual-TLS chain for `sni`, and behind a plaintext one when permissive. */
function inboundWith(
  filters: ReturnType<typeof tcpFilter>[],
  { sni, permissive, proxyProtocol, tlsParams }: InboundOptions,
): ResourceChange {
  const tls = pack(DownstreamTlsContextSchema, {
    requireClientCertificate: true,
    commonTlsContext: tlsParams === undefined ? {} : { tlsParams },
  });
  const chains: MessageInitShape<typeof ListenerSchema>["filterChains"] = [
    {
      name: "mtls",
      filterChainMatch: { transportProtocol: "tls", serverNames: [sni] },
      transportSocket: { name: "tls", configType: { case: "typedConfig", value: tls } },
      filters,
    },
  ];
  if (permissive === true) {
    chains.push({ name: "plaintext", filterChainMatch: { transportProtocol: "raw_buffer" }, filters });
  }
  const name = "virtualInbound";
  const message = create(ListenerSchema, {
    name,
    trafficDirection: TrafficDirection.INBOUND,
    filterChains: chains,
    listenerFilters:
      proxyProtocol === undefined
        ? []
        : [
            {
              name: "envoy.filters.listener.proxy_protocol",
              configType: { case: "typedConfig", value: pack(ProxyProtocolSchema, proxyProtocol) },
            },
          ],
  });
  return resource(LISTENER_TYPE, name, ListenerSchema, message);
}

/** The inbound listener that hands requests to `cluster`. */
export function inboundListener(options: InboundOptions): ResourceChange {
  return inboundWith([httpFilter(options.cluster)], options);
}

function httpFilter(cluster: string) {
  const retryPolicy = { retryOn: "reset-before-request", numRetries: 2 };
  const virtualHosts = [{ name: "inbound", domains: ["*"], routes: [routeTo(cluster, { retryPolicy })] }];
  return managerFilter({ case: "routeConfig", value: { name: "inbound", virtualHosts } });
}

function managerFilter(
  routeSpecifier: MessageInitShape<typeof HttpConnectionManagerSchema>["routeSpecifier"],
) {
  const manager = pack(HttpConnectionManagerSchema, {
    statPrefix: "http",
    routeSpecifier: routeSpecifier ?? { case: undefined },
    httpFilters: [ROUTER],
    accessLog: [accessLog()],
    forwardClientCertDetails: ForwardClientCert.APPEND_FORWARD,
  });
  return { name: "http", configType: { case: "typedConfig" as const, value: manager } };
}

/** One filter chain of {@link inboundChains}. */
interface InboundChainInit {
  readonly transport: "tls" | "raw_buffer";
  /** Absent: any that no other chain names. 15006: the listener's own. */
  readonly destinationPort?: number;
  readonly serverNames?: string[];
  readonly carries: "http" | "tcp";
  readonly cluster: string;
}

/** The inbound listener of a workload that connections are redirected to. */
export function inboundChains(...inits: readonly InboundChainInit[]): ResourceChange {
  const tls = pack(DownstreamTlsContextSchema, { requireClientCertificate: true, commonTlsContext: {} });
  const name = "virtualInbound";
  const filterChains = inits.map(({ transport, carries, cluster, ...match }, index) => ({
    name: `chain ${index}`,
    filterChainMatch: { ...match, transportProtocol: transport },
    filters: [carries === "http" ? httpFilter(cluster) : tcpFilter(cluster)],
    ...(transport === "tls"
      ? { transportSocket: { name: "tls", configType: { case: "typedConfig" as const, value: tls } } }
      : {}),
  }));
  const address = {
    address: {
      case: "socketAddress" as const,
      value: { address: "0.0.0.0", portSpecifier: { case: "portValue" as const, value: 15_006 } },
    },
  };
  const init = { name, trafficDirection: TrafficDirection.INBOUND, address, filterChains };
  return resource(LISTENER_TYPE, name, ListenerSchema, create(ListenerSchema, init));
}

/** A cluster that leads to where a redirected connection was made to. */
export function originalDestinationCluster(name: string): ResourceChange {
  const message = create(ClusterSchema, {
    name,
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.ORIGINAL_DST },
    lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED,
    connectTimeout: ms(1000),
  });
  return resource(CLUSTER_TYPE, name, ClusterSchema, message);
}

function tcpFilter(cluster: string, init: object = {}) {
  const proxy = pack(TcpProxySchema, {
    clusterSpecifier: { case: "cluster", value: cluster },
    accessLog: [accessLog()],
    ...init,
  });
  return { name: "tcp", configType: { case: "typedConfig" as const, value: proxy } };
}

/** The listener of an authority whose bytes go to `cluster`. */
export function tcpListener(
  name: string,
  cluster: string,
  init: { readonly maxConnectAttempts?: number; readonly idleTimeout?: Duration } = {},
): ResourceChange {
  const message = create(ListenerSchema, {
    name,
    trafficDirection: TrafficDirection.OUTBOUND,
    filterChains: [{ filters: [tcpFilter(cluster, init)] }],
  });
  return resource(LISTENER_TYPE, name, ListenerSchema, message);
}

/** The inbound listener that hands bytes to `cluster`, behind `guards`. */
export function inboundTcpListener(
  options: InboundOptions & { readonly guards?: Parameters<typeof inboundWith>[0] },
): ResourceChange {
  return inboundWith([...(options.guards ?? []), tcpFilter(options.cluster)], options);
}

export interface DetectedOptions {
  /** What carries everything but HTTP. */
  readonly cluster: string;
  /** Name of the routes for HTTP; undefined = HTTP is carried like everything else. */
  readonly routes?: string;
  /** Clusters for TLS, by the server name that it asks for. */
  readonly tls?: Readonly<Record<string, string>>;
}

/** The listener of an authority whose connections are told apart by their first bytes. */
export function detectedListener(
  name: string,
  { cluster, routes, tls = {} }: DetectedOptions,
): ResourceChange {
  const http = {
    name: "http",
    filterChainMatch: { transportProtocol: "raw_buffer", applicationProtocols: ["http/1.1", "h2c"] },
    filters: [managerFilter({ case: "rds", value: { routeConfigName: routes ?? "", configSource: ADS } })],
  };
  const byName = Object.entries(tls).map(([serverName, target]) => ({
    name: serverName,
    filterChainMatch: { transportProtocol: "tls", serverNames: [serverName] },
    filters: [tcpFilter(target)],
  }));
  const message = create(ListenerSchema, {
    name,
    trafficDirection: TrafficDirection.OUTBOUND,
    filterChains: [...(routes === undefined ? [] : [http]), ...byName],
    defaultFilterChain: { filters: [tcpFilter(cluster)] },
    listenerFiltersTimeout: SILENCE,
  });
  return resource(LISTENER_TYPE, name, ListenerSchema, message);
}

/** The inbound listener of a port that nobody says of what it carries. */
export function inboundDetectedListener({ sni, cluster, permissive }: InboundOptions): ResourceChange {
  const http = httpFilter(cluster);
  const transportSocket = {
    name: "tls",
    configType: {
      case: "typedConfig" as const,
      value: pack(DownstreamTlsContextSchema, { requireClientCertificate: true, commonTlsContext: {} }),
    },
  };
  const mtls = { transportProtocol: "tls", serverNames: [sni] };
  const plaintext = { transportProtocol: "raw_buffer" };
  const message = create(ListenerSchema, {
    name: "virtualInbound",
    trafficDirection: TrafficDirection.INBOUND,
    filterChains: [
      {
        name: "http",
        filterChainMatch: { ...mtls, applicationProtocols: ["h2", "http/1.1"] },
        transportSocket,
        filters: [http],
      },
      { name: "bytes", filterChainMatch: mtls, transportSocket, filters: [tcpFilter(cluster)] },
      ...(permissive === true
        ? [
            {
              name: "plaintext",
              filterChainMatch: { ...plaintext, applicationProtocols: ["http/1.1", "h2c"] },
              filters: [http],
            },
            { name: "plaintext-tcp", filterChainMatch: plaintext, filters: [tcpFilter(cluster)] },
          ]
        : []),
    ],
    listenerFiltersTimeout: SILENCE,
  });
  return resource(LISTENER_TYPE, "virtualInbound", ListenerSchema, message);
}

/** A listener, a route, a cluster and its endpoints: everything for `authority` to reach `ports`. */
export function serviceAt(
  authority: string,
  ports: readonly number[],
  action: Record<string, unknown> = {},
): ResourceChange[] {
  const host = `${authority.split(":")[0]}.default.svc.cluster.local`;
  const name = `outbound|9080||${host}`;
  return [
    cluster(name),
    endpoints(
      name,
      ports.map((port) => ({ port })),
    ),
    apiListener(authority, `${host}:9080`),
    routes(`${host}:9080`, [routeTo(name, action)]),
  ];
}
