import type { StringMatcher } from "@tulle/xds/gen/envoy/type/matcher/v3/string_pb.js";
import { at, invalid } from "../snapshot/invalid.js";
import { compileRegex } from "./regex.js";
import type { Wanted } from "./words.js";

/** Whether a text matches. */
export type StringTest = (text: string) => boolean;

/** Compiles an Envoy StringMatcher. `ignore_case` holds for all forms but regular expressions, as in Envoy. */
export function compileStringTest(field: string, matcher: StringMatcher | undefined): StringTest {
  const pattern = matcher?.matchPattern;
  if (matcher === undefined || pattern?.case === undefined) {
    throw invalid(field, "must set one of exact, prefix, suffix, contains, safe_regex");
  }
  switch (pattern.case) {
    case "exact":
      return exactTest(pattern.value, matcher.ignoreCase);
    case "prefix":
      return prefixTest(at(field, "prefix"), pattern.value, matcher.ignoreCase);
    case "suffix":
      return suffixTest(at(field, "suffix"), pattern.value, matcher.ignoreCase);
    case "contains":
      return containsTest(at(field, "contains"), pattern.value, matcher.ignoreCase);
    case "safeRegex": {
      const regex = compileRegex(at(field, "safe_regex"), pattern.value);
      return (text) => regex.testExact(text);
    }
    case "custom":
      throw invalid(at(field, "custom"), "is not supported");
  }
}

/** What a StringMatcher asks for, in words. */
export function wantedString({ matchPattern, ignoreCase }: StringMatcher): Wanted {
  switch (matchPattern.case) {
    case "exact":
      return { verb: "be", text: matchPattern.value, ignoreCase };
    case "prefix":
      return { verb: "begin with", text: matchPattern.value, ignoreCase };
    case "suffix":
      return { verb: "end with", text: matchPattern.value, ignoreCase };
    case "contains":
      return { verb: "contain", text: matchPattern.value, ignoreCase };
    case "safeRegex":
      return { verb: "match", text: matchPattern.value.regex, ignoreCase: false };
    case "custom":
    case undefined:
      return { verb: "match", text: "", ignoreCase: false };
  }
}

export function exactTest(wanted: string, ignoreCase = false): StringTest {
  if (!ignoreCase) return (text) => text === wanted;
  const lower = wanted.toLowerCase();
  return (text) => text.toLowerCase() === lower;
}

export function prefixTest(field: string, prefix: string, ignoreCase = false): StringTest {
  if (prefix === "") throw invalid(field, "must not be empty");
  if (!ignoreCase) return (text) => text.startsWith(prefix);
  const lower = prefix.toLowerCase();
  return (text) => text.toLowerCase().startsWith(lower);
}

export function suffixTest(field: string, suffix: string, ignoreCase = false): StringTest {
  if (suffix === "") throw invalid(field, "must not be empty");
  if (!ignoreCase) return (text) => text.endsWith(suffix);
  const lower = suffix.toLowerCase();
  return (text) => text.toLowerCase().endsWith(lower);
}

export function containsTest(field: string, part: string, ignoreCase = false): StringTest {
  if (part === "") throw invalid(field, "must not be empty");
  if (!ignoreCase) return (text) => text.includes(part);
  const lower = part.toLowerCase();
  return (text) => text.toLowerCase().includes(lower);
}
