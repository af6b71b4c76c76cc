import { type MessageInitShape, create } from "@bufbuild/protobuf";
import type { ResourceChange } from "@tulle/engine";
import { ROUTE_TYPE } from "@tulle/xds";
import type { RouteSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { RouteConfigurationSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_pb.js";
import { ms, resource } from "./message.js";

export type RouteInit = MessageInitShape<typeof RouteSchema>;

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
