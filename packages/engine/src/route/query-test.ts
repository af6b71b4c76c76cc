import type { QueryParameterMatcher } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import type { EngineRequest } from "../contract.js";
import { at, invalid } from "../snapshot/invalid.js";
import { compileStringTest, wantedString } from "./string-test.js";
import { ValueWords } from "./words.js";
import type { ConditionWords, Wanted } from "./words.js";

/** One condition on a query parameter of a path. */
export type QueryTest = (path: string) => boolean;

/** Compiles an Envoy QueryParameterMatcher. Names and values are compared as sent, without percent-decoding, as in Envoy. */
export function compileQueryTest(field: string, matcher: QueryParameterMatcher): QueryTest {
  const name = matcher.name;
  if (name === "") throw invalid(at(field, "name"), "must not be empty");
  const specifier = matcher.queryParameterMatchSpecifier;
  switch (specifier.case) {
    case undefined:
      return (path) => queryParameter(path, name) !== undefined;
    case "presentMatch": {
      const wanted = specifier.value;
      return (path) => (queryParameter(path, name) !== undefined) === wanted;
    }
    case "stringMatch": {
      const test = compileStringTest(at(field, "string_match"), specifier.value);
      return (path) => {
        const value = queryParameter(path, name);
        return value !== undefined && test(value);
      };
    }
  }
}

/** A QueryParameterMatcher in words. */
export function queryWords({
  name,
  queryParameterMatchSpecifier: specifier,
}: QueryParameterMatcher): ConditionWords {
  let wanted: Wanted | boolean = true;
  if (specifier.case === "presentMatch") wanted = specifier.value;
  else if (specifier.case === "stringMatch") wanted = wantedString(specifier.value);
  return new ValueWords("query parameter", name, parameterOf, wanted);
}

function parameterOf({ path }: EngineRequest, name: string): string | undefined {
  return queryParameter(path, name);
}

/** First value of a parameter; "" when it has none (`?a` and `?a=`); undefined when absent. */
export function queryParameter(path: string, name: string): string | undefined {
  const mark = path.indexOf("?");
  if (mark < 0) return undefined;
  const fragment = path.indexOf("#", mark);
  const stop = fragment < 0 ? path.length : fragment;
  let start = mark + 1;
  while (start <= stop) {
    let end = path.indexOf("&", start);
    if (end < 0 || end > stop) end = stop;
    if (path.startsWith(name, start)) {
      const after = start + name.length;
      if (after === end) return "";
      if (after < end && path[after] === "=") return path.slice(after + 1, end);
    }
    start = end + 1;
  }
  return undefined;
}
