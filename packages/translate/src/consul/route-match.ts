import type { ConsulHeaderMatch, ConsulHttpMatch, ConsulQueryMatch, StringMatch } from "@tulle/api";
import { literal } from "../string-match.js";
import type { RuleMatch } from "../routes/rule.js";

/** The conditions of a router's route in the terms of rules. */
export function ruleMatch(http: ConsulHttpMatch): RuleMatch {
  const { pathExact, pathPrefix, pathRegex, caseInsensitive, methods = [] } = http;
  const { header = [], queryParam = [] } = http;
  const uri: StringMatch | undefined =
    pathExact !== undefined
      ? { exact: pathExact }
      : pathRegex !== undefined
        ? { regex: pathRegex }
        : pathPrefix !== undefined
          ? { prefix: pathPrefix }
          : undefined;
  const plain = header.filter(({ invert }) => invert !== true);
  const inverted = header.filter(({ invert }) => invert === true);
  return {
    ...(uri !== undefined && { uri }),
    ...(caseInsensitive === true && { ignoreUriCase: true }),
    ...(methods.length === 1 && { method: { exact: methods[0]! } }),
    ...(methods.length > 1 && { method: { regex: methods.map(literal).join("|") } }),
    ...(plain.length > 0 && { headers: byName(plain, headerMatch) }),
    ...(inverted.length > 0 && { withoutHeaders: byName(inverted, headerMatch) }),
    ...(queryParam.length > 0 && { queryParams: byName(queryParam, queryMatch) }),
  };
}

function byName<T extends { readonly name: string }>(
  conditions: readonly T[],
  match: (condition: T) => StringMatch,
): Record<string, StringMatch> {
  return Object.fromEntries(conditions.map((condition) => [condition.name, match(condition)]));
}

/** Without a value: presence. */
function headerMatch({ exact, prefix, suffix, contains, regex, ignoreCase }: ConsulHeaderMatch): StringMatch {
  if (regex !== undefined) return { regex };
  if (suffix !== undefined) return { regex: `${flags(ignoreCase)}.*${literal(suffix)}` };
  if (contains !== undefined) return { regex: `${flags(ignoreCase)}.*${literal(contains)}.*` };
  if (ignoreCase === true && exact !== undefined) return { regex: `${flags(true)}${literal(exact)}` };
  if (ignoreCase === true && prefix !== undefined) return { regex: `${flags(true)}${literal(prefix)}.*` };
  if (exact !== undefined) return { exact };
  return prefix === undefined ? {} : { prefix };
}

function queryMatch({ exact, regex }: ConsulQueryMatch): StringMatch {
  if (exact !== undefined) return { exact };
  return regex === undefined ? {} : { regex };
}

function flags(ignoreCase: boolean | undefined): string {
  return ignoreCase === true ? "(?i)" : "";
}
