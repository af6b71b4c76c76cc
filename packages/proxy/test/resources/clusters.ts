import { type MessageInitShape, create } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import type { ResourceChange } from "@tulle/engine";
import { CLUSTER_TYPE } from "@tulle/xds";
import {
  ClusterSchema,
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
} from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import type { OutlierDetectionSchema } from "@tulle/xds/gen/envoy/config/cluster/v3/outlier_detection_pb.js";
import { RoutingPriority } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import type { HealthCheckSchema } from "@tulle/xds/gen/envoy/config/core/v3/health_check_pb.js";
import type {
  Http2ProtocolOptionsSchema,
  HttpProtocolOptionsSchema as CommonOptionsSchema,
} from "@tulle/xds/gen/envoy/config/core/v3/protocol_pb.js";
import {
  type ProxyProtocolConfigSchema,
  ProxyProtocolConfig_Version as Version,
} from "@tulle/xds/gen/envoy/config/core/v3/proxy_protocol_pb.js";
import { ProxyProtocolUpstreamTransportSchema } from "@tulle/xds/gen/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.js";
import {
  SubjectAltNameMatcher_SanType,
  type TlsParametersSchema,
} from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import { UpstreamTlsContextSchema } from "@tulle/xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { HttpProtocolOptionsSchema } from "@tulle/xds/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import { ADS, ms, pack, resource, socketAddress } from "./message.js";

/** What TLS is spoken with. */
export type TlsParams = MessageInitShape<typeof TlsParametersSchema>;

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

/** A static cluster of a Unix socket. */
export function socketCluster(name: string, path: string): ResourceChange {
  const message = create(ClusterSchema, {
    name,
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.STATIC },
    connectTimeout: ms(1000),
    loadAssignment: {
      clusterName: name,
      endpoints: [
        {
          lbEndpoints: [
            {
              hostIdentifier: {
                case: "endpoint",
                value: { address: { address: { case: "pipe", value: { path } } } },
              },
            },
          ],
        },
      ],
    },
  });
  return resource(CLUSTER_TYPE, name, ClusterSchema, message);
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
