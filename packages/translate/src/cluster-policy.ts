import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { parseDuration } from "@tulle/base";
import type { ConnectionPoolSettings, WaitForEndpoint } from "@tulle/api";
import { ClusterSchema, type Cluster } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import type { Http2ProtocolOptionsSchema } from "@tulle/xds/gen/envoy/config/core/v3/protocol_pb.js";
import {
  HttpProtocolOptionsSchema,
  type HttpProtocolOptions,
} from "@tulle/xds/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import { note } from "./cluster-notes.js";
import type { EffectivePolicy, OutlierSettings } from "./destination-rules.js";
import { durationOf, durationOfText } from "./duration.js";
import { passiveCheck } from "./health-check-policy.js";
import { applyLoadBalancer } from "./load-balancer.js";
import type { HttpVersion } from "./mesh-service.js";
import { packed } from "./messages.js";
import type { Translation } from "./translation.js";

/** Istio's limits where a DestinationRule sets none: as good as none. */
const NO_LIMIT = 4_294_967_295;
/** Istio's connect timeout. */
export const DEFAULT_CONNECT_TIMEOUT_MS = 10_000;
/** Key under which Envoy looks for HTTP options of a cluster. */
const HTTP_PROTOCOL_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/** Everything of a policy that ends up in the cluster besides TLS. `version`: what HTTP the service speaks. */
export function applyPolicy(
  t: Translation,
  cluster: Cluster,
  policy: EffectivePolicy,
  version: HttpVersion,
): void {
  const { connectionPool, outlierDetection } = policy;
  const connectTimeout = connectionPool?.tcp?.connectTimeout;
  cluster.connectTimeout =
    connectTimeout === undefined ? durationOf(DEFAULT_CONNECT_TIMEOUT_MS) : durationOfText(connectTimeout);
  applyLimits(cluster, policy);
  applyBudgetInterval(cluster, policy.retryBudget);
  applyKeepalive(cluster, connectionPool);
  applyHttpOptions(cluster, connectionPool, version);
  applyLoadBalancer(t, cluster, policy);
  applyEndpointWait(t, cluster, policy.balancing?.waitForEndpoint);
  if (outlierDetection !== undefined) applyOutlierDetection(t, cluster, outlierDetection);
}

function applyLimits(cluster: Cluster, { connectionPool, retryBudget }: EffectivePolicy): void {
  const { tcp, http } = connectionPool ?? {};
  cluster.circuitBreakers = create(ClusterSchema, {
    circuitBreakers: {
      thresholds: [
        {
          maxConnections: tcp?.maxConnections ?? NO_LIMIT,
          maxPendingRequests: http?.http1MaxPendingRequests ?? NO_LIMIT,
          maxRequests: http?.http2MaxRequests ?? NO_LIMIT,
          maxRetries: http?.maxRetries ?? NO_LIMIT,
          trackRemaining: true,
          ...(retryBudget && {
            retryBudget: {
              budgetPercent: { value: retryBudget.percent ?? 20 },
              minRetryConcurrency: retryBudget.minRetryConcurrency ?? 3,
            },
          }),
        },
      ],
    },
  }).circuitBreakers;
}

/** Istio's `budgetInterval`, for which Envoy has no field, as metadata for Tulle's sidecars. */
function applyBudgetInterval(cluster: Cluster, retryBudget: EffectivePolicy["retryBudget"]): void {
  const intervalMs = parseDuration(retryBudget?.budgetInterval ?? "") ?? 0;
  if (intervalMs <= 0) return;
  note(cluster, { retryBudgetIntervalMs: intervalMs });
}

/** Linkerd's time until it fails fast. */
const ENDPOINT_WAIT = "3s";
const ENDPOINT_WAIT_REQUESTS = 100;

/** What to do while no endpoint is ready, for which Envoy has no field, as metadata for Tulle's sidecars. */
function applyEndpointWait(t: Translation, cluster: Cluster, wait: WaitForEndpoint | undefined): void {
  if (wait === undefined || t.view.dialect !== "tulle") return;
  const timeoutMs = parseDuration(wait.timeout ?? ENDPOINT_WAIT) ?? 0;
  note(cluster, {
    endpointWait: { timeoutMs, maxRequests: wait.maxRequests ?? ENDPOINT_WAIT_REQUESTS },
  });
}

function applyKeepalive(cluster: Cluster, pool: ConnectionPoolSettings | undefined): void {
  const keepalive = pool?.tcp?.tcpKeepalive;
  if (keepalive === undefined) return;
  cluster.upstreamConnectionOptions = create(ClusterSchema, {
    upstreamConnectionOptions: {
      tcpKeepalive: {
        keepaliveProbes: keepalive.probes,
        keepaliveTime:
          keepalive.time === undefined ? undefined : Number(durationOfText(keepalive.time).seconds),
        keepaliveInterval:
          keepalive.interval === undefined ? undefined : Number(durationOfText(keepalive.interval).seconds),
      },
    },
  }).upstreamConnectionOptions;
}

