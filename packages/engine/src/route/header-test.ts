import type { HeaderMatcher } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import type { EngineRequest } from "../contract.js";
import { at, invalid } from "../snapshot/invalid.js";
import { headerReader } from "./header-reader.js";
import { compileRegex } from "./regex.js";
import {
  compileStringTest,
  containsTest,
  exactTest,
  prefixTest,
  suffixTest,
  wantedString,
} from "./string-test.js";
import type { StringTest } from "./string-test.js";
import { ValueWords } from "./words.js";
import type { ConditionWords, Subject, Wanted } from "./words.js";

/** One condition on a header field or pseudo header. */
export type HeaderTest = (request: EngineRequest) => boolean;

/**
 * Compiles an Envoy HeaderMatcher. A field that is absent matches no value condition, inverted or not, unless
 * `treat_missing_header_as_empty` is set. The name `@request.cookies.NAME` means a cookie.
 */
export function compileHeaderTest(field: string, matcher: HeaderMatcher): HeaderTest {
  if (matcher.name === "") throw invalid(at(field, "name"), "must not be empty");
  const { name, read } = headerReader(matcher.name);
  if (name === "") throw invalid(at(field, "name"), "must name a cookie");
  const invert = matcher.invertMatch;
  const missing = matcher.treatMissingHeaderAsEmpty ? "" : undefined;
  const test = compileValueTest(field, matcher);
  if (typeof test === "boolean") {
    const wanted = test !== invert;
    return (request) => ((read(request, name) ?? missing) !== undefined) === wanted;
  }
  return (request) => {
    const value = read(request, name) ?? missing;
    return value !== undefined && test(value) !== invert;
  };
}

/** Compiles a list, all of which must hold. */
export function compileHeaderTests(field: string, matchers: readonly HeaderMatcher[]): readonly HeaderTest[] {
  return matchers.map((matcher, index) => compileHeaderTest(`${field}[${index}]`, matcher));
}

/** A HeaderMatcher in words. */
export function headerWords(matcher: HeaderMatcher): ConditionWords {
  const { called, name, read } = headerReader(matcher.name);
  const subject: Subject = matcher.treatMissingHeaderAsEmpty
    ? (request, key) => read(request, key) ?? ""
    : read;
  return new ValueWords(called, name, subject, wantedHeader(matcher), matcher.invertMatch);
}

/** What a HeaderMatcher asks for, in words. */
export function wantedHeader({ headerMatchSpecifier: specifier }: HeaderMatcher): Wanted | boolean {
  switch (specifier.case) {
    case undefined:
      return true;
    case "presentMatch":
      return specifier.value;
    case "exactMatch":
      return { verb: "be", text: specifier.value, ignoreCase: false };
    case "prefixMatch":
      return { verb: "begin with", text: specifier.value, ignoreCase: false };
    case "suffixMatch":
      return { verb: "end with", text: specifier.value, ignoreCase: false };
    case "containsMatch":
      return { verb: "contain", text: specifier.value, ignoreCase: false };
    case "safeRegexMatch":
      return { verb: "match", text: specifier.value.regex, ignoreCase: false };
    case "rangeMatch": {
      const { start, end } = specifier.value;
      return { verb: "lie", text: `from ${start} to below ${end}`, ignoreCase: false };
    }
    case "stringMatch":
      return wantedString(specifier.value);
  }
}

/** A test of the value, or whether the field must be present at all. */
export function compileValueTest(field: string, matcher: HeaderMatcher): StringTest | boolean {
  const specifier = matcher.headerMatchSpecifier;
  switch (specifier.case) {
    case undefined:
      return true;
    case "presentMatch":
      return specifier.value;
    case "exactMatch":
      return exactTest(specifier.value);
    case "prefixMatch":
      return prefixTest(at(field, "prefix_match"), specifier.value);
    case "suffixMatch":
      return suffixTest(at(field, "suffix_match"), specifier.value);
    case "containsMatch":
      return containsTest(at(field, "contains_match"), specifier.value);
    case "safeRegexMatch": {
      const regex = compileRegex(at(field, "safe_regex_match"), specifier.value);
      return (value) => regex.testExact(value);
    }
    case "rangeMatch": {
      const { start, end } = specifier.value;
      return (value) => INTEGER.test(value) && inRange(BigInt(value), start, end);
    }
    case "stringMatch":
      return compileStringTest(at(field, "string_match"), specifier.value);
  }
}

/** Decimal integers that can be an int64. */
const INTEGER = /^-?\d{1,19}$/;

function inRange(value: bigint, start: bigint, end: bigint): boolean {
  return value >= start && value < end;
}
