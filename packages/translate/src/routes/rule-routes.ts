import { defaultHttpRetry } from "../mesh-defaults.js";
import { create } from "@bufbuild/protobuf";
import {
  RouteMatchSchema,
  RouteSchema,
  type Route,
  type RouteMatch,
} from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { fraction } from "../messages.js";
import { provenance, TULLE_METADATA } from "../provenance.js";
import { isUntranslatable } from "../string-match.js";
import type { Translation } from "../translation.js";
import { isForMesh } from "../virtual-services.js";
import { isSource } from "../visibility.js";
import { CORS_FILTER, corsConfig } from "./cors.js";
import { FAULT_FILTER, faultConfig } from "./fault.js";
import { forwardAction, hasWeight, ruleHeaders, targetsOf, type RuleContext } from "./forward.js";
import { headerMutations } from "./headers.js";
import { annotatedPriority } from "./priority.js";
import { annotatedRedirects } from "./internal-redirects.js";
import { annotatedRuntimeKeys } from "./runtime-keys.js";
import { matchAll, routeMatch } from "./match.js";
import { annotatedHedge, markHedge, markRetries } from "./route-marks.js";
import { EXTERNAL_AUTH_FILTER, externalAuthConfig } from "./external-auth.js";
import { SESSION_FILTER, sessionConfig } from "./session.js";
import { directResponseAction, redirectAction } from "./reply.js";
import type { Failing, OwnedRule, RuleMatch } from "./rule.js";

/**
 * The routes of one rule: one for each of its matches that can hold for this client. `isFor`: whether a match with these
 * gateways can; default: those of sidecars.
 */
export function ruleRoutes(
  t: Translation,
  owned: OwnedRule,
  listenerPort: number,
  isFor: (gateways: readonly string[] | undefined) => boolean = isForMesh,
): Route[] {
  const { rule, object, field } = owned;
  const { namespace, name } = object.metadata;
  const where = `${object.kind} ${namespace}/${name} ${field}`;
  const matches: readonly (RuleMatch | undefined)[] = rule.match?.length ? rule.match : [undefined];
  const keys = annotatedRuntimeKeys(t, owned);
  const routes: Route[] = [];
  matches.forEach((match, matchIndex) => {
    if (match !== undefined && !canHold(t, match, listenerPort, isFor)) return;
    const conditions = match === undefined ? matchAll() : routeMatch(match, t.view.gateway !== undefined);
    if (isUntranslatable(conditions)) {
      t.warnOf("IST0122", `${where}.match[${matchIndex}]: ${conditions.problem}; the match is left out`);
      return;
    }
    const ruleName = rule.name ?? `${name}/${field}`;
    const route = create(RouteSchema, {
      name: match?.name === undefined ? ruleName : `${ruleName}.${match.name}`,
      match: conditions,
      metadata: provenance(object, field),
      statPrefix: match?.statPrefix ?? "",
    });
    if (rule.failing !== undefined && rule.failing.percent < 100) {
      routes.push(create(RouteSchema, { ...route, ...failingPart(conditions, rule.failing) }));
    }
    act(t, owned, match, { namespace, listenerPort, where, keys }, route);
    if (keys.share !== undefined && route.match !== undefined) route.match.runtimeFraction = keys.share;
    routes.push(route);
  });
  return routes;
}

/** Conditions that do not depend on the request. */
function canHold(
  t: Translation,
  match: RuleMatch,
  listenerPort: number,
  isFor: (gateways: readonly string[] | undefined) => boolean,
): boolean {
  if (match.port !== undefined && match.port !== listenerPort) return false;
  return isFor(match.gateways) && isSource(match, t.view);
}

