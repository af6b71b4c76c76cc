import { create, type JsonObject } from "@bufbuild/protobuf";
import {
  InternalRedirectPolicySchema,
  RouteAction_InternalRedirectAction,
} from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import type {
  InternalRedirectPolicy,
  RouteAction,
  WeightedCluster,
  WeightedCluster_ClusterWeight,
} from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { compileRequestHash } from "../affinity/request-hash.js";
import type { SessionPolicy } from "../affinity/session.js";
import { compileRateLimits, rateLimitSources } from "../admit/rate-limit-descriptors.js";
import { compileRouteFilters, mergeRouteFilters } from "../admit/route-filters.js";
import type { Plan, RouteFilters } from "../contract.js";
import type { Provenance } from "../snapshot/contract.js";
import { at, invalid } from "../snapshot/invalid.js";
import { filterMetadata, LB_METADATA } from "../snapshot/metadata.js";
import { durationMs } from "../snapshot/duration.js";
import { requestValue } from "./header-value.js";
import { pathEnd } from "./path-end.js";
import { compileMutations, orderMutations } from "./header-mutations.js";
import type { Mutations } from "./header-mutations.js";
import { compileMirrors } from "./mirror.js";
import { compileInternalRedirect } from "./compile-redirect.js";
import { HeaderWay } from "./header-way.js";
import { compileHedge } from "./hedge-policy.js";
import { prefixRewrite, regexRewrite } from "./path-rewrite.js";
import type { PathRewrite } from "./path-rewrite.js";
import { compileSubstitution } from "./regex.js";
import { compileRetryPolicy, retryMarks } from "./retry-policy.js";
import type { RouteContext, RouteEntry } from "./route-entry.js";
import { HashKey, HeaderKey, type SplitKey } from "./split-key.js";
import { Split } from "./split.js";
import { compileTemplateRewrite } from "./template-policy.js";
import type { UriTemplate } from "./uri-template.js";
import { Way } from "./way.js";
import { RoutingPriority } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import type { WaySettings } from "./way.js";

/** What compileRoute knows of the route around the action. */
export interface ActionContext {
  readonly routeName: string;
  readonly provenance: Provenance;
  /** Mutations from the route upwards. */
  readonly levels: readonly Mutations[];
  /** Filter configuration from the route upwards. */
  readonly filterLevels: readonly RouteFilters[];
  /** The route's name among all tables. */
  readonly place: string;
  readonly prefixLength: number | undefined;
  readonly template: UriTemplate | undefined;
  readonly salt: number;
  /** The route's own metadata `tulle.dev`. */
  readonly metadata: JsonObject | undefined;
  readonly session: SessionPolicy | undefined;
  /** Equal keys go to equal clusters of a split. */
  readonly splitByHash: boolean;
}

/** Envoy's default of `route.timeout`; Istio sends 0 for none. */
const DEFAULT_TIMEOUT_MS = 15_000;

/**
 * Compiles a forwarding action into one way per cluster. Upgrades are no business of routing and are left to who reads
 * them.
 */
export function compileForward(
  field: string,
  action: RouteAction,
  context: RouteContext,
  route: ActionContext,
): Pick<RouteEntry, "target" | "clusters" | "session" | "splitBy"> {
  const shared = compileShared(field, action, context, route);
  const mirrors = compileMirrors(at(field, "request_mirror_policies"), action.requestMirrorPolicies, {
    ...route,
    timeoutMs: shared.timeoutMs,
  });
  const target = compileDestination(field, action, { ...shared, mirrors }, context, route);
  if (mirrors === undefined) return target;
  // Copies need their clusters as much as requests do.
  const clusters = new Set([...target.clusters, ...mirrors.map(({ clusterName }) => clusterName)]);
  return { ...target, clusters: [...clusters] };
}

