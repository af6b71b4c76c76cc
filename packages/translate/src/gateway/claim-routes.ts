import { create } from "@bufbuild/protobuf";
import { RouteSchema, type Route } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { matchAll } from "../routes/match.js";

/**
 * The routes of a host with somewhere to go for requests that have no route as long as their token is not verified. Then the
 * route is chosen anew.
 */
export function withNotFound(routes: readonly Route[]): Route[] {
  return routes.some(goesByClaims) ? [...routes, notFound()] : [...routes];
}

function goesByClaims({ match }: Route): boolean {
  return (match?.dynamicMetadata.length ?? 0) > 0;
}

function notFound(): Route {
  return create(RouteSchema, {
    name: "not-found",
    match: matchAll(),
    action: { case: "directResponse", value: { status: 404 } },
  });
}
