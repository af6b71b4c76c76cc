import { create } from "@bufbuild/protobuf";
import { StringMatcherSchema, type StringMatcher } from "@tulle/xds/gen/envoy/type/matcher/v3/string_pb.js";

/** A value of a policy: exact, `prefix*`, `*suffix` or `*`. */
export type Pattern =
  | { readonly kind: "present" }
  | { readonly kind: "exact" | "prefix" | "suffix"; readonly text: string };

export function patternOf(value: string): Pattern {
  if (value === "*") return { kind: "present" };
  if (value.startsWith("*")) return { kind: "suffix", text: value.slice(1) };
  if (value.endsWith("*")) return { kind: "prefix", text: value.slice(0, -1) };
  return { kind: "exact", text: value };
}

/** A matcher without regular expressions. */
export function textMatcher(
  kind: "exact" | "prefix" | "suffix" | "contains",
  text: string,
  ignoreCase = false,
): StringMatcher {
  return create(StringMatcherSchema, { matchPattern: { case: kind, value: text }, ignoreCase });
}

/** A whole-text expression in which `parts` stand as they are and `between` is RE2's syntax. */
export function literalRegex(before: string, literal: string, after: string): StringMatcher {
  const regex = `${before}${literal.replaceAll(/[^A-Za-z0-9_]/g, "\\$&")}${after}`;
  return create(StringMatcherSchema, { matchPattern: { case: "safeRegex", value: { regex } } });
}
