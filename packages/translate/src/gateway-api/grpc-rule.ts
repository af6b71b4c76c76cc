import type { GRPCRouteMatch, GRPCRouteRule, HTTPRouteRule, StringMatch } from "@tulle/api";
import type { RuleMatch } from "../routes/rule.js";
import type { Translation } from "../translation.js";
import {
  httpRule,
  isRegex,
  regexProblems,
  valueMatches,
  type ConvertedRule,
  type RankedMatch,
} from "./http-rule.js";
import { quoted } from "./path-change.js";
import type { RuleProblem } from "./problems.js";
import type { GrpcRouteObject, HttpRouteObject } from "./route-kinds.js";

/** UNAVAILABLE, which is what a call gets that leads nowhere. */
const UNAVAILABLE = 503;
/** One segment of a path. */
const ANY_NAME = "[^/]+";

/** A rule of a GRPCRoute: what it does is what an HTTPRoute's does, with fewer ways. */
export function grpcRule(
  t: Translation,
  route: GrpcRouteObject,
  index: number,
  written: GRPCRouteRule,
  listenerPort: number,
): ConvertedRule {
  const { matches: _matches, ...rest } = written;
  const { rule, problems } = httpRule(
    t,
    route as HttpRouteObject,
    index,
    rest satisfies HTTPRouteRule,
    listenerPort,
  );
  const matches = (written.matches ?? [{}]).map(convertMatch);
  return {
    rule: rule.failing === undefined ? rule : { ...rule, failing: { ...rule.failing, status: UNAVAILABLE } },
    matches: matches.filter(({ problem }) => problem === undefined),
    problems: {
      refs: problems.refs,
      rule: [...problems.rule, ...matches.flatMap(({ problem }) => problem ?? [])],
    },
  };
}

function convertMatch({ method = {}, headers = [] }: GRPCRouteMatch): RankedMatch & {
  readonly problem?: RuleProblem;
} {
  const service = method.service ?? "";
  const name = method.method ?? "";
  const regex = method.type === "RegularExpression";
  const uri = pathOf(service, name, regex);
  const match: RuleMatch = { ...(uri !== undefined && { uri }), headers: valueMatches(headers) };
  const precedence = [
    regex ? 0 : service.length,
    regex ? 0 : name.length,
    regex ? service.length : 0,
    regex ? name.length : 0,
    headers.length,
  ];
  const problem = regexProblems([
    ...(regex ? [service, name].filter((pattern) => pattern !== "") : []),
    ...headers.filter(isRegex).map((each) => each.value),
  ]);
  return { match, precedence, ...(problem !== undefined && { problem }) };
}

/** The path of a call is `/<service>/<method>`; undefined = any. */
function pathOf(service: string, method: string, regex: boolean): StringMatch | undefined {
  if (service === "" && method === "") return undefined;
  if (!regex && method === "") return { prefix: `/${service}/` };
  if (!regex && service !== "") return { exact: `/${service}/${method}` };
  const part = (name: string): string => (name === "" ? ANY_NAME : regex ? `(?:${name})` : quoted(name));
  return { regex: `/${part(service)}/${part(method)}` };
}