function compileDestination(
  field: string,
  action: RouteAction,
  shared: Shared,
  context: RouteContext,
  route: ActionContext,
): Pick<RouteEntry, "target" | "clusters" | "session" | "splitBy"> {
  const routeFilters = mergeRouteFilters(route.filterLevels);
  const way: WayMaker = (clusterName, own) => {
    const levels = own === undefined ? route.levels : [own.mutations, ...route.levels];
    const { request, response } = orderMutations(levels, context.specificWins);
    return new Way({
      ...shared,
      clusterName,
      labels: own?.labels === undefined ? shared.labels : { ...shared.labels, ...own.labels },
      rewriteAuthority: own?.host ?? shared.rewriteAuthority,
      authorityOf: own?.host === undefined ? shared.authorityOf : undefined,
      requestHeaders: request,
      responseHeaders: response,
      filters:
        own === undefined || own.filters.size === 0
          ? routeFilters
          : mergeRouteFilters([own.filters, ...route.filterLevels]),
    });
  };
  const specifier = action.clusterSpecifier;
  switch (specifier.case) {
    case "cluster":
      if (specifier.value === "") throw invalid(at(field, "cluster"), "must not be empty");
      return { target: way(specifier.value, undefined), clusters: [specifier.value] };
    case "weightedClusters":
      return {
        ...compileWeighted(at(field, "weighted_clusters"), specifier.value, way, route),
        session: route.session,
        splitBy: splitKey(at(field, "weighted_clusters"), specifier.value, shared, route),
      };
    case "clusterHeader": {
      const { value } = specifier;
      if (!/^:?[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(value))
        throw invalid(at(field, "cluster_header"), "must be the name of a header");
      return { target: new HeaderWay(way("", undefined).settings, value.toLowerCase()), clusters: [] };
    }
    case "clusterSpecifierPlugin":
    case "inlineClusterSpecifierPlugin":
      throw invalid(
        at(field, "cluster_specifier_plugin"),
        "is not supported: use cluster or weighted_clusters",
      );
    case undefined:
      throw invalid(field, "must set one of cluster, weighted_clusters");
  }
}

function compileWeighted(
  field: string,
  weighted: WeightedCluster,
  way: WayMaker,
  route: ActionContext,
): Pick<RouteEntry, "target" | "clusters"> {
  if (weighted.clusters.length === 0) throw invalid(at(field, "clusters"), "must not be empty");
  const ways = weighted.clusters.map((one, index) =>
    compileWeight(at(field, `clusters[${index}]`), one, way, route.place),
  );
  const weights = weighted.clusters.map((one) => one.weight ?? 0);
  return {
    target: new Split(field, ways, weights, route.salt),
    clusters: [...new Set(weighted.clusters.map((one) => one.name))],
  };
}

function splitKey(
  field: string,
  { randomValueSpecifier: specifier }: WeightedCluster,
  { hash }: Pick<Shared, "hash">,
  { splitByHash }: ActionContext,
): SplitKey | undefined {
  if (specifier.case === undefined) return splitByHash && hash !== undefined ? new HashKey(hash) : undefined;
  if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(specifier.value))
    throw invalid(at(field, "header_name"), "must be the name of a header");
  return new HeaderKey(specifier.value.toLowerCase());
}

function compileWeight(field: string, one: WeightedCluster_ClusterWeight, way: WayMaker, place: string): Way {
  if (one.clusterHeader !== "") throw invalid(at(field, "cluster_header"), "is not supported: set name");
  if (one.name === "") throw invalid(at(field, "name"), "must not be empty");
  const host = one.hostRewriteSpecifier.case === undefined ? undefined : one.hostRewriteSpecifier.value;
  return way(one.name, {
    mutations: compileMutations(field, one),
    filters: compileRouteFilters(field, one, `${place}/${one.name}`),
    host,
    labels: filterMetadata(one.metadataMatch, LB_METADATA),
  });
}

/** What a weighted cluster says beside the route. */
interface OwnOfCluster {
  readonly mutations: Mutations;
  readonly filters: RouteFilters;
  readonly host: string | undefined;
  readonly labels: JsonObject | undefined;
}

type WayMaker = (clusterName: string, own: OwnOfCluster | undefined) => Way;

type Shared = Omit<WaySettings, "clusterName" | "requestHeaders" | "responseHeaders" | "filters">;

