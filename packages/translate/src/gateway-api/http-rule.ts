import { parseDuration } from "@tulle/base";
import type {
  Destination,
  HTTPBackendRef,
  HTTPRouteMatch,
  HTTPRouteRetry,
  HTTPRouteRule,
  HTTPRouteTimeouts,
  HttpRetry,
  HttpRouteDestination,
  StringMatch,
  ValueMatch,
} from "@tulle/api";
import { regexProblem } from "../regex-syntax.js";
import type { RouteRule, RuleMatch } from "../routes/rule.js";
import { sessionOf } from "./sessions.js";
import type { Translation } from "../translation.js";
import { backendOf } from "./backends.js";
import { filterEffects, mergedEffects, type FilterContext, type FilterEffects } from "./http-filters.js";
import { trimmed } from "./path-change.js";
import type { Precedence } from "./precedence.js";
import type { RefProblem, RuleProblem, RuleProblems } from "./problems.js";
import type { HttpRouteObject } from "./route-kinds.js";
import { failingShare, sharesOf } from "./weights.js";

/** A condition with its place among those of all routes. */
export interface RankedMatch {
  readonly match: RuleMatch;
  readonly precedence: Precedence;
}

/** A rule of a route in the terms of rules. */
export interface ConvertedRule {
  /** Without conditions. */
  readonly rule: RouteRule;
  readonly matches: readonly RankedMatch[];
  readonly problems: RuleProblems;
}

/** Try again where nothing can have been done yet, as everywhere in the mesh; and what the rule's codes say. */
export const SAFE_RETRIES = "connect-failure,refused-stream,unavailable,cancelled,reset-before-request";

/** What a rule answers that cannot be carried out as written: skipping a filter could let through what it guards. */
const UNSUPPORTED = "this rule cannot be carried out as it is written; see the route's status\n";

/** A rule of an HTTPRoute. */
export function httpRule(
  t: Translation,
  route: HttpRouteObject,
  index: number,
  written: HTTPRouteRule,
  listenerPort: number,
): ConvertedRule {
  const field = `rules[${index}]`;
  const context: FilterContext = { route, field, prefix: onlyPrefix(written), listenerPort };
  const matches = (written.matches ?? [{}]).map(convertMatch);
  const backends = backendsOf(t, written.backendRefs ?? [], context);
  const own = filterEffects(t, written.filters ?? [], context);
  const effects = backends.only === undefined ? own : mergedEffects(own, backends.only, field);
  const problems = {
    refs: [...effects.refs, ...backends.refs],
    rule: [...effects.rule, ...backends.rule, ...matches.flatMap(({ problem }) => problem ?? [])],
  };
  const session = sessionOf(t, route, index, written);
  const settings = {
    ...(written.name !== undefined && { name: written.name }),
    ...(session !== undefined && { session }),
  };
  const rule =
    effects.rule.length + backends.rule.length > 0
      ? { ...settings, failing: { percent: 100, status: 500, body: UNSUPPORTED } }
      : { ...settings, ...actionOf(written, effects, backends) };
  return { rule, matches: matches.filter(({ problem }) => problem === undefined), problems };
}

interface Backends {
  readonly route: readonly HttpRouteDestination[];
  readonly lost: number;
  /** What the filters of a rule's only backend do. */
  readonly only: FilterEffects | undefined;
  readonly refs: readonly RefProblem[];
  readonly rule: readonly RuleProblem[];
}

function backendsOf(t: Translation, references: readonly HTTPBackendRef[], context: FilterContext): Backends {
  const refs: RefProblem[] = [];
  const rule: RuleProblem[] = [];
  let only: FilterEffects | undefined;
  const { usable, lost } = sharesOf(references, (reference, index) => {
    const field = `${context.field}.backendRefs[${index}]`;
    const effects = filterEffects(t, reference.filters ?? [], { ...context, field });
    if (references.length === 1) only = effects;
    else {
      refs.push(...effects.refs);
      rule.push(...effects.rule, ...perBackendProblems(effects, field));
    }
    const { destination, problem } = backendOf(t, reference, context.route, "requests");
    if (problem !== undefined) refs.push(problem);
    return destination === undefined ? undefined : destinationOf(destination, effects);
  });
  const route = usable.map(({ backend, weight }) => ({ ...backend, weight }));
  return { route, lost, only, refs, rule };
}

/** The host is rewritten like a header: that can differ from backend to backend. */
function destinationOf(destination: Destination, { headers, rewrite }: FilterEffects): HttpRouteDestination {
  if (rewrite?.authority === undefined) return { destination, ...(headers !== undefined && { headers }) };
  const set = { ...headers?.request?.set, ":authority": rewrite.authority };
  return { destination, headers: { ...headers, request: { ...headers?.request, set } } };
}

