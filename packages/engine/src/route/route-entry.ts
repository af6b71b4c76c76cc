import type { Route } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import type { VirtualHost } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { compileSession } from "../affinity/session.js";
import type { SessionPolicy } from "../affinity/session.js";
import { rateLimitSources } from "../admit/rate-limit-descriptors.js";
import { askedClusters, compileRouteFilters, mergeRouteFilters } from "../admit/route-filters.js";
import type { EngineRequest, RateLimitSource, ReplyPlan, RouteFilters } from "../contract.js";
import { mix, saltOf } from "../entropy.js";
import { at, invalid } from "../snapshot/invalid.js";
import { filterMetadata, provenanceOf, splitsByHash } from "../snapshot/metadata.js";
import { compileFraction, fractionWords } from "./fraction.js";
import type { FractionTest } from "./fraction.js";
import { compileCertificateTest } from "./certificate-test.js";
import { compileMutations, orderMutations } from "./header-mutations.js";
import type { Mutations } from "./header-mutations.js";
import type { Provenance } from "../snapshot/contract.js";
import type { RuntimeValues } from "./runtime-values.js";
import { HeaderWay } from "./header-way.js";
import { headerValue } from "./header-value.js";
import { compileHeaderTests, headerWords } from "./header-test.js";
import type { HeaderTest } from "./header-test.js";
import type { PathTest } from "./path-end.js";
import { compilePath, type CompiledPath } from "./path-test.js";
import { compileMetadataTest, type MetadataTest } from "./metadata-test.js";
import { metadataWords } from "./metadata-words.js";
import { compileQueryTest, queryWords } from "./query-test.js";
import type { QueryTest } from "./query-test.js";
import { compileDirectResponse, compileRedirect } from "./reply.js";
import type { ReplySettings } from "./reply.js";
import { compileForward, type ActionContext } from "./route-action.js";
import type { SplitKey } from "./split-key.js";
import { Split } from "./split.js";
import { Way } from "./way.js";
import type { ConditionWords } from "./words.js";

/** What a route inherits from its virtual host and table. */
export interface RouteContext {
  readonly virtualHost: VirtualHost;
  /** Mutations of the levels above the route, and whether the most specific level has the last word. */
  readonly outer: readonly Mutations[];
  readonly specificWins: boolean;
  /** Filter configuration of the levels above the route. */
  readonly outerFilters: readonly RouteFilters[];
  readonly hostRateLimits: readonly RateLimitSource[];
  /** The table's, for what must differ between places. */
  readonly tableName: string;
  readonly defaultIdleTimeoutMs: number;
  readonly maxDirectBodyBytes: number;
}

/** One compiled route: conditions in the order of their cost, and where it leads. */
export interface RouteEntry {
  readonly path: PathTest;
  readonly headers: readonly HeaderTest[];
  readonly query: readonly QueryTest[];
  /** On what steps of the chain have found out (Envoy's dynamic metadata). */
  readonly metadata: readonly MetadataTest[];
  readonly fraction: FractionTest | undefined;
  readonly target: Way | HeaderWay | Split<Way> | ReplyPlan;
  /** Every cluster that the route may lead to. */
  readonly clusters: readonly string[];
  /** Of a target that is a split: a session stays with the cluster that has its endpoint. */
  readonly session?: SessionPolicy | undefined;
  /** Of a target that is a split: what of a request decides instead of chance. */
  readonly splitBy?: SplitKey | undefined;
  /** The only path that it takes; undefined = it takes others too. */
  readonly exactPath: string | undefined;
  /** What every path that the route takes begins with. */
  readonly prefix: string | undefined;
  /** For explanations: its conditions in words, in the order in which they are tested. */
  readonly words: readonly ConditionWords[];
}

/** Name and origin of a route. */
export function identityOf({ target }: RouteEntry): { routeName: string; provenance: Provenance } {
  if (target instanceof Way || target instanceof HeaderWay) return target.settings;
  return target instanceof Split ? target.choices[0]!.settings : target;
}

/** All conditions of a route hold. */
export const TAKEN = -1;

/**
 * Position, in `entry.words`, of the first condition of a route that does not hold for a request; `TAKEN` when all do.
 * `end` is `pathEnd` of its path.
 */
export function firstFailure(
  entry: RouteEntry,
  request: EngineRequest,
  end: number,
  entropy: number,
  runtime: RuntimeValues,
): number {
  if (!entry.path(request.path, end)) return 0;
  let position = 1;
  for (const test of entry.headers) {
    if (!test(request)) return position;
    position++;
  }
  for (const test of entry.query) {
    if (!test(request.path)) return position;
    position++;
  }
  for (const test of entry.metadata) {
    if (!test(request.metadata)) return position;
    position++;
  }
  return entry.fraction === undefined || entry.fraction(entropy, runtime) ? TAKEN : position;
}

