import { create } from "@bufbuild/protobuf";
import type { Cluster } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { TrafficDirection } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import {
  FilterChainSchema,
  FilterSchema,
} from "@tulle/xds/gen/envoy/config/listener/v3/listener_components_pb.js";
import { ListenerSchema, type Listener } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { RouteActionSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { RouteConfigurationSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_pb.js";
import { HttpConnectionManagerSchema } from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { TcpProxySchema } from "@tulle/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { givenSilence } from "./detection.js";
import type { OutboundTrafficPolicy } from "./contract.js";
import { durationOf } from "./duration.js";
import { connectionManager, routerFilter } from "./http-connection-manager.js";
import { addressOf, packed } from "./messages.js";
import { originalDestinationCluster } from "./original-destination.js";
import { matchAll } from "./routes/match.js";
import { sidecarOf } from "./sidecar-scope.js";
import type { Translation } from "./translation.js";

/** Name of the listener that redirected connections come to (Istio's). */
export const VIRTUAL_OUTBOUND = "virtualOutbound";
/** Name of the listener of HTTP requests to hosts that the mesh does not know. Upper case: no authority is written like it. */
export const VIRTUAL_OUTBOUND_HTTP = "virtualOutboundHttp";
/** Where connections go that the mesh knows nothing of: to where they were going (Istio's names, of this and the next). */
export const PASSTHROUGH = "PassthroughCluster";
const BLACK_HOLE = "BlackHoleCluster";
const ALLOW_ANY_ROUTE = "allow_any";
/** Addresses of the outside that a sidecar has connections to at a time, and requests that wait for one: a client names them. */
const MAX_OUTSIDE = 1024;
/** Where Istio's binds; a sidecar binds where it was told to. */
const OUTBOUND_PORT = 15_001;

/**
 * Where redirected connections go whose destination the mesh does not know, in Istio's form: a TCP proxy to
 * `PassthroughCluster` (the original destination) or `BlackHoleCluster` (closed).
 */
export function virtualOutbound(t: Translation): Listener | undefined {
  if (t.view.dialect !== "tulle") return undefined;
  const policy = policyOf(t);
  const cluster = policy === "ALLOW_ANY" ? PASSTHROUGH : BLACK_HOLE;
  const proxy = packed(TcpProxySchema, {
    statPrefix: cluster,
    clusterSpecifier: { case: "cluster", value: cluster },
  });
  const filter = create(FilterSchema, {
    name: "envoy.filters.network.tcp_proxy",
    configType: { case: "typedConfig", value: proxy },
  });
  const silence = givenSilence(t);
  return create(ListenerSchema, {
    ...(silence && { listenerFiltersTimeout: silence, continueOnListenerFiltersTimeout: true }),
    name: VIRTUAL_OUTBOUND,
    trafficDirection: TrafficDirection.OUTBOUND,
    address: addressOf("0.0.0.0", OUTBOUND_PORT),
    defaultFilterChain: create(FilterChainSchema, { name: cluster, filters: [filter] }),
  });
}

/** The routes of HTTP to hosts that the mesh does not know, as Istio names them; undefined where the policy blocks that. */
export function virtualOutboundHttp(t: Translation): Listener | undefined {
  if (t.view.dialect !== "tulle" || policyOf(t) !== "ALLOW_ANY") return undefined;
  const manager = connectionManager(t, PASSTHROUGH, [routerFilter()]);
  const routeConfig = create(RouteConfigurationSchema, {
    name: ALLOW_ANY_ROUTE,
    validateClusters: false,
    virtualHosts: [
      {
        name: ALLOW_ANY_ROUTE,
        domains: ["*"],
        routes: [
          {
            name: ALLOW_ANY_ROUTE,
            match: matchAll(),
            action: {
              case: "route",
              value: create(RouteActionSchema, {
                clusterSpecifier: { case: "cluster", value: PASSTHROUGH },
                timeout: durationOf(0),
              }),
            },
          },
        ],
      },
    ],
  });
  manager.routeSpecifier = { case: "routeConfig", value: routeConfig };
  return create(ListenerSchema, {
    name: VIRTUAL_OUTBOUND_HTTP,
    trafficDirection: TrafficDirection.OUTBOUND,
    apiListener: { apiListener: packed(HttpConnectionManagerSchema, manager) },
  });
}

/** The cluster of those routes: the address that each request's host was found to have. */
export function passthroughCluster(t: Translation): Cluster | undefined {
  if (t.view.dialect !== "tulle") return undefined;
  const cluster = originalDestinationCluster(t, PASSTHROUGH);
  const limits = cluster.circuitBreakers?.thresholds[0];
  if (limits !== undefined) {
    limits.maxConnectionPools = MAX_OUTSIDE;
    limits.maxPendingRequests = MAX_OUTSIDE;
  }
  return cluster;
}

/** What the client's Sidecar says, else the mesh. A policy that names no mode is the strict one (Istio's). */
function policyOf(t: Translation): OutboundTrafficPolicy {
  const sidecar = sidecarOf(t);
  const own = sidecar?.spec.outboundTrafficPolicy;
  if (sidecar === undefined || own === undefined) return t.settings.outboundTrafficPolicy ?? "ALLOW_ANY";
  t.own(sidecar);
  return own.mode ?? "REGISTRY_ONLY";
}