/** What can be done for a whole rule only. */
function perBackendProblems(effects: FilterEffects, field: string): RuleProblem[] {
  const { redirect, rewrite, corsPolicy, externalAuth, mirrors } = effects;
  const parts: readonly (readonly [string, boolean])[] = [
    ["RequestRedirect", redirect !== undefined],
    ["URLRewrite of a path", rewrite?.uri !== undefined || rewrite?.uriRegexRewrite !== undefined],
    ["CORS", corsPolicy !== undefined],
    ["ExternalAuth", externalAuth !== undefined],
    ["RequestMirror", mirrors.length > 0],
  ];
  return parts
    .filter(([, present]) => present)
    .map(([name]) => ({
      reason: "UnsupportedValue",
      message: `${field} has a ${name}, which a rule with several backends takes for all of them only`,
    }));
}

function actionOf(
  written: HTTPRouteRule,
  { headers, redirect, rewrite, mirrors, corsPolicy, externalAuth }: FilterEffects,
  { route, lost }: Backends,
): RouteRule {
  const shared = {
    ...(headers !== undefined && { headers }),
    ...(corsPolicy !== undefined && { corsPolicy }),
    ...(externalAuth !== undefined && { externalAuth }),
  };
  if (redirect !== undefined) return { ...shared, redirect };
  const failing = failingShare(lost, 500);
  const { timeout, retries } = timesOf(written.timeouts, written.retry);
  return {
    ...shared,
    ...(failing !== undefined && { failing }),
    route,
    mirrors,
    ...(rewrite !== undefined && { rewrite }),
    ...(timeout !== undefined && { timeout }),
    ...(retries !== undefined && { retries }),
  };
}

function timesOf(
  { request, backendRequest }: HTTPRouteTimeouts = {},
  retry: HTTPRouteRetry | undefined,
): { readonly timeout: string | undefined; readonly retries: HttpRetry | undefined } {
  const perTry = isSome(backendRequest) ? backendRequest : undefined;
  // Without a second try, the first one's time is all there is; it is never longer than the request's.
  if (retry?.attempts === 0) return { timeout: perTry ?? request, retries: { attempts: 0 } };
  if (retry === undefined && perTry === undefined) return { timeout: request, retries: undefined };
  const conditions = [SAFE_RETRIES, ...(retry?.codes ?? []).map(String)];
  // A try whose time is up is tried again where that is safe: only for who asks for retries.
  if (retry !== undefined && perTry !== undefined) conditions.push("reset");
  return {
    timeout: request,
    retries: {
      ...(retry?.attempts !== undefined && { attempts: retry.attempts }),
      ...(isSome(retry?.backoff) && { backoff: retry.backoff }),
      ...(perTry !== undefined && { perTryTimeout: perTry }),
      retryOn: conditions.join(","),
    },
  };
}

function isSome(duration: string | undefined): duration is string {
  return duration !== undefined && (parseDuration(duration) ?? 0) > 0;
}

function convertMatch({ path, method, headers = [], queryParams = [] }: HTTPRouteMatch): RankedMatch & {
  readonly problem?: RuleProblem;
} {
  const type = path?.type ?? "PathPrefix";
  const value = path?.value ?? "/";
  const prefix = type === "PathPrefix" ? trimmed(value) : "";
  const match: RuleMatch = {
    ...(type === "Exact" && { uri: { exact: value } }),
    ...(type === "RegularExpression" && { uri: { regex: value } }),
    ...(prefix !== "" && { pathSegments: prefix }),
    ...(method !== undefined && { method: { exact: method } }),
    headers: valueMatches(headers),
    queryParams: valueMatches(queryParams),
  };
  const precedence = [
    type === "Exact" ? 1 : 0,
    type === "RegularExpression" ? value.length : 0,
    type === "PathPrefix" ? prefix.length : 0,
    method === undefined ? 0 : 1,
    headers.length,
    queryParams.length,
  ];
  const problem = regexProblems([
    ...(type === "RegularExpression" ? [value] : []),
    ...[...headers, ...queryParams].filter(isRegex).map((each) => each.value),
  ]);
  return { match, precedence, ...(problem !== undefined && { problem }) };
}

/** The comparisons of header fields or query parameters by name. */
export function valueMatches(matches: readonly ValueMatch[]): Record<string, StringMatch> {
  return Object.fromEntries(
    matches.map((match) => [match.name, isRegex(match) ? { regex: match.value } : { exact: match.value }]),
  );
}

export function isRegex({ type }: Pick<ValueMatch, "type">): boolean {
  return type === "RegularExpression";
}

/** What is wrong with the first bad one of some regular expressions. */
export function regexProblems(patterns: readonly string[]): RuleProblem | undefined {
  for (const pattern of patterns) {
    const problem = pattern === "" ? "is empty" : regexProblem(pattern);
    if (problem === undefined) continue;
    const message = `the regular expression ${JSON.stringify(pattern)} ${problem}; the match is left out`;
    return { reason: "UnsupportedValue", message };
  }
  return undefined;
}

/** The prefix of a rule's only match. */
function onlyPrefix({ matches = [{}] }: HTTPRouteRule): string | undefined {
  const path = matches.length === 1 ? matches[0]?.path : undefined;
  const isPrefix = matches.length === 1 && (path?.type ?? "PathPrefix") === "PathPrefix";
  return isPrefix ? (path?.value ?? "/") : undefined;
}
