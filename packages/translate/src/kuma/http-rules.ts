import {
  percentOf,
  type HttpRouteDestination,
  type HTTPRouteFilter,
  type MeshHTTPFilter,
  type MeshHTTPMatch,
  type MeshHTTPRouteRule,
  type MeshHeaderMatch,
  type MeshObject,
  type StringMatch,
} from "@tulle/api";
import { requestChanges } from "../gateway-api/http-filters.js";
import { valueMatches } from "../gateway-api/http-rule.js";
import { trimmed } from "../gateway-api/path-change.js";
import type { Precedence } from "../gateway-api/precedence.js";
import type { RouteRule, RuleMatch } from "../routes/rule.js";
import type { Translation } from "../translation.js";
import { destinationOf } from "./backends.js";

/** What a rule does, with the objects that say it: of rules with the same matches each part is the first one's that has it. */
export interface RuleParts {
  readonly filters?: Said<readonly MeshHTTPFilter[]>;
  readonly backendRefs?: Said<NonNullable<MeshHTTPRouteRule["default"]["backendRefs"]>>;
}

interface Said<Value> {
  readonly value: Value;
  readonly object: MeshObject;
}

/** One match of a rule in the terms of rules. `called`: where requests go when the rule does not say. */
export function ruleFor(
  t: Translation,
  match: MeshHTTPMatch,
  { filters, backendRefs }: RuleParts,
  called: HttpRouteDestination["destination"],
  listenerPort: number,
): RouteRule {
  const written = filters?.value ?? [];
  const prefix = match.path?.type === "PathPrefix" ? match.path.value : undefined;
  const place = { prefix, listenerPort };
  const { headers, redirect, rewrite } = requestChanges(written.map(gatewayFilter), place);
  const shared = { match: [ruleMatch(match)], ...(headers !== undefined && { headers }) };
  if (redirect !== undefined) return { ...shared, redirect };
  const toBackend = written.some(({ urlRewrite }) => urlRewrite?.hostToBackendHostname === true);
  const backends = (backendRefs?.value ?? []).map(({ weight = 1, ...reference }) => ({
    destination: destinationOf(t, reference, backendRefs?.object.metadata.namespace ?? ""),
    weight,
  }));
  const route: readonly HttpRouteDestination[] = backends.length > 0 ? backends : [{ destination: called }];
  return {
    ...shared,
    route: toBackend ? route.map(withItsHost) : route,
    mirrors: mirrorsOf(t, filters),
    ...(rewrite !== undefined && { rewrite }),
  };
}

/** Mirrors and the host of the backend are Kuma's own; the rest is said as Gateway API says it. */
function gatewayFilter({ requestMirror: _mirror, urlRewrite, ...filter }: MeshHTTPFilter): HTTPRouteFilter {
  if (urlRewrite === undefined) return filter;
  const { hostToBackendHostname: _host, ...rewrite } = urlRewrite;
  return { ...filter, urlRewrite: rewrite };
}

/** The host is rewritten like a header: that can differ from backend to backend. */
function withItsHost(backend: HttpRouteDestination): HttpRouteDestination {
  return { ...backend, headers: { request: { set: { ":authority": backend.destination.host } } } };
}

function mirrorsOf(t: Translation, filters: RuleParts["filters"]): NonNullable<RouteRule["mirrors"]> {
  if (filters === undefined) return [];
  const { namespace } = filters.object.metadata;
  return filters.value.flatMap(({ requestMirror }) =>
    requestMirror === undefined
      ? []
      : {
          destination: destinationOf(t, requestMirror.backendRef, namespace),
          percentage: { value: percentOf(requestMirror.percentage ?? 100) },
        },
  );
}

function ruleMatch({ path, method, headers = [], queryParams = [] }: MeshHTTPMatch): RuleMatch {
  const prefix = path?.type === "PathPrefix" ? trimmed(path.value) : "";
  const absent = headers.filter(({ type }) => type === "Absent");
  return {
    ...(path?.type === "Exact" && { uri: { exact: path.value } }),
    ...(path?.type === "RegularExpression" && { uri: { regex: path.value } }),
    ...(prefix !== "" && { pathSegments: prefix }),
    ...(method !== undefined && { method: { exact: method } }),
    headers: Object.fromEntries(
      headers.filter((each) => !absent.includes(each)).map((each) => [each.name, headerCondition(each)]),
    ),
    ...(absent.length > 0 && { withoutHeaders: Object.fromEntries(absent.map(({ name }) => [name, {}])) }),
    queryParams: valueMatches(queryParams),
  };
}

function headerCondition({ type = "Exact", value = "" }: MeshHeaderMatch): StringMatch {
  if (type === "Present") return {};
  if (type === "Prefix") return { prefix: value };
  return type === "RegularExpression" ? { regex: value } : { exact: value };
}

/**
 * Kuma's order among conditions: exact paths, then prefixes, then regular expressions, the longer ones first; then those
 * with a method, with more headers, with more query parameters.
 */
export function precedenceOf({ path, method, headers = [], queryParams = [] }: MeshHTTPMatch): Precedence {
  const length = path?.value.length ?? 0;
  return [
    path?.type === "Exact" ? 1 : 0,
    path?.type === "PathPrefix" ? length : 0,
    path?.type === "RegularExpression" ? length : 0,
    method === undefined ? 0 : 1,
    headers.length,
    queryParams.length,
  ];
}

/** Whether every request meets a condition. */
export function matchesAll({ path, method, headers = [], queryParams = [] }: MeshHTTPMatch): boolean {
  const anyPath = path === undefined || (path.type === "PathPrefix" && trimmed(path.value) === "");
  return anyPath && method === undefined && headers.length === 0 && queryParams.length === 0;
}
