import type {
  CorsPolicy,
  HeaderManipulation,
  HeaderModifier,
  HeaderOperations,
  HTTPCors,
  HTTPRequestRedirect,
  HTTPRouteFilter,
  HTTPUrlRewrite,
  HttpMirrorPolicy,
  HttpRewrite,
  RequestMirror,
  StringMatch,
} from "@tulle/api";
import type { ExtAuthz } from "@tulle/xds/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import type { RuleRedirect } from "../routes/rule.js";
import type { Translation } from "../translation.js";
import { backendOf } from "./backends.js";
import { externalAuthorizer } from "./external-auth.js";
import { pathChange, quoted, wholePath } from "./path-change.js";
import type { RefProblem, RuleProblem } from "./problems.js";
import type { RouteObject } from "./route-kinds.js";

/** What a list of filters does, in the terms of rules. */
export interface FilterEffects {
  readonly headers?: HeaderManipulation;
  readonly redirect?: RuleRedirect;
  readonly rewrite?: HttpRewrite;
  readonly mirrors: readonly HttpMirrorPolicy[];
  readonly corsPolicy?: CorsPolicy;
  readonly externalAuth?: ExtAuthz;
  readonly refs: readonly RefProblem[];
  readonly rule: readonly RuleProblem[];
}

/** What the requests have in common that filters change. */
export interface ChangedPlace {
  /** The prefix that the rule's only match asks for, as written. */
  readonly prefix: string | undefined;
  readonly listenerPort: number;
}

/** Where filters stand. */
export interface FilterContext extends ChangedPlace {
  readonly route: RouteObject;
  /** `rules[0]` or `rules[0].backendRefs[1]` */
  readonly field: string;
}

/** Seconds that browsers keep the answer to a preflight when nothing is said. */
const DEFAULT_MAX_AGE = 5;

export function filterEffects(
  t: Translation,
  filters: readonly HTTPRouteFilter[],
  context: FilterContext,
): FilterEffects {
  const refs: RefProblem[] = [];
  const rule: RuleProblem[] = [];
  const mirrors: HttpMirrorPolicy[] = [];
  let effects: RequestChanges & Pick<FilterEffects, "corsPolicy" | "externalAuth"> = requestChanges(
    filters,
    context,
  );
  filters.forEach((filter, index) => {
    const { requestMirror, cors, externalAuth, extensionRef } = filter;
    if (cors !== undefined) effects = { ...effects, corsPolicy: corsOf(cors) };
    if (externalAuth !== undefined) {
      const { check, problem } = externalAuthorizer(t, externalAuth, context.route);
      if (check !== undefined) effects = { ...effects, externalAuth: check };
      else unasked(problem, `${context.field}.filters[${index}]`);
    }
    if (requestMirror !== undefined) mirror(requestMirror);
    if (extensionRef !== undefined) {
      const { group, kind, name } = extensionRef;
      refs.push({ reason: "InvalidKind", message: `${group}/${kind} ${name} is no filter of this mesh` });
      rule.push({
        reason: "UnsupportedValue",
        message: `${context.field}.filters[${index}] refers to ${group}/${kind} ${name}, which is no filter of this mesh`,
      });
    }
  });
  return { ...effects, mirrors, refs, rule };

  /** Nobody can be asked: nothing may pass. */
  function unasked(problem: RefProblem, where: string): void {
    refs.push(problem);
    rule.push({ reason: "UnsupportedValue", message: `${where} asks nobody: ${problem.message}` });
  }

  function mirror(written: RequestMirror): void {
    const { destination, problem } = backendOf(t, written.backendRef, context.route, "requests");
    if (problem !== undefined) refs.push({ ...problem, message: `${problem.message}; nothing is mirrored` });
    else mirrors.push({ destination, percentage: { value: mirroredPercent(written) } });
  }
}

/** What filters say themselves of a request and its answer: their headers, a redirect, its host and path. */
export type RequestChanges = Pick<FilterEffects, "headers" | "redirect" | "rewrite">;

/** What filters change that refer to nothing else. */
export function requestChanges(filters: readonly HTTPRouteFilter[], place: ChangedPlace): RequestChanges {
  let changes: RequestChanges = {};
  for (const filter of filters) {
    const { requestHeaderModifier: request, responseHeaderModifier: response } = filter;
    if (request !== undefined || response !== undefined) {
      changes = { ...changes, headers: { ...changes.headers, ...manipulation(request, response) } };
    }
    const { requestRedirect, urlRewrite } = filter;
    if (requestRedirect !== undefined) changes = { ...changes, redirect: redirectOf(requestRedirect, place) };
    if (urlRewrite !== undefined) changes = { ...changes, rewrite: rewriteOf(urlRewrite, place) };
  }
  return changes;
}

