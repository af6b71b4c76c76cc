import { defaultHttpRetry } from "../mesh-defaults.js";
import { create } from "@bufbuild/protobuf";
import type { MeshObject, VirtualServiceSpec } from "@tulle/api";
import { bracketed } from "@tulle/base";
import {
  RouteSchema,
  VirtualHostSchema,
  type Route,
} from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import {
  RouteConfigurationSchema,
  type RouteConfiguration,
} from "@tulle/xds/gen/envoy/config/route/v3/route_pb.js";
import { chainRules, warnOfOverruledChain } from "../consul/chain-routes.js";
import { routedFrontend } from "../gateway-api/routed-frontend.js";
import { serviceRoutes } from "../gateway-api/service-routes.js";
import { warnOfOverruled } from "../gateway-api/overruled.js";
import { LocalRateLimitSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.js";
import { packed } from "../messages.js";
import { isLocalLimit } from "../rate-limit-parts.js";
import { rateLimitsOf } from "../rate-limits.js";
import { controlAdmission } from "../overload-filters.js";
import { callingPolicy } from "../traffic-policies.js";
import { injectAnnotated } from "./annotated-faults.js";
import { parseAuthority, writtenForms } from "../hosts.js";
import { GRPC_ROUTE, HTTP_ROUTE } from "../kinds.js";
import { carriageOf, portNamed, type MeshPort, type MeshService } from "../mesh-service.js";
import { callingCluster } from "../failover.js";
import { meshHttpRoutes } from "../kuma/http-routes.js";
import { MESH_HTTP_ROUTE, MESH_TCP_ROUTE } from "../kuma/kinds.js";
import { warnOfOverruledPolicies } from "../kuma/overruled.js";
import { applyRequestTimes } from "../kuma/timeouts.js";
import { routeConfigurationName } from "../names.js";
import { nameOf } from "../provenance.js";
import { destinationRuleFor, effectivePolicy } from "../destination-rules.js";
import { calledHost, type ResolvedHost } from "../services.js";
import type { Translation } from "../translation.js";
import { virtualServiceFor } from "../virtual-services.js";
import { rulesOf } from "./delegates.js";
import { applyTimes, callsOfService, withAnnotatedCalls } from "./annotated-calls.js";
import { defaultAction } from "./forward.js";
import { matchAll } from "./match.js";
import { maxDirectResponseBytes } from "./reply.js";
import { markPolicy, markRetries } from "./route-marks.js";
import { SESSION_FILTER, sessionConfig } from "./session.js";
import { ruleRoutes } from "./rule-routes.js";

/** Name of the route that every request takes where no VirtualService says otherwise (Istio's). */
export const DEFAULT_ROUTE = "default";

/**
 * Routes for calls to `<full host>:<port>`: the rules of its VirtualService, else the routes of Gateway API that are bound
 * to it, else Consul's entries, else its MeshHTTPRoutes before one route to the service. Undefined when the name means none of these.
 */
export function routeConfiguration(t: Translation, name: string): RouteConfiguration | undefined {
  const authority = parseAuthority(name);
  if (authority?.port === undefined) return undefined;
  const target = calledHost(t, authority.host, authority.port);
  if (target.hidden) return undefined;
  const full = routeConfigurationName(target.host, authority.port);
  if (full !== name) return undefined;
  const routes = routesFor(t, target, authority.port);
  if (routes === undefined) return undefined;
  const policy = callingPolicy(t, target.host, authority.port);
  markPolicy(t, routes, policy);
  const port = target.service && portNamed(target.service, authority.port);
  if (target.service !== undefined) {
    applyRequestTimes(t, routes, { service: target.service, ...(port !== undefined && { port }) });
  }
  const limits = rateLimitsOf(t, target.host, "OUTBOUND");
  const forms = writtenForms(target.host, t.view.namespace, t.settings.domainSuffix).map(bracketed);
  const maxBytes = maxDirectResponseBytes(routes);
  return create(RouteConfigurationSchema, {
    name,
    virtualHosts: [
      controlAdmission(
        create(VirtualHostSchema, {
          name,
          domains: forms.flatMap((form) => [form, `${form}:${authority.port}`]),
          routes,
          includeRequestAttemptCount: true,
          rateLimits: limits.flatMap(({ sources }) => sources),
          typedPerFilterConfig: Object.fromEntries(
            limits.flatMap(({ name: filter, filter: config }) =>
              isLocalLimit(config) ? [[filter, packed(LocalRateLimitSchema, config)] as const] : [],
            ),
          ),
        }),
        policy.admissionControl,
      ),
    ],
    validateClusters: false,
    ...(maxBytes !== undefined && { maxDirectResponseBodySizeBytes: maxBytes }),
  });
}

function routesFor(
  t: Translation,
  { host, service }: ResolvedHost,
  listenerPort: number,
): Route[] | undefined {
  const port = service && portNamed(service, listenerPort);
  if (service !== undefined && port === undefined) return undefined;
  const virtualService = virtualServiceFor(t, host);
  if (virtualService !== undefined) warnOfOthers(t, virtualService, service);
  const frontend =
    service === undefined
      ? routedFrontend(t, host, listenerPort)
      : port && { host, service, port, listenerPort };
  if (virtualService?.spec.http !== undefined && virtualService.spec.http.length > 0) {
    warnOfOverruled(t, virtualService, frontend, [GRPC_ROUTE, HTTP_ROUTE]);
    warnOfOverruledPolicies(t, MESH_HTTP_ROUTE, frontend, `${nameOf(virtualService)} rules the same host`);
    warnOfOverruledChain(t, host, virtualService);
    const calls = callsOfService(t, service);
    const routes = rulesOf(t, virtualService).flatMap((owned) =>
      ruleRoutes(
        t,
        calls === undefined ? owned : { ...owned, rule: withAnnotatedCalls(owned.rule, calls) },
        listenerPort,
      ),
    );
    injectAnnotated(t, virtualService, routes);
    return routes;
  }
  const routes = frontend && serviceRoutes(t, frontend);
  if (routes !== undefined) {
    warnOfOverruledChain(t, host, { kind: "a route of Gateway API" });
    return routes;
  }
  const chain = chainRules(t, host);
  if (chain !== undefined) {
    const owners = [...new Set(chain.map(({ object }) => nameOf(object)))].join(" and ");
    warnOfOverruledPolicies(t, MESH_HTTP_ROUTE, frontend, `calls to the same host go by ${owners}`);
    return chain.flatMap((rule) => ruleRoutes(t, rule, listenerPort));
  }
  if (service === undefined || port === undefined) return undefined;
  if (carriageOf(t, port) === "http") {
    warnOfOverruledPolicies(t, MESH_TCP_ROUTE, frontend, "the port carries HTTP; write a MeshHTTPRoute");
  }
  const byPolicy = frontend && meshHttpRoutes(t, frontend);
  if (byPolicy?.takeAll === true) return [...byPolicy.routes];
  return [...(byPolicy?.routes ?? []), defaultRoute(t, service, port)];
}

/** Sends every request to the service that was called. */
function defaultRoute(t: Translation, service: MeshService, port: MeshPort): Route {
  const policy = effectivePolicy(t, destinationRuleFor(t, service), "", port.number);
  const cluster = callingCluster(t, service, port.number);
  const calls = callsOfService(t, service);
  const retries = calls?.retries ?? defaultHttpRetry(t);
  const action = defaultAction({ cluster, policy }, retries);
  if (calls?.times !== undefined) applyTimes(action, calls.times);
  const route = create(RouteSchema, {
    name: DEFAULT_ROUTE,
    match: matchAll(),
    action: { case: "route", value: action },
    ...(service.session !== undefined && {
      typedPerFilterConfig: { [SESSION_FILTER]: sessionConfig(service.session) },
    }),
  });
  markRetries(route, retries, {});
  return route;
}

/** Rules for other protocols than HTTP. Those of `tcp` matter where the service has a port for them. */
function warnOfOthers(
  t: Translation,
  virtualService: MeshObject<VirtualServiceSpec>,
  service: MeshService | undefined,
): void {
  const { spec } = virtualService;
  const where = nameOf(virtualService);
  if ((service?.ports ?? []).some((port) => carriageOf(t, port) !== "http")) return;
  for (const kind of ["tls", "tcp"] as const) {
    if (spec[kind] === undefined) continue;
    t.warn(`${where}: ${kind} rules have no effect on a service whose ports all carry HTTP`);
  }
}
