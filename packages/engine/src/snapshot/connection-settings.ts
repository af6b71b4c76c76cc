import type { Cluster } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import type {
  Http2ProtocolOptions,
  HttpProtocolOptions as CommonHttpOptions,
} from "@tulle/xds/gen/envoy/config/core/v3/protocol_pb.js";
import type { HttpProtocolOptions } from "@tulle/xds/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import { durationMs } from "./duration.js";
import { at, invalid } from "./invalid.js";

/** How connections to a cluster's endpoints live. */
export interface ConnectionSettings {
  /** A connection without requests is closed after; 0 = never, undefined = as the proxy sees fit. */
  readonly idleTimeoutMs: number | undefined;
  /** A connection takes no new requests after, and one that carries bytes is closed; 0 = no limit. */
  readonly maxDurationMs: number;
  /** Requests at once on an HTTP/2 connection; 0 = as many as its server allows. */
  readonly maxStreams: number;
  /** After so long without a byte an HTTP/2 connection is asked whether it lives; 0 = as the proxy sees fit. */
  readonly pingAfterMs: number;
  /** It must answer within. */
  readonly pingTimeoutMs: number;
  /** After so long without a byte the kernel asks (SO_KEEPALIVE); 0 = the system's own time, undefined = it does not. */
  readonly keepAliveMs: number | undefined;
  /** How often it asks then; undefined = as the system does. Only where `keepAliveMs` is set. */
  readonly keepAliveProbes: number | undefined;
  /** Between two of them, seconds; undefined = as the system does. Only where `keepAliveMs` is set. */
  readonly keepAliveIntervalSeconds: number | undefined;
  /** So many times the HTTP/1.1 connections in use are open or made ahead, 1 to 3; 1 = none is made ahead. */
  readonly preconnectRatio: number;
}

const PING_TIMEOUT_MS = 20_000;
/** Linux takes no more seconds; of probes it takes 127, which whoever sets them sees to. */
const MAX_KEEP_ALIVE = 32_767;

/** Compiles what a cluster says of its connections. `options`: its HttpProtocolOptions, when it has them. */
export function compileConnections(
  cluster: Cluster,
  options: HttpProtocolOptions | undefined,
): ConnectionSettings {
  const common: CommonHttpOptions | undefined =
    options === undefined ? cluster.commonHttpProtocolOptions : options.commonHttpProtocolOptions;
  const http2 = options === undefined ? cluster.http2ProtocolOptions : http2Options(options);
  const field = "common_http_protocol_options";
  const ping = http2?.connectionKeepalive;
  const keepAlive = cluster.upstreamConnectionOptions?.tcpKeepalive;
  return {
    idleTimeoutMs: durationMs(at(field, "idle_timeout"), common?.idleTimeout),
    maxDurationMs: durationMs(at(field, "max_connection_duration"), common?.maxConnectionDuration) ?? 0,
    maxStreams: http2?.maxConcurrentStreams ?? 0,
    pingAfterMs: durationMs("connection_keepalive.interval", ping?.interval) ?? 0,
    pingTimeoutMs: durationMs("connection_keepalive.timeout", ping?.timeout) ?? PING_TIMEOUT_MS,
    keepAliveMs: keepAlive === undefined ? undefined : (keepAlive.keepaliveTime ?? 0) * 1000,
    preconnectRatio: preconnectRatio(cluster),
    keepAliveProbes: atLeastOne(keepAlive?.keepaliveProbes),
    keepAliveIntervalSeconds: atLeastOne(keepAlive?.keepaliveInterval),
  };
}

/** Of a cluster as a whole no connections are made ahead: which endpoint is next only one policy can say. */
function preconnectRatio({ preconnectPolicy }: Cluster): number {
  const ratio = preconnectPolicy?.perUpstreamPreconnectRatio ?? 1;
  if (!(ratio >= 1 && ratio <= 3))
    throw invalid("preconnect_policy.per_upstream_preconnect_ratio", "must be between 1 and 3");
  return ratio;
}

/** 0 is no number of probes and no interval: the system's own, then. */
function atLeastOne(count: number | undefined): number | undefined {
  return count === undefined || count === 0 ? undefined : Math.min(count, MAX_KEEP_ALIVE);
}

function http2Options({
  upstreamProtocolOptions: upstream,
}: HttpProtocolOptions): Http2ProtocolOptions | undefined {
  switch (upstream.case) {
    case "explicitHttpConfig": {
      const { protocolConfig } = upstream.value;
      return protocolConfig.case === "http2ProtocolOptions" ? protocolConfig.value : undefined;
    }
    case "useDownstreamProtocolConfig":
    case "autoConfig":
      return upstream.value.http2ProtocolOptions;
    case undefined:
      return undefined;
  }
}