/** The effects of a rule's filters and those of its only backend's. */
export function mergedEffects(rule: FilterEffects, backend: FilterEffects, field: string): FilterEffects {
  const problems: RuleProblem[] = [...rule.rule, ...backend.rule];
  for (const [name, both] of [
    ["URLRewrite", rule.rewrite !== undefined && backend.rewrite !== undefined],
    ["CORS", rule.corsPolicy !== undefined && backend.corsPolicy !== undefined],
    ["ExternalAuth", rule.externalAuth !== undefined && backend.externalAuth !== undefined],
  ] as const) {
    if (!both) continue;
    const message = `${field} has a filter ${name} both for the rule and for its backend`;
    problems.push({ reason: "IncompatibleFilters", message });
  }
  if (backend.redirect !== undefined && rule.rewrite !== undefined) {
    const message = `${field} has a URLRewrite, and a RequestRedirect for its backend`;
    problems.push({ reason: "IncompatibleFilters", message });
  }
  const { rewrite = backend.rewrite, corsPolicy = backend.corsPolicy, redirect = backend.redirect } = rule;
  const { externalAuth = backend.externalAuth } = rule;
  return {
    ...(rule.headers !== undefined && { headers: rule.headers }),
    ...(rewrite !== undefined && { rewrite }),
    ...(corsPolicy !== undefined && { corsPolicy }),
    ...(externalAuth !== undefined && { externalAuth }),
    ...(redirect !== undefined && { redirect }),
    mirrors: [...rule.mirrors, ...backend.mirrors],
    refs: [...rule.refs, ...backend.refs],
    rule: problems,
  };
}

function manipulation(
  request: HeaderModifier | undefined,
  response: HeaderModifier | undefined,
): HeaderManipulation {
  return {
    ...(request !== undefined && { request: operations(request) }),
    ...(response !== undefined && { response: operations(response) }),
  };
}

function operations({ set, add, remove }: HeaderModifier): HeaderOperations {
  return {
    ...(set !== undefined && { set: byName(set) }),
    ...(add !== undefined && { add: byName(add) }),
    ...(remove !== undefined && { remove }),
  };
}

/** Values are literal: Envoy's command operators begin with a percent sign, and a doubled one stands for itself. */
function byName(fields: NonNullable<HeaderModifier["set"]>): Record<string, string> {
  return Object.fromEntries(fields.map(({ name, value }) => [name, value.replaceAll("%", "%%")]));
}

function redirectOf(redirect: HTTPRequestRedirect, context: ChangedPlace): RuleRedirect {
  const { scheme, hostname, port } = redirect;
  const change = pathChange(redirect.path, context.prefix);
  const target = port ?? redirectPort(redirect, context);
  return {
    redirectCode: redirect.statusCode ?? 302,
    ...(scheme !== undefined && { scheme }),
    ...(hostname !== undefined && { authority: hostname }),
    ...(target !== undefined && { port: target }),
    ...(change.whole !== undefined && { uri: change.whole }),
    ...(change.prefix !== undefined && { prefixRewrite: change.prefix }),
    ...(change.regex !== undefined && { uriRegexRewrite: change.regex }),
  };
}

/** A new scheme brings its own port; a new host alone is asked at the port that was called. */
function redirectPort({ scheme, hostname }: HTTPRequestRedirect, { listenerPort }: ChangedPlace) {
  if (scheme !== undefined) return scheme === "https" ? 443 : 80;
  return hostname === undefined ? undefined : listenerPort;
}

function rewriteOf({ hostname, path }: HTTPUrlRewrite, { prefix }: ChangedPlace): HttpRewrite {
  const change = pathChange(path, prefix);
  const regex = change.whole === undefined ? change.regex : wholePath(change.whole);
  return {
    ...(hostname !== undefined && { authority: hostname }),
    ...(change.prefix !== undefined && { uri: change.prefix }),
    ...(regex !== undefined && { uriRegexRewrite: regex }),
  };
}

function corsOf(cors: HTTPCors): CorsPolicy {
  return {
    allowOrigins: (cors.allowOrigins ?? []).map(originMatch),
    ...(cors.allowMethods !== undefined && { allowMethods: cors.allowMethods }),
    ...(cors.allowHeaders !== undefined && { allowHeaders: cors.allowHeaders }),
    ...(cors.exposeHeaders !== undefined && { exposeHeaders: cors.exposeHeaders }),
    ...(cors.allowCredentials === true && { allowCredentials: true }),
    maxAge: `${cors.maxAge ?? DEFAULT_MAX_AGE}s`,
    // The specification lets a gateway answer every preflight itself, and a browser then knows at once.
    unmatchedPreflights: "IGNORE",
  };
}

function originMatch(origin: string): StringMatch {
  if (!origin.includes("*")) return { exact: origin };
  return { regex: origin.split("*").map(quoted).join(".*") };
}

function mirroredPercent({ percent, fraction }: RequestMirror): number {
  if (fraction === undefined) return percent ?? 100;
  return (fraction.numerator / (fraction.denominator ?? 100)) * 100;
}
