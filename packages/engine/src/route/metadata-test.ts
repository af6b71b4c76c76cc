import type { JsonValue } from "@bufbuild/protobuf";
import type { MetadataMatcher } from "@tulle/xds/gen/envoy/type/matcher/v3/metadata_pb.js";
import type { ValueMatcher } from "@tulle/xds/gen/envoy/type/matcher/v3/value_pb.js";
import type { RequestMetadata } from "../contract.js";
import { at, invalid } from "../snapshot/invalid.js";
import { compileStringTest } from "./string-test.js";

/** One condition on what steps have found out about a request. */
export type MetadataTest = (metadata: RequestMetadata | undefined) => boolean;

type ValueTest = (value: JsonValue | undefined) => boolean;

/** Lists and alternatives in each other, at most. */
const MAX_DEPTH = 8;

/** Compiles an Envoy MetadataMatcher: a value by its path in one namespace. What is not there matches nothing. */
export function compileMetadataTest(field: string, matcher: MetadataMatcher): MetadataTest {
  if (matcher.filter === "") throw invalid(at(field, "filter"), "must not be empty");
  if (matcher.path.length === 0) throw invalid(at(field, "path"), "must not be empty");
  const keys = matcher.path.map(({ segment }, index) => {
    if (segment.case !== "key") throw invalid(at(field, `path[${index}]`), "must set key");
    return segment.value;
  });
  if (matcher.value === undefined) throw invalid(at(field, "value"), "must be set");
  const test = compileValueTest(at(field, "value"), matcher.value, 0);
  const { filter, invert } = matcher;
  return (metadata) => {
    let value: JsonValue | undefined = metadata?.get(filter);
    for (const key of keys) value = member(value, key);
    return test(value) !== invert;
  };
}

function member(value: JsonValue | undefined, key: string): JsonValue | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, key) ? value[key] : undefined;
}

function compileValueTest(field: string, { matchPattern }: ValueMatcher, depth: number): ValueTest {
  if (depth > MAX_DEPTH) throw invalid(field, "is nested too deeply");
  switch (matchPattern.case) {
    case "nullMatch":
      return (value) => value === null;
    case "boolMatch": {
      const wanted = matchPattern.value;
      return (value) => value === wanted;
    }
    case "presentMatch": {
      const wanted = matchPattern.value;
      return (value) => (value !== undefined) === wanted;
    }
    case "stringMatch": {
      const test = compileStringTest(at(field, "string_match"), matchPattern.value);
      return (value) => typeof value === "string" && test(value);
    }
    case "doubleMatch": {
      const range = matchPattern.value.matchPattern;
      if (range.case === "exact") return (value) => value === range.value;
      if (range.case !== "range") throw invalid(at(field, "double_match"), "must set one of exact, range");
      const { start, end } = range.value;
      return (value) => typeof value === "number" && value >= start && value < end;
    }
    case "listMatch": {
      const pattern = matchPattern.value.matchPattern;
      if (pattern.case !== "oneOf") throw invalid(at(field, "list_match"), "must set one_of");
      const test = compileValueTest(at(field, "list_match.one_of"), pattern.value, depth + 1);
      return (value) => Array.isArray(value) && value.some((one) => test(one));
    }
    case "orMatch": {
      const tests = matchPattern.value.valueMatchers.map((one, index) =>
        compileValueTest(at(field, `or_match.value_matchers[${index}]`), one, depth + 1),
      );
      return (value) => tests.some((test) => test(value));
    }
    case undefined:
      throw invalid(field, "must set one of null, double, string, bool, present, list, or");
  }
}