/**
 * Compiles one route. A condition, rewrite or action that this engine does not have is an error: requests would go
 * where they must not.
 */
export function compileRoute(field: string, route: Route, context: RouteContext): RouteEntry {
  const match = route.match;
  const here = at(field, "match");
  if (match === undefined) throw invalid(here, "must be set");
  const path = compilePath(here, match);
  const headers = compileHeaderTests(at(here, "headers"), match.headers);
  const certificate = compileCertificateTest(match.tlsContext);
  const fraction = match.runtimeFraction;
  const salt = saltOf(`${context.virtualHost.name}/${route.name === "" ? field : route.name}`);
  return {
    path: path.test,
    exactPath: path.exact,
    prefix: path.prefix,
    headers: [
      ...(certificate === undefined ? [] : [certificate.test]),
      ...(match.grpc === undefined ? [] : [isGrpc]),
      ...headers,
    ],
    query: match.queryParameters.map((one, index) =>
      compileQueryTest(at(here, `query_parameters[${index}]`), one),
    ),
    metadata: match.dynamicMetadata.map((one, index) =>
      compileMetadataTest(at(here, `dynamic_metadata[${index}]`), one),
    ),
    fraction:
      fraction === undefined
        ? undefined
        : compileFraction(at(here, "runtime_fraction"), fraction, mix(salt, 1)),
    words: [
      path.words,
      ...(certificate === undefined ? [] : [certificate.words]),
      ...(match.grpc === undefined ? [] : [GRPC_WORDS]),
      ...match.headers.map(headerWords),
      ...match.queryParameters.map(queryWords),
      ...match.dynamicMetadata.map(metadataWords),
      ...(fraction?.defaultValue === undefined ? [] : [fractionWords(fraction)]),
    ],
    ...compileTarget(field, route, context, path, mix(salt, 2)),
  };
}

type Target = Pick<RouteEntry, "target" | "clusters" | "session" | "splitBy">;

/** Where it leads, with the clusters of services that filters ask because routes say so. */
function compileTarget(
  field: string,
  route: Route,
  context: RouteContext,
  path: CompiledPath,
  salt: number,
): Target {
  const place = `${context.tableName}/${context.virtualHost.name}/${route.name === "" ? field : route.name}`;
  const filterLevels = [compileRouteFilters(field, route, place), ...context.outerFilters];
  const made = compileAction(field, route, context, path, { salt, place, filterLevels });
  const asked = askedClusters(filterLevels);
  return asked.length === 0 ? made : { ...made, clusters: [...new Set([...made.clusters, ...asked])] };
}

function compileAction(
  field: string,
  route: Route,
  context: RouteContext,
  { prefixLength, template }: CompiledPath,
  { salt, place, filterLevels }: Pick<ActionContext, "salt" | "place" | "filterLevels">,
): Target {
  const levels = [compileMutations(field, route), ...context.outer];
  const settings = { routeName: route.name, provenance: provenanceOf(route.metadata) };
  const session =
    compileSession(field, route.typedPerFilterConfig) ??
    compileSession("virtual_host", context.virtualHost.typedPerFilterConfig) ??
    undefined;
  const replySettings = (): ReplySettings => ({
    ...settings,
    responseHeaders: orderMutations(levels, context.specificWins).response,
    filters: mergeRouteFilters(filterLevels),
    rateLimits: rateLimitSources([], context.hostRateLimits),
  });
  const action = route.action;
  switch (action.case) {
    case "route":
      return compileForward(at(field, "route"), action.value, context, {
        ...settings,
        levels,
        filterLevels,
        place,
        prefixLength,
        template,
        salt,
        metadata: filterMetadata(route.metadata, "tulle.dev"),
        session,
        splitByHash: splitsByHash(route.metadata),
      });
    case "redirect": {
      const reply = replySettings();
      return {
        target: compileRedirect(at(field, "redirect"), action.value, reply, prefixLength),
        clusters: [],
      };
    }
    case "directResponse": {
      const reply = replySettings();
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

const GRPC_WORDS: ConditionWords = {
  condition: () => "must be gRPC",
  mismatch: () => "is not gRPC by its content-type",
  share: undefined,
};

/** A gRPC request by its content type: `application/grpc`, alone or with a suffix or parameters. */
function isGrpc(request: EngineRequest): boolean {
  const type = headerValue(request.headers, "content-type");
  return type !== undefined && /^application\/grpc(?:$|[+;])/i.test(type);
}
