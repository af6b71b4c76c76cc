import { unknownOperator } from "@tulle/base";
import { create } from "@bufbuild/protobuf";
import { Cluster_DiscoveryType, type Cluster } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { OutlierDetectionSchema } from "@tulle/xds/gen/envoy/config/cluster/v3/outlier_detection_pb.js";
import type { ClusterLoadAssignment } from "@tulle/xds/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import type { HeaderValueOption } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import type {
  Route,
  WeightedCluster_ClusterWeight,
} from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import type { RouteConfiguration } from "@tulle/xds/gen/envoy/config/route/v3/route_pb.js";
import { durationOf } from "../duration.js";
import type { Translation } from "../translation.js";
import type { DialectRules } from "./dialect.js";

/** How long an endpoint that cannot be reached is left out the first time, and at most. */
const UNREACHABLE_MS = 5000;
const MAX_UNREACHABLE_MS = 60_000;

/**
 * Tulle's own proxy. It gets everything that translation makes; what it does not carry out yet is said as a warning, so
 * that nobody trusts in it.
 */
export const tulleDialect: DialectRules = {
  listener: (_t, listener) => listener,
  routes,
  cluster,
  endpoints,
};

function routes(t: Translation, full: RouteConfiguration): RouteConfiguration {
  for (const host of full.virtualHosts) {
    for (const route of host.routes) {
      for (const part of [route, ...weightedClusters(route)]) leaveOutOperators(t, route.name, part);
    }
  }
  return full;
}

function weightedClusters({ action }: Route): readonly WeightedCluster_ClusterWeight[] {
  const specifier = action.case === "route" ? action.value.clusterSpecifier : undefined;
  return specifier?.case === "weightedClusters" ? specifier.value.clusters : [];
}

/** Left out, or the proxy would refuse the whole route configuration for one field. */
function leaveOutOperators(
  t: Translation,
  routeName: string,
  part: { requestHeadersToAdd: HeaderValueOption[]; responseHeadersToAdd: HeaderValueOption[] },
): void {
  const isKnown = ({ header }: HeaderValueOption): boolean => {
    const unknown = unknownOperator(header?.value ?? "");
    if (unknown !== undefined) {
      t.warn(
        `route ${routeName}: Tulle's proxy does not know the command operator ${unknown}; ${header?.key} is left out`,
      );
    }
    return unknown === undefined;
  };
  part.requestHeadersToAdd = part.requestHeadersToAdd.filter(isKnown);
  part.responseHeadersToAdd = part.responseHeadersToAdd.filter(isKnown);
}

function cluster(t: Translation, full: Cluster): Cluster {
  // A static cluster is the workload's own application.
  const isStatic = full.clusterDiscoveryType.value === Cluster_DiscoveryType.STATIC;
  if (full.loadAssignment !== undefined && !isStatic) endpoints(t, full.loadAssignment);
  ejectUnreachable(full);
  return full;
}

/**
 * An endpoint that cannot be reached five times in a row is left out for a while, whatever the registry says of it: what
 * the proxy knows may be old. Never the last one: of less than 100 % one always stays. Answers, even bad ones, hold
 * nobody out.
 */
function ejectUnreachable(cluster: Cluster): void {
  if (cluster.outlierDetection !== undefined) return;
  if (cluster.clusterDiscoveryType.value !== Cluster_DiscoveryType.EDS) return;
  cluster.outlierDetection = create(OutlierDetectionSchema, {
    splitExternalLocalOriginErrors: true,
    consecutiveLocalOriginFailure: 5,
    enforcingConsecutiveLocalOriginFailure: 100,
    enforcingConsecutive5xx: 0,
    enforcingSuccessRate: 0,
    enforcingLocalOriginSuccessRate: 0,
    interval: durationOf(UNREACHABLE_MS),
    baseEjectionTime: durationOf(UNREACHABLE_MS),
    maxEjectionTime: durationOf(MAX_UNREACHABLE_MS),
    maxEjectionPercent: 99,
  });
}

/** TCP endpoints only: a socket that somebody else's object names would be one of whoever calls. */
function endpoints(t: Translation, full: ClusterLoadAssignment): ClusterLoadAssignment {
  for (const locality of full.endpoints) {
    const usable = locality.lbEndpoints.filter(({ hostIdentifier }) => {
      const address = hostIdentifier.case === "endpoint" ? hostIdentifier.value.address?.address : undefined;
      return address?.case === "socketAddress";
    });
    if (usable.length < locality.lbEndpoints.length) {
      t.warn(
        `${full.clusterName}: Tulle's proxy connects to Unix sockets of its own application alone (Sidecar ingress.defaultEndpoint); such endpoints are left out`,
      );
    }
    locality.lbEndpoints = usable;
  }
  full.endpoints = full.endpoints.filter((locality) => locality.lbEndpoints.length > 0);
  return full;
}
