import type { Cluster } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import type { ClusterLoadAssignment } from "@tulle/xds/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import type { Listener } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import type { RouteConfiguration } from "@tulle/xds/gen/envoy/config/route/v3/route_pb.js";
import type { Translation } from "../translation.js";

/**
 * What a client language cannot say or would misread. Each function takes a resource that was made for it alone and
 * returns it fit for the client, noting what users will miss; undefined when the client must not have it at all.
 */
export interface DialectRules {
  listener(t: Translation, listener: Listener): Listener | undefined;
  routes(t: Translation, routes: RouteConfiguration): RouteConfiguration | undefined;
  cluster(t: Translation, cluster: Cluster): Cluster | undefined;
  endpoints(t: Translation, endpoints: ClusterLoadAssignment): ClusterLoadAssignment | undefined;
}
