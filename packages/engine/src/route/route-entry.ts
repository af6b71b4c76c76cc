import type { Route } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import type { RouteMatch, VirtualHost } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import type { EngineRequest, ReplyPlan } from "../contract.js";
import { mix, saltOf } from "../entropy.js";
import { at, invalid } from "../snapshot/invalid.js";
import { filterMetadata, provenanceOf } from "../snapshot/metadata.js";
import { compileFraction } from "./fraction.js";
import type { FractionTest } from "./fraction.js";
import { compileMutations, orderMutations } from "./header-mutations.js";
import type { Mutations } from "./header-mutations.js";
import { headerValue } from "./header-value.js";
import { compileHeaderTests } from "./header-test.js";
import type { HeaderTest } from "./header-test.js";
import { compilePath } from "./path-test.js";
import type { PathTest } from "./path-test.js";
import { compileQueryTest } from "./query-test.js";
import type { QueryTest } from "./query-test.js";
import { compileDirectResponse, compileRedirect } from "./reply.js";
import { compileForward } from "./route-action.js";
import type { Split } from "./split.js";
import type { Way } from "./way.js";

/** What a route inherits from its virtual host and table. */
export interface RouteContext {
  readonly virtualHost: VirtualHost;
  /** Mutations of the levels above the route, and whether the most specific level has the last word. */
  readonly outer: readonly Mutations[];
  readonly specificWins: boolean;
  readonly defaultIdleTimeoutMs: number;
  readonly maxDirectBodyBytes: number;
}

/** One compiled route: conditions in the order of their cost, and where it leads. */
export interface RouteEntry {
  readonly path: PathTest;
  readonly headers: readonly HeaderTest[];
  readonly query: readonly QueryTest[];
  readonly fraction: FractionTest | undefined;
  readonly target: Way | Split<Way> | ReplyPlan;
  /** Every cluster that the route may lead to. */
  readonly clusters: readonly string[];
}

/** Whether a request takes this route. `end` is `pathEnd` of its path. */
export function takes(entry: RouteEntry, request: EngineRequest, end: number, entropy: number): boolean {
  if (!entry.path(request.path, end)) return false;
  for (const test of entry.headers) if (!test(request)) return false;
  for (const test of entry.query) if (!test(request.path)) return false;
  return entry.fraction === undefined || entry.fraction(entropy);
}

/**
 * Compiles one route. A condition, rewrite or action that this engine does not have is an error: requests would go
 * where they must not. What only adds to the exchange (mirroring, filter configuration) is left out.
 */
export function compileRoute(field: string, route: Route, context: RouteContext): RouteEntry {
  const match = route.match;
  const here = at(field, "match");
  if (match === undefined) throw invalid(here, "must be set");
  refuseUnsupported(here, match);
  const path = compilePath(here, match);
  const headers = compileHeaderTests(at(here, "headers"), match.headers);
  const salt = saltOf(`${context.virtualHost.name}/${route.name === "" ? field : route.name}`);
  return {
    path: path.test,
    headers: match.grpc === undefined ? headers : [isGrpc, ...headers],
    query: match.queryParameters.map((one, index) =>
      compileQueryTest(at(here, `query_parameters[${index}]`), one),
    ),
    fraction:
      match.runtimeFraction === undefined
        ? undefined
        : compileFraction(
            at(here, "runtime_fraction.default_value"),
            match.runtimeFraction.defaultValue,
            mix(salt, 1),
          ),
    ...compileTarget(field, route, context, path.prefixLength, mix(salt, 2)),
  };
}

function compileTarget(
  field: string,
  route: Route,
  context: RouteContext,
  prefixLength: number | undefined,
  salt: number,
): Pick<RouteEntry, "target" | "clusters"> {
  const levels = [compileMutations(field, route), ...context.outer];
  const settings = { routeName: route.name, provenance: provenanceOf(route.metadata) };
  const action = route.action;
  switch (action.case) {
    case "route":
      return compileForward(at(field, "route"), action.value, context, {
        ...settings,
        levels,
        prefixLength,
        salt,
        metadata: filterMetadata(route.metadata, "tulle.dev"),
      });
    case "redirect": {
      const responseHeaders = orderMutations(levels, context.specificWins).response;
      return {
        target: compileRedirect(
          at(field, "redirect"),
          action.value,
          { ...settings, responseHeaders },
          prefixLength,
        ),
        clusters: [],
      };
    }
    case "directResponse": {
      const reply = { ...settings, responseHeaders: orderMutations(levels, context.specificWins).response };
      const here = at(field, "direct_response");
      return {
        target: compileDirectResponse(here, action.value, reply, context.maxDirectBodyBytes),
        clusters: [],
      };
    }
    case "filterAction":
    case "nonForwardingAction":
      throw invalid(
        field,
        `an action of type ${action.case === "filterAction" ? "filter_action" : "non_forwarding_action"} is not supported`,
      );
    case undefined:
      throw invalid(field, "must set one of route, redirect, direct_response");
  }
}

function refuseUnsupported(field: string, match: RouteMatch): void {
  if (match.tlsContext !== undefined) throw invalid(at(field, "tls_context"), "is not supported");
  if (match.dynamicMetadata.length > 0) throw invalid(at(field, "dynamic_metadata"), "is not supported");
}

/** A gRPC request by its content type: `application/grpc`, alone or with a suffix or parameters. */
function isGrpc(request: EngineRequest): boolean {
  const type = headerValue(request.headers, "content-type");
  return type !== undefined && /^application\/grpc(?:$|[+;])/i.test(type);
}