function applyHttpOptions(
  cluster: Cluster,
  pool: ConnectionPoolSettings | undefined,
  version: HttpVersion,
): void {
  const { http, tcp } = pool ?? {};
  const options = create(HttpProtocolOptionsSchema);
  const common = {
    ...(http?.maxRequestsPerConnection && { maxRequestsPerConnection: http.maxRequestsPerConnection }),
    ...(http?.idleTimeout !== undefined && { idleTimeout: durationOfText(http.idleTimeout) }),
    ...(tcp?.maxConnectionDuration !== undefined && {
      maxConnectionDuration: durationOfText(tcp.maxConnectionDuration),
    }),
  };
  const spoken = spokenVersion(http, version);
  const hasCommon = Object.keys(common).length > 0;
  const http2 = http2Options(http);
  const hasHttp2 = Object.keys(http2).length > 0;
  // HTTP/1.1 without settings is what a cluster without options means.
  if (!hasCommon && !hasHttp2 && spoken === "http1") return;
  if (hasCommon) {
    options.commonHttpProtocolOptions = create(HttpProtocolOptionsSchema, {
      commonHttpProtocolOptions: common,
    }).commonHttpProtocolOptions;
  }
  options.upstreamProtocolOptions = protocolOptions(http2, spoken, hasHttp2);
  cluster.typedExtensionProtocolOptions[HTTP_PROTOCOL_OPTIONS] = packed(HttpProtocolOptionsSchema, options);
}

/** The version of HTTP that a cluster's servers are spoken to in: what a DestinationRule says wins. */
export function spokenVersion(http: ConnectionPoolSettings["http"], version: HttpVersion): HttpVersion {
  if (http?.useClientProtocol === true) return "client";
  return http?.h2UpgradePolicy === "UPGRADE" ? "http2" : version;
}

/** What is said of HTTP/2 connections. */
function http2Options(
  http: ConnectionPoolSettings["http"],
): MessageInitShape<typeof Http2ProtocolOptionsSchema> {
  return {
    ...(http?.maxConcurrentStreams && { maxConcurrentStreams: http.maxConcurrentStreams }),
    ...(http?.http2KeepAlive?.interval !== undefined && {
      connectionKeepalive: {
        interval: durationOfText(http.http2KeepAlive.interval),
        timeout: durationOfText(http.http2KeepAlive.timeout ?? "20s"),
      },
    }),
  };
}

/**
 * HTTP/1.1 in plaintext is HTTP/2 between sidecars, where TLS chooses: what is said of HTTP/2 must get there, too, which
 * is what Envoy's `auto_config` means.
 */
function protocolOptions(
  http2ProtocolOptions: MessageInitShape<typeof Http2ProtocolOptionsSchema>,
  version: HttpVersion,
  hasHttp2: boolean,
): HttpProtocolOptions["upstreamProtocolOptions"] {
  if (version === "http1" && hasHttp2) {
    return create(HttpProtocolOptionsSchema, {
      upstreamProtocolOptions: {
        case: "autoConfig",
        value: { httpProtocolOptions: {}, http2ProtocolOptions },
      },
    }).upstreamProtocolOptions;
  }
  const { upstreamProtocolOptions } = create(HttpProtocolOptionsSchema, {
    upstreamProtocolOptions:
      version === "client"
        ? { case: "useDownstreamProtocolConfig", value: { httpProtocolOptions: {}, http2ProtocolOptions } }
        : {
            case: "explicitHttpConfig",
            value: {
              protocolConfig:
                version === "http2"
                  ? { case: "http2ProtocolOptions", value: http2ProtocolOptions }
                  : { case: "httpProtocolOptions", value: {} },
            },
          },
  });
  return upstreamProtocolOptions;
}

function applyOutlierDetection(t: Translation, cluster: Cluster, settings: OutlierSettings): void {
  if (settings.passive !== undefined) {
    cluster.outlierDetection = passiveCheck(undefined, settings.passive);
    return;
  }
  const consecutive5xx = settings.consecutive5xxErrors ?? 5;
  const gateway = settings.consecutiveGatewayErrors ?? 0;
  cluster.outlierDetection = create(ClusterSchema, {
    outlierDetection: {
      consecutive5xx,
      enforcingConsecutive5xx: consecutive5xx > 0 ? 100 : 0,
      enforcingSuccessRate: 0,
      ...(gateway > 0 && { consecutiveGatewayFailure: gateway, enforcingConsecutiveGatewayFailure: 100 }),
      ...(settings.interval !== undefined && { interval: durationOfText(settings.interval) }),
      ...(settings.baseEjectionTime !== undefined && {
        baseEjectionTime: durationOfText(settings.baseEjectionTime),
      }),
      ...(settings.maxEjectionPercent !== undefined && { maxEjectionPercent: settings.maxEjectionPercent }),
      ...(settings.splitExternalLocalOriginErrors === true && {
        splitExternalLocalOriginErrors: true,
        ...(settings.consecutiveLocalOriginFailures !== undefined && {
          consecutiveLocalOriginFailure: settings.consecutiveLocalOriginFailures,
          enforcingConsecutiveLocalOriginFailure: 100,
        }),
        enforcingLocalOriginSuccessRate: 0,
      }),
    },
  }).outlierDetection;
  const codes = settings.outlierDetectionHttpErrorCodes ?? [];
  if (codes.length === 0) return;
  if (t.view.dialect === "tulle") note(cluster, { outlierErrorStatuses: [...codes] });
  else t.warn(`${cluster.name}: proxyless gRPC clients do not know outlierDetectionHttpErrorCodes`);
}
