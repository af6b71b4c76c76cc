/** Builders of xDS resources for this package's own tests. */
import { create, toBinary } from "@bufbuild/protobuf";
import type { DescMessage, JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import type { Any } from "@bufbuild/protobuf/wkt";
import { CLUSTER_TYPE, ENDPOINT_TYPE, LISTENER_TYPE, ROUTE_TYPE } from "@tulle/xds";
import {
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  ClusterSchema,
} from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { HealthStatus } from "@tulle/xds/gen/envoy/config/core/v3/health_check_pb.js";
import { ClusterLoadAssignmentSchema } from "@tulle/xds/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import { ListenerSchema } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { RouteConfigurationSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_pb.js";
import type { RouteSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { RouterSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/router/v3/router_pb.js";
import { HttpConnectionManagerSchema } from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import type { EngineRequest } from "../contract.js";
import type { ResourceChange } from "../snapshot/contract.js";

type Init<Desc extends DescMessage> = MessageInitShape<Desc>;

/** A message in an Any. */
export function packed<Desc extends DescMessage>(schema: Desc, init?: Init<Desc>): Any {
  return anyPack(schema, create(schema, init));
}

export const ROUTER = {
  name: "envoy.filters.http.router",
  configType: { case: "typedConfig", value: packed(RouterSchema) },
} as const;

/** A resource as xDS delivers it. */
export function change<Desc extends DescMessage>(
  typeUrl: string,
  name: string,
  schema: Desc,
  init: Init<Desc>,
  version = "1",
): ResourceChange {
  return { typeUrl, name, version, bytes: toBinary(schema, create(schema, init)) };
}

/** The control plane says that there is no such resource. */
export function gone(typeUrl: string, name: string): ResourceChange {
  return { typeUrl, name, version: "", bytes: undefined };
}

/** An HttpConnectionManager in an Any, with a router. */
export function manager(init: Init<typeof HttpConnectionManagerSchema>): Any {
  return packed(HttpConnectionManagerSchema, { httpFilters: [ROUTER], ...(init as object) });
}

/** An API listener that takes its routes from `routeName`. */
export function apiListener(name: string, routeName: string, version = "1"): ResourceChange {
  const http = manager({ routeSpecifier: { case: "rds", value: { routeConfigName: routeName } } });
  return change(LISTENER_TYPE, name, ListenerSchema, { name, apiListener: { apiListener: http } }, version);
}

/** A table with one virtual host for every authority. */
export function routes(name: string, list: Init<typeof RouteSchema>[], version = "1"): ResourceChange {
  const virtualHosts = [{ name: "all", domains: ["*"], routes: list }];
  return change(ROUTE_TYPE, name, RouteConfigurationSchema, { name, virtualHosts }, version);
}

/** A route for every path to one cluster. */
export function routeTo(cluster: string) {
  return {
    match: { pathSpecifier: { case: "prefix", value: "/" } },
    action: { case: "route", value: { clusterSpecifier: { case: "cluster", value: cluster } } },
  } as const;
}

/** A cluster of type EDS, least request unless told otherwise. */
export function edsCluster(name: string, init: Init<typeof ClusterSchema> = {}): ResourceChange {
  return change(CLUSTER_TYPE, name, ClusterSchema, {
    name,
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.EDS },
    edsClusterConfig: { edsConfig: { configSourceSpecifier: { case: "ads", value: {} } } },
    lbPolicy: Cluster_LbPolicy.LEAST_REQUEST,
    ...(init as object),
  });
}

export interface EndpointInit {
  readonly address: string;
  readonly port?: number;
  readonly weight?: number;
  readonly health?: HealthStatus;
  readonly priority?: number;
  readonly localityWeight?: number;
  readonly metadata?: Record<string, JsonObject>;
}

/** Endpoints, each in a locality group of its own. */
export function endpoints(name: string, list: readonly EndpointInit[], version = "1"): ResourceChange {
  return change(
    ENDPOINT_TYPE,
    name,
    ClusterLoadAssignmentSchema,
    { clusterName: name, endpoints: list.map(localityGroup) },
    version,
  );
}

function localityGroup(
  one: EndpointInit,
): Init<typeof ClusterLoadAssignmentSchema>["endpoints"] extends (infer Group)[] | undefined ? Group : never {
  return {
    priority: one.priority ?? 0,
    loadBalancingWeight: one.localityWeight ?? 1,
    lbEndpoints: [
      {
        hostIdentifier: {
          case: "endpoint",
          value: {
            address: {
              address: {
                case: "socketAddress",
                value: { address: one.address, portSpecifier: { case: "portValue", value: one.port ?? 80 } },
              },
            },
          },
        },
        healthStatus: one.health ?? HealthStatus.HEALTHY,
        loadBalancingWeight: one.weight ?? 1,
        ...(one.metadata === undefined ? {} : { metadata: { filterMetadata: one.metadata } }),
      },
    ],
  };
}

/** A GET of `/` unless told otherwise. */
export function request(init: Partial<EngineRequest> = {}): EngineRequest {
  return { method: "GET", path: "/", authority: "reviews:9080", scheme: "http", headers: [], ...init };
}
