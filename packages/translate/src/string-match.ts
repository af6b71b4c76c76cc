import { create } from "@bufbuild/protobuf";
import type { StringMatch } from "@tulle/api";
import { StringMatcherSchema, type StringMatcher } from "@tulle/xds/gen/envoy/type/matcher/v3/string_pb.js";
import { regexProblem } from "./regex-syntax.js";

/** A condition that cannot be translated, with the reason in `problem`. */
export interface Untranslatable {
  readonly problem: string;
}

/** Whether a match has no value: it asks for presence. */
export function isPresence(match: StringMatch): boolean {
  return match.exact === undefined && match.prefix === undefined && match.regex === undefined;
}

/** A string match as Envoy's matcher; regular expressions match the whole string. */
export function stringMatcher(match: StringMatch, ignoreCase = false): StringMatcher | Untranslatable {
  if (match.exact !== undefined) {
    return create(StringMatcherSchema, { matchPattern: { case: "exact", value: match.exact }, ignoreCase });
  }
  if (match.prefix !== undefined) {
    return create(StringMatcherSchema, { matchPattern: { case: "prefix", value: match.prefix }, ignoreCase });
  }
  const regex = match.regex ?? ".*";
  const problem = regexProblem(regex);
  if (problem !== undefined) return { problem: `the regular expression ${JSON.stringify(regex)} ${problem}` };
  return create(StringMatcherSchema, { matchPattern: { case: "safeRegex", value: { regex } } });
}

/** Tells a reason apart from a translated value. */
export function isUntranslatable(value: object): value is Untranslatable {
  return "problem" in value;
}

/** A text as a regular expression that matches it alone. */
export function literal(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}
