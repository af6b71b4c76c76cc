import { create } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import type { Cluster } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import {
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  ClusterSchema,
} from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import type { ClusterLoadAssignment } from "@tulle/xds/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import type { LbEndpoint } from "@tulle/xds/gen/envoy/config/endpoint/v3/endpoint_components_pb.js";
import type { Listener } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import type { RouteConfiguration } from "@tulle/xds/gen/envoy/config/route/v3/route_pb.js";
import { HttpConnectionManagerSchema } from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { connectionManager, faultFilter, routerFilter } from "../http-connection-manager.js";
import { fromAds, packed } from "../messages.js";
import type { Translation } from "../translation.js";
import type { DialectRules } from "./dialect.js";
import { grpcRoute } from "./grpc-routes.js";
import { grpcTransportSocket } from "./grpc-tls.js";

/**
 * Proxyless gRPC (gRFC A27, A28 and followers), as `@grpc/grpc-js-xds` reads it. A resource that it refuses would hang
 * calls until their deadline, so nothing that it does not know may leave.
 */
export const grpcDialect: DialectRules = { listener, routes, cluster, endpoints };

/** API listeners only, with faults (gRFC A33) and the router as their filters. */
function listener(t: Translation, full: Listener): Listener | undefined {
  const api = full.apiListener?.apiListener;
  const manager = api && anyUnpack(api, HttpConnectionManagerSchema);
  if (manager === undefined || manager.routeSpecifier.case !== "rds") return undefined;
  const bare = connectionManager(t, manager.statPrefix, [faultFilter(), routerFilter()]);
  bare.routeSpecifier = manager.routeSpecifier;
  bare.accessLog = [];
  bare.upgradeConfigs = [];
  if (full.apiListener !== undefined)
    full.apiListener.apiListener = packed(HttpConnectionManagerSchema, bare);
  return full;
}

function routes(t: Translation, full: RouteConfiguration): RouteConfiguration {
  for (const host of full.virtualHosts) host.routes = host.routes.filter((route) => grpcRoute(t, route));
  // Only direct responses need it, and none of them is left.
  full.maxDirectResponseBodySizeBytes = undefined;
  return full;
}

/** Clusters are discovered by EDS and balanced in turn or by hash. There are none for inbound traffic. */
function cluster(t: Translation, full: Cluster): Cluster | undefined {
  const { name } = full;
  if (full.clusterDiscoveryType.value === Cluster_DiscoveryType.STATIC) return undefined;
  const bare = create(ClusterSchema, {
    name,
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.EDS },
    edsClusterConfig: { edsConfig: fromAds() },
    connectTimeout: full.connectTimeout,
    circuitBreakers: full.circuitBreakers,
    outlierDetection: full.outlierDetection,
    metadata: full.metadata,
  });
  if (full.healthChecks.length > 0) {
    t.warn(`${name}: proxyless gRPC clients make no active health checks; the HealthCheck is left out`);
  }
  if (full.clusterDiscoveryType.value !== Cluster_DiscoveryType.EDS) {
    t.warn(`${name}: proxyless gRPC clients reach only those of its endpoints that are given by IP address`);
  }
  if (full.lbPolicy === Cluster_LbPolicy.RING_HASH) {
    bare.lbPolicy = Cluster_LbPolicy.RING_HASH;
    bare.lbConfig = full.lbConfig;
  } else {
    bare.lbPolicy = Cluster_LbPolicy.ROUND_ROBIN;
    if (full.lbPolicy === Cluster_LbPolicy.MAGLEV) {
      t.warn(`${name}: proxyless gRPC clients cannot balance by Maglev; they take endpoints in turn`);
    }
  }
  if (full.transportSocket !== undefined) {
    const socket = grpcTransportSocket(full.transportSocket);
    if (socket === undefined) {
      t.warn(`${name}: proxyless gRPC clients cannot originate TLS with other certificates than the mesh's`);
    } else {
      bare.transportSocket = socket;
    }
  }
  return bare;
}

/** IP addresses only, each once, in localities with a weight. */
function endpoints(t: Translation, full: ClusterLoadAssignment): ClusterLoadAssignment {
  for (const locality of full.endpoints) {
    const usable = locality.lbEndpoints.filter(hasIpAddress);
    if (usable.length < locality.lbEndpoints.length) {
      t.warn(`${full.clusterName}: proxyless gRPC clients skip endpoints that are not given by IP address`);
    }
    const left = weightOf(usable) / Math.max(1, weightOf(locality.lbEndpoints));
    locality.lbEndpoints = usable;
    locality.loadBalancingWeight = Math.max(1, Math.round((locality.loadBalancingWeight ?? 1) * left));
  }
  full.endpoints = full.endpoints.filter((locality) => locality.lbEndpoints.length > 0);
  // Priorities with gaps would be refused.
  const used = [...new Set(full.endpoints.map(({ priority }) => priority))].sort((a, b) => a - b);
  for (const locality of full.endpoints) locality.priority = used.indexOf(locality.priority);
  return full;
}

function weightOf(endpoints: readonly LbEndpoint[]): number {
  return endpoints.reduce((sum, { loadBalancingWeight }) => sum + (loadBalancingWeight ?? 1), 0);
}

function hasIpAddress(endpoint: LbEndpoint): boolean {
  if (endpoint.hostIdentifier.case !== "endpoint") return false;
  const address = endpoint.hostIdentifier.value.address?.address;
  return address?.case === "socketAddress" && isIpAddress(address.value.address);
}

function isIpAddress(text: string): boolean {
  if (text.includes(":")) return /^[0-9a-f:.]{2,45}$/i.test(text);
  const parts = text.split(".");
  return (
    parts.length === 4 && parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)
  );
}
