import type { MeshObject, RateLimitMatch, StringMatch } from "@tulle/api";
import type { HeaderMatcher, RateLimit } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import {
  LocalRateLimitSchema,
  type LocalRateLimit,
} from "@tulle/xds/gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.js";
import type { RateLimit as GlobalRateLimitFilter } from "@tulle/xds/gen/envoy/extensions/filters/http/ratelimit/v3/rate_limit_pb.js";
import { routeMatch } from "./routes/match.js";
import { isUntranslatable, literal } from "./string-match.js";
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

/** Name of an object's filter in its chains. */
export function limitFilterName({ namespace, name }: MeshObject["metadata"]): string {
  return `tulle.rate_limit.${namespace}.${name}`;
}

/** Requests that a limit is about. */
export interface LimitMatch extends RateLimitMatch {
  /** Paths, without their query, that others count. */
  readonly exceptUris?: readonly StringMatch[];
}

/** Conditions on requests; undefined when they cannot be said. */
export function matchersOf(t: Translation, match: LimitMatch, where: string): HeaderMatcher[] | undefined {
  const { uri, method, headers, exceptUris = [] } = match;
  const except = exceptUris.map((one) => pathExpression(one)).join("|");
  const route = routeMatch({
    ...(method === undefined ? {} : { method }),
    headers: { ...headers, ...(uri === undefined ? {} : { ":path": withQuery(uri) }) },
    ...(except !== "" && { withoutHeaders: { ":path": { regex: except } } }),
  });
  if (!isUntranslatable(route)) return route.headers;
  t.warn(`${where}: ${route.problem}; the limit is left out`);
  return undefined;
}

/** The pseudo header `:path` has the query too, which a limit does not look at. */
function withQuery(uri: StringMatch): StringMatch {
  return uri.prefix === undefined ? { regex: pathExpression(uri) } : uri;
}

function pathExpression({ exact, prefix, regex }: StringMatch): string {
  if (prefix !== undefined) return `${literal(prefix)}.*`;
  return `${exact === undefined ? `(?:${regex ?? ".*"})` : literal(exact)}(?:\\?.*)?`;
}
