import type { Route } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { GRPC_ROUTE, HTTP_ROUTE } from "../kinds.js";
import { MESH_HTTP_ROUTE } from "../kuma/kinds.js";
import { warnOfBound } from "../kuma/overruled.js";
import {
  annotatedCalls,
  callsOfService,
  withAnnotatedCalls,
  type AnnotatedCalls,
} from "../routes/annotated-calls.js";
import type { OwnedRule } from "../routes/rule.js";
import { ruleRoutes } from "../routes/rule-routes.js";
import type { Translation } from "../translation.js";
import { grpcRule } from "./grpc-rule.js";
import { httpRule, type ConvertedRule } from "./http-rule.js";
import { attachedRoutes, type Frontend } from "./parents.js";
import { bySpecificity, type Ordered } from "./precedence.js";
import type { GrpcRouteObject, HttpRouteObject, RouteObject } from "./route-kinds.js";

/**
 * The routes of requests to a frontend, by the HTTPRoutes or GRPCRoutes that hold for it. They stand in the place of the
 * service's default route: what none of them matches gets 404. Undefined when none holds.
 */
export function serviceRoutes(t: Translation, frontend: Frontend): Route[] | undefined {
  const attached = attachedRoutes(t, frontend);
  if (attached === undefined || (attached.kind !== HTTP_ROUTE.kind && attached.kind !== GRPC_ROUTE.kind))
    return undefined;
  warnOfBound(t, MESH_HTTP_ROUTE, frontend, attached.routes);
  const ordered: (Ordered & { readonly owned: OwnedRule })[] = [];
  const ofService = callsOfService(t, frontend.service);
  for (const route of attached.routes) {
    t.own(route);
    convertedRules(t, route, frontend.listenerPort, ofService).forEach(({ rule, matches }, index) => {
      matches.forEach(({ match, precedence }, place) => {
        const owned = { rule: { ...rule, match: [match] }, object: route, field: `rules[${index}]` };
        ordered.push({ precedence, route, rule: index, match: place, owned });
      });
    });
  }
  return ordered.sort(bySpecificity).flatMap(({ owned }) => ruleRoutes(t, owned, frontend.listenerPort));
}

/**
 * Every rule of an HTTPRoute or GRPCRoute, with what its annotations say of calls, or else those of the service that it is
 * bound to.
 */
export function convertedRules(
  t: Translation,
  route: RouteObject,
  listenerPort: number,
  ofService?: AnnotatedCalls,
): ConvertedRule[] {
  const { kind, metadata } = route;
  const where = `${kind} ${metadata.namespace}/${metadata.name}`;
  const own = annotatedCalls(t, where, metadata.annotations, kind);
  return plainRules(t, route, listenerPort).map((converted) => ({
    ...converted,
    rule: withAnnotatedCalls(converted.rule, own, ofService),
  }));
}

function plainRules(t: Translation, route: RouteObject, listenerPort: number): ConvertedRule[] {
  // Gateway API's default: one rule that matches everything, and has no backend.
  if (route.kind === HTTP_ROUTE.kind) {
    const object = route as HttpRouteObject;
    return (object.spec.rules ?? [{}]).map((rule, index) => httpRule(t, object, index, rule, listenerPort));
  }
  if (route.kind !== GRPC_ROUTE.kind) return [];
  const object = route as GrpcRouteObject;
  return (object.spec.rules ?? []).map((rule, index) => grpcRule(t, object, index, rule, listenerPort));
}
