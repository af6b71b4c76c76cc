import type { HttpMatchRequest, MeshObject, StringMatch, VirtualServiceSpec } from "@tulle/api";
import { regexProblem } from "../../regex-syntax.js";
import type { Analysis } from "../analysis.js";

/** IST0122: regular expressions that no proxy takes. */
export function analyzeExpressions(analysis: Analysis, object: MeshObject<VirtualServiceSpec>): void {
  const look = (regex: string | undefined, path: string): void => {
    const problem = regex === undefined ? undefined : regexProblem(regex);
    if (problem === undefined) return;
    analysis.report("IST0122", object, path, `the regular expression ${JSON.stringify(regex)} ${problem}`);
  };
  (object.spec.http ?? []).forEach((rule, index) => {
    const at = `spec.http[${index}]`;
    (rule.match ?? []).forEach((match, matchIndex) => {
      for (const [field, value] of valuesOf(match))
        look(value.regex, `${at}.match[${matchIndex}].${field}.regex`);
    });
    look(rule.rewrite?.uriRegexRewrite?.match, `${at}.rewrite.uriRegexRewrite.match`);
    (rule.corsPolicy?.allowOrigins ?? []).forEach((origin, originIndex) => {
      look(origin.regex, `${at}.corsPolicy.allowOrigins[${originIndex}].regex`);
    });
  });
}

function valuesOf(match: HttpMatchRequest): readonly (readonly [string, StringMatch])[] {
  const found: (readonly [string, StringMatch])[] = [];
  for (const field of ["uri", "method", "scheme", "authority"] as const) {
    const value = match[field];
    if (value !== undefined) found.push([field, value]);
  }
  for (const field of ["headers", "withoutHeaders", "queryParams"] as const) {
    for (const [key, value] of Object.entries(match[field] ?? {})) {
      found.push([`${field}[${JSON.stringify(key)}]`, value]);
    }
  }
  return found;
}
