import type { RegexMatcher } from "@tulle/xds/gen/envoy/type/matcher/v3/regex_pb.js";
import type { RegexMatchAndSubstitute } from "@tulle/xds/gen/envoy/type/matcher/v3/regex_pb.js";
import { RE2JS } from "re2js";
import { at, invalid } from "../snapshot/invalid.js";

/** Longest pattern, characters. */
const MAX_PATTERN_LENGTH = 4096;
/** Largest compiled program, instructions: bounds time and memory of a match (Envoy's `re2.max_program_size`). */
const MAX_PROGRAM_SIZE = 10_000;

/** Compiles a regular expression of RE2's syntax: matching takes linear time, whatever the input. */
export function compileRegex(field: string, matcher: Pick<RegexMatcher, "regex"> | undefined): RE2JS {
  if (matcher === undefined) throw invalid(field, "must be set");
  const pattern = matcher.regex;
  if (pattern === "") throw invalid(at(field, "regex"), "must not be empty");
  if (pattern.length > MAX_PATTERN_LENGTH) {
    throw invalid(at(field, "regex"), `is longer than ${MAX_PATTERN_LENGTH} characters`);
  }
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(pattern);
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    throw invalid(at(field, "regex"), `is not a valid RE2 expression: ${why}`);
  }
  if (compiled.programSize() > MAX_PROGRAM_SIZE) {
    throw invalid(
      at(field, "regex"),
      `compiles to more than ${MAX_PROGRAM_SIZE} instructions: use a simpler expression`,
    );
  }
  return compiled;
}

/** A `regex_rewrite`: every match replaced, `\1` standing for the first group and `\\` for a backslash. */
export function compileSubstitution(
  field: string,
  rewrite: RegexMatchAndSubstitute,
): (text: string) => string {
  const pattern = compileRegex(at(field, "pattern"), rewrite.pattern);
  const parts = parseSubstitution(at(field, "substitution"), rewrite.substitution, pattern.groupCount());
  return (text) =>
    pattern
      .matcher(text)
      .replaceAll((...match: unknown[]) =>
        parts.map((part) => (typeof part === "string" ? part : stringOf(match[part]))).join(""),
      );
}

function parseSubstitution(field: string, substitution: string, groups: number): (string | number)[] {
  const parts: (string | number)[] = [];
  let literal = "";
  for (let index = 0; index < substitution.length; index++) {
    const char = substitution[index]!;
    if (char !== "\\") {
      literal += char;
      continue;
    }
    const next = substitution[++index] ?? "";
    if (next === "\\") {
      literal += "\\";
    } else if (next >= "0" && next <= "9" && next !== "") {
      const group = Number(next);
      if (group > groups) throw invalid(field, `names group \\${group}, but the pattern has ${groups}`);
      parts.push(literal, group);
      literal = "";
    } else {
      throw invalid(field, "a backslash must be followed by a digit or a backslash");
    }
  }
  parts.push(literal);
  return parts;
}

function stringOf(group: unknown): string {
  return typeof group === "string" ? group : "";
}
