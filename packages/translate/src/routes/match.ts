import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { claimPath, COOKIE_PREFIX, type StringMatch } from "@tulle/api";
import {
  HeaderMatcherSchema,
  QueryParameterMatcherSchema,
  RouteMatchSchema,
  type HeaderMatcher,
  type RouteMatch,
} from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import type { MetadataMatcher } from "@tulle/xds/gen/envoy/type/matcher/v3/metadata_pb.js";
import { regexProblem } from "../regex-syntax.js";
import { isPresence, isUntranslatable, stringMatcher, type Untranslatable } from "../string-match.js";
import { claimMatcher } from "./claim-match.js";
import type { RuleMatch } from "./rule.js";

/** Matches everything. */
export function matchAll(): RouteMatch {
  return create(RouteMatchSchema, { pathSpecifier: { case: "prefix", value: "/" } });
}

/**
 * The conditions of one match on the request itself. Conditions on the client (source, gateway) and on the port must have
 * been decided before. `claims`: whether the client verifies tokens before it routes.
 */
export function routeMatch(match: RuleMatch, claims = false): RouteMatch | Untranslatable {
  const pathSpecifier = pathOf(match);
  if (isUntranslatable(pathSpecifier)) return pathSpecifier;
  const headers: HeaderMatcher[] = [];
  const metadata: MetadataMatcher[] = [];
  const conditions: readonly (readonly [string, StringMatch | undefined, boolean])[] = [
    [":method", match.method, false],
    [":authority", match.authority, false],
    [":scheme", match.scheme, false],
    ...byKey(match.headers).map(([name, value]) => [name, value, false] as const),
    ...byKey(match.withoutHeaders).map(([name, value]) => [name, value, true] as const),
  ];
  for (const [name, value, invert] of conditions) {
    if (value === undefined) continue;
    const path = claimPath(name);
    if (path !== undefined) {
      const claim = claims ? claimMatcher(path, value, invert) : { problem: `${name} is for gateways only` };
      if (isUntranslatable(claim)) return claim;
      metadata.push(claim);
      continue;
    }
    const matcher = headerMatcher(name, value, invert);
    if (isUntranslatable(matcher)) return matcher;
    headers.push(matcher);
  }
  const route = create(RouteMatchSchema, {
    pathSpecifier,
    headers,
    dynamicMetadata: metadata,
  });
  for (const [name, value] of byKey(match.queryParams)) {
    const matcher = isPresence(value) ? undefined : stringMatcher(value);
    if (matcher !== undefined && isUntranslatable(matcher)) return matcher;
    route.queryParameters.push(
      create(QueryParameterMatcherSchema, {
        name,
        queryParameterMatchSpecifier:
          matcher === undefined
            ? { case: "presentMatch", value: true }
            : { case: "stringMatch", value: matcher },
      }),
    );
  }
  if (match.ignoreUriCase === true) route.caseSensitive = false;
  return route;
}

function pathOf({
  uri,
  pathSegments,
}: RuleMatch): NonNullable<MessageInitShape<typeof RouteMatchSchema>["pathSpecifier"]> | Untranslatable {
  if (pathSegments !== undefined) return { case: "pathSeparatedPrefix", value: pathSegments };
  if (uri?.exact !== undefined) return { case: "path", value: uri.exact };
  if (uri?.regex !== undefined) {
    const problem = regexProblem(uri.regex);
    if (problem !== undefined)
      return { problem: `the regular expression ${JSON.stringify(uri.regex)} ${problem}` };
    return { case: "safeRegex", value: { regex: uri.regex } };
  }
  return { case: "prefix", value: uri?.prefix ?? "/" };
}

function headerMatcher(
  name: string,
  match: StringMatch,
  invertMatch: boolean,
): HeaderMatcher | Untranslatable {
  const header = nameInside(name);
  if (isPresence(match)) {
    return create(HeaderMatcherSchema, {
      name: header,
      headerMatchSpecifier: { case: "presentMatch", value: true },
      invertMatch,
    });
  }
  const value = stringMatcher(match);
  if (isUntranslatable(value)) return value;
  return create(HeaderMatcherSchema, {
    name: header,
    headerMatchSpecifier: { case: "stringMatch", value },
    invertMatch,
  });
}

/** The request's host is a pseudo header inside every proxy. Unlike those of headers, names of cookies have a case. */
function nameInside(written: string): string {
  if (written.startsWith(COOKIE_PREFIX)) return written;
  const name = written.toLowerCase();
  return name === "host" ? ":authority" : name;
}

function byKey<T>(record: Readonly<Record<string, T>> | undefined): [string, T][] {
  return Object.entries(record ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
}
