import type { MeshObject, RateLimitMatch, StringMatch } from "@tulle/api";
import type { HeaderMatcher, RateLimit } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import {
  LocalRateLimitSchema,
  type LocalRateLimit,
} from "@tulle/xds/gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.js";
import type { RateLimit as GlobalRateLimitFilter } from "@tulle/xds/gen/envoy/extensions/filters/http/ratelimit/v3/rate_limit_pb.js";
import { RATE_LIMIT } from "./kinds.js";
import { routeMatch } from "./routes/match.js";
import { isUntranslatable } from "./string-match.js";
import type { Translation } from "./translation.js";

/** A RateLimit for one service: a filter of its own, and what it must know of requests. */
export interface TranslatedRateLimit {
  /** Name of the filter in its chain. */
  readonly name: string;
  readonly filter: LocalRateLimit | GlobalRateLimitFilter;
  /** For the service's virtual hosts. */
  readonly sources: readonly RateLimit[];
}

/** Whether a sidecar counts by itself. */
export function isLocalLimit(filter: TranslatedRateLimit["filter"]): filter is LocalRateLimit {
  return filter.$typeName === LocalRateLimitSchema.typeName;
}

type Named = Pick<MeshObject, "kind"> & {
  readonly metadata: Pick<MeshObject["metadata"], "namespace" | "name">;
};

/** Name of an object's filter in its chains. */
export function limitFilterName({ kind, metadata: { namespace, name } }: Named): string {
  return kind === RATE_LIMIT.kind
    ? `tulle.rate_limit.${namespace}.${name}`
    : `tulle.rate_limit.${kind}.${namespace}.${name}`;
}

/** What metrics and buckets of an object's limits are named by. */
export function limitId({ kind, metadata: { namespace, name } }: Named): string {
  return kind === RATE_LIMIT.kind ? `${namespace}/${name}` : `${kind}/${namespace}/${name}`;
}

/** Conditions on requests; undefined when they cannot be said. */
export function matchersOf(
  t: Translation,
  match: RateLimitMatch,
  where: string,
): HeaderMatcher[] | undefined {
  const { uri, method, headers } = match;
  const route = routeMatch({
    ...(method === undefined ? {} : { method }),
    headers: { ...headers, ...(uri === undefined ? {} : { ":path": withQuery(uri) }) },
  });
  if (!isUntranslatable(route)) return route.headers;
  t.warn(`${where}: ${route.problem}; the limit is left out`);
  return undefined;
}

/** The pseudo header `:path` has the query too, which a limit does not look at. */
function withQuery(uri: StringMatch): StringMatch {
  if (uri.prefix !== undefined) return uri;
  const path =
    uri.exact === undefined
      ? `(?:${uri.regex ?? ".*"})`
      : uri.exact.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&");
  return { regex: `${path}(?:\\?.*)?` };
}