function act(
  t: Translation,
  { rule, object }: OwnedRule,
  match: RuleMatch | undefined,
  context: RuleContext,
  route: Route,
): void {
  if (rule.failing !== undefined && rule.failing.percent >= 100) {
    route.action = failure(rule.failing);
  } else if (rule.redirect !== undefined) {
    route.action = { case: "redirect", value: redirectAction(rule.redirect, match) };
    Object.assign(route, responseHeaders(rule.headers));
  } else if (rule.directResponse !== undefined) {
    route.action = { case: "directResponse", value: directResponseAction(rule.directResponse) };
    Object.assign(route, responseHeaders(rule.headers));
  } else if (hasWeight(rule.route ?? [])) {
    const targets = targetsOf(t, rule, context);
    const action = forwardAction(t, rule, targets, context);
    const redirects = annotatedRedirects(t, context.where, object.metadata);
    if (redirects !== undefined) action.internalRedirectPolicy = redirects;
    action.priority = annotatedPriority(t, context.where, object.metadata);
    route.action = { case: "route", value: action };
    const session = rule.session ?? targets.find((target) => target.session !== undefined)?.session;
    if (targets.length > 1) splitByHash(t, object, route, context);
    if (session !== undefined) route.typedPerFilterConfig[SESSION_FILTER] = sessionConfig(session);
    Object.assign(route, ruleHeaders(rule));
    markRetries(route, rule.retries ?? defaultHttpRetry(t), object.metadata);
    const hedge = annotatedHedge(t, context.where, object.metadata);
    if (hedge !== undefined) markHedge(route, hedge);
  } else {
    t.warn(`${context.where}: no destination has a weight: requests fail with 503`);
    const body = { string: "no destination of this route has a weight" };
    route.action = { case: "directResponse", value: directResponseAction({ status: 503, body }) };
  }
  if (rule.externalAuth !== undefined)
    route.typedPerFilterConfig[EXTERNAL_AUTH_FILTER] = externalAuthConfig(rule.externalAuth);
  if (rule.corsPolicy !== undefined) route.typedPerFilterConfig[CORS_FILTER] = corsConfig(t, rule.corsPolicy);
  if (rule.fault !== undefined)
    route.typedPerFilterConfig[FAULT_FILTER] = faultConfig(rule.fault, context.keys);
}

const SPLIT_ANNOTATION = "tulle.dev/split";

/** Has the annotated object's splits decided by what the destinations hash: the same user, the same version. */
function splitByHash(
  t: Translation,
  { metadata }: OwnedRule["object"],
  route: Route,
  { where }: RuleContext,
): void {
  const wanted = metadata.annotations?.[SPLIT_ANNOTATION];
  if (wanted === undefined || route.metadata === undefined) return;
  const hashes = route.action.case === "route" && route.action.value.hashPolicy.length > 0;
  if (wanted !== "hash") t.warn(`${where}: annotation ${SPLIT_ANNOTATION} must be "hash"; it has no effect`);
  else if (!hashes) {
    t.warn(`${where}: annotation ${SPLIT_ANNOTATION} has no effect: no destination has a consistentHash`);
  } else {
    const own = route.metadata.filterMetadata[TULLE_METADATA];
    route.metadata.filterMetadata[TULLE_METADATA] = { ...own, split: "hash" };
  }
}

/** A route for the share of a rule's requests that fails: drawn before the rest is sent on. */
function failingPart(match: RouteMatch, failing: Failing): Pick<Route, "match" | "action"> {
  const { runtimeFraction } = create(RouteMatchSchema, {
    runtimeFraction: { defaultValue: fraction(failing.percent) },
  });
  return { match: { ...match, runtimeFraction }, action: failure(failing) };
}

function failure({ status, body }: Failing): Route["action"] {
  return { case: "directResponse", value: directResponseAction({ status, body: { string: body } }) };
}

/** A request that is answered at once goes nowhere: its headers do not matter. */
function responseHeaders(headers: OwnedRule["rule"]["headers"]) {
  const { responseHeadersToAdd, responseHeadersToRemove } = headerMutations(headers);
  return { responseHeadersToAdd, responseHeadersToRemove };
}