function compileShared(
  field: string,
  action: RouteAction,
  context: RouteContext,
  route: ActionContext,
): Omit<Shared, "mirrors"> {
  const { virtualHost } = context;
  const { retryPolicy = virtualHost.retryPolicy, hedgePolicy = virtualHost.hedgePolicy } = action;
  const longest = action.maxStreamDuration;
  const here = at(field, "max_stream_duration");
  return {
    routeName: route.routeName,
    provenance: route.provenance,
    timeoutMs: durationMs(at(field, "timeout"), action.timeout) ?? DEFAULT_TIMEOUT_MS,
    idleTimeoutMs: durationMs(at(field, "idle_timeout"), action.idleTimeout) ?? context.defaultIdleTimeoutMs,
    highPriority: action.priority === RoutingPriority.HIGH,
    maxDurationMs: durationMs(at(here, "max_stream_duration"), longest?.maxStreamDuration),
    grpcTimeoutMaxMs: durationMs(at(here, "grpc_timeout_header_max"), longest?.grpcTimeoutHeaderMax) ?? 0,
    grpcTimeoutOffsetMs:
      durationMs(at(here, "grpc_timeout_header_offset"), longest?.grpcTimeoutHeaderOffset) ?? 0,
    retry: compileRetryPolicy(at(field, "retry_policy"), retryPolicy, retryMarks(route.metadata)),
    hedge: compileHedge(field, hedgePolicy, route.metadata),
    tellsAttempts: virtualHost.includeAttemptCountInResponse,
    tellsTimeoutRetry: virtualHost.includeIsTimeoutRetryHeader,
    rewritePath: compilePathRewrite(field, action, route),
    rewriteAuthority: compileHostRewrite(field, action),
    hash: compileRequestHash(at(field, "hash_policy"), action.hashPolicy),
    labels: filterMetadata(action.metadataMatch, LB_METADATA),
    session: route.session,
    authorityOf: compileAuthorityOf(field, action),
    takesEndpointHost:
      action.hostRewriteSpecifier.case === "autoHostRewrite" && action.hostRewriteSpecifier.value.value,
    tellsForwardedHost: action.appendXForwardedHost,
    redirects: compileInternalRedirect(at(field, "internal_redirect_policy"), internalRedirectOf(action)),
    rateLimits: rateLimitSources(
      compileRateLimits(at(field, "rate_limits"), action.rateLimits),
      context.hostRateLimits,
    ),
  };
}

/** The older way to say that one redirect is followed is one with the policy's defaults. */
function internalRedirectOf(action: RouteAction): InternalRedirectPolicy | undefined {
  if (action.internalRedirectPolicy !== undefined) return action.internalRedirectPolicy;
  if (action.internalRedirectAction !== RouteAction_InternalRedirectAction.HANDLE_INTERNAL_REDIRECT)
    return undefined;
  return create(InternalRedirectPolicySchema, {
    ...(action.maxInternalRedirects !== undefined && { maxInternalRedirects: action.maxInternalRedirects }),
  });
}

function compilePathRewrite(
  field: string,
  action: RouteAction,
  { prefixLength, template }: ActionContext,
): PathRewrite | undefined {
  const ways = [action.prefixRewrite !== "", action.regexRewrite, action.pathRewritePolicy].filter(Boolean);
  if (ways.length > 1) {
    throw invalid(field, "of prefix_rewrite, regex_rewrite and path_rewrite_policy at most one may be set");
  }
  if (action.pathRewritePolicy !== undefined)
    return compileTemplateRewrite(at(field, "path_rewrite_policy"), action.pathRewritePolicy, template);
  if (action.prefixRewrite !== "") {
    if (/[\0-\x20\x7f]/.test(action.prefixRewrite)) {
      throw invalid(at(field, "prefix_rewrite"), "must not hold spaces or control characters");
    }
    return prefixRewrite(action.prefixRewrite, prefixLength);
  }
  if (action.regexRewrite === undefined) return undefined;
  return regexRewrite(compileSubstitution(at(field, "regex_rewrite"), action.regexRewrite));
}

function compileHostRewrite(field: string, action: RouteAction): string | undefined {
  const specifier = action.hostRewriteSpecifier;
  switch (specifier.case) {
    case undefined:
      return undefined;
    case "hostRewriteLiteral":
      if (/[\0-\x20\x7f]/.test(specifier.value)) {
        throw invalid(at(field, "host_rewrite_literal"), "must not hold spaces or control characters");
      }
      return specifier.value === "" ? undefined : specifier.value;
    case "autoHostRewrite":
    case "hostRewriteHeader":
    case "hostRewritePathRegex":
      return undefined;
  }
}

/** A host that the request itself gives: by a header, or by its path. One that is no host is not taken. */
function compileAuthorityOf(field: string, action: RouteAction): Plan["authorityOf"] {
  const specifier = action.hostRewriteSpecifier;
  if (specifier.case === "hostRewriteHeader") {
    const name = specifier.value.toLowerCase();
    if (name === "") throw invalid(at(field, "host_rewrite_header"), "must not be empty");
    return (request) => hostIn(requestValue(request, name));
  }
  if (specifier.case !== "hostRewritePathRegex") return undefined;
  const substitute = compileSubstitution(at(field, "host_rewrite_path_regex"), specifier.value);
  return ({ path }) => hostIn(substitute(path.slice(0, pathEnd(path))));
}

function hostIn(value: string | undefined): string | undefined {
  return value !== undefined && /^[\x21-\x2e\x30-\x7e]+$/.test(value) ? value : undefined;
}
