import type { JsonValue } from "@bufbuild/protobuf";
import type { MetadataMatcher } from "@tulle/xds/gen/envoy/type/matcher/v3/metadata_pb.js";
import type { ValueMatcher } from "@tulle/xds/gen/envoy/type/matcher/v3/value_pb.js";
import type { Facts } from "../contract.js";
import { compileStringTest, wantedString } from "../route/string-test.js";
import { at, invalid } from "../snapshot/invalid.js";
import { Leaf, type Condition } from "./condition.js";
import { wordsOf } from "./words.js";

type ValueTest = (value: JsonValue | undefined) => boolean;

interface CompiledValue {
  readonly test: ValueTest;
  readonly words: string;
}

/** Namespace of what verified tokens say. */
const JWT_NAMESPACE = "envoy.filters.http.jwt_authn";

/** Compiles a condition on what earlier filters found out about the request: claims of a token, above all. */
export function compileMetadata(field: string, matcher: MetadataMatcher): Condition {
  const { filter, invert } = matcher;
  if (filter === "") throw invalid(at(field, "filter"), "must not be empty");
  const path = matcher.path.map(({ segment }, index) => {
    if (segment.case !== "key" || segment.value === "")
      throw invalid(at(field, `path[${index}].key`), "must not be empty");
    return segment.value;
  });
  if (path.length === 0) throw invalid(at(field, "path"), "must not be empty");
  const { test, words } = compileValue(at(field, "value"), matcher.value);
  const valueOf = ({ request }: Facts): JsonValue | undefined => valueAt(request.metadata?.get(filter), path);
  return new Leaf({
    subject: subjectOf(filter, path),
    wanted: `${invert ? "anything but " : ""}${words}`,
    perConnection: false,
    actual: (facts) => {
      const value = valueOf(facts);
      return value === undefined ? undefined : typeof value === "string" ? value : JSON.stringify(value);
    },
    test: (facts) => test(valueOf(facts)) !== invert,
  });
}

function subjectOf(filter: string, path: readonly string[]): string {
  return filter === JWT_NAMESPACE && path.length > 1
    ? `the token's claim ${path.slice(1).join(".")}`
    : `${path.join(".")} of ${filter}`;
}

function valueAt(value: JsonValue | undefined, path: readonly string[]): JsonValue | undefined {
  let found = value;
  for (const key of path) {
    if (typeof found !== "object" || found === null || Array.isArray(found)) return undefined;
    if (!Object.hasOwn(found, key)) return undefined;
    found = found[key];
  }
  return found;
}

function compileValue(field: string, matcher: ValueMatcher | undefined): CompiledValue {
  const pattern = matcher?.matchPattern;
  switch (pattern?.case) {
    case "stringMatch": {
      const test = compileStringTest(at(field, "string_match"), pattern.value);
      return {
        test: (value) => typeof value === "string" && test(value),
        words: wordsOf(wantedString(pattern.value)),
      };
    }
    case "presentMatch": {
      const wanted = pattern.value;
      return { test: (value) => (value !== undefined) === wanted, words: wanted ? "anything" : "absent" };
    }
    case "boolMatch": {
      const wanted = pattern.value;
      return { test: (value) => value === wanted, words: String(wanted) };
    }
    case "nullMatch":
      return { test: (value) => value === null, words: "null" };
    case "listMatch": {
      const inner = pattern.value.matchPattern;
      if (inner.case !== "oneOf") throw invalid(at(field, "list_match.one_of"), "must be set");
      const { test, words } = compileValue(at(field, "list_match.one_of"), inner.value);
      return {
        test: (value) => Array.isArray(value) && value.some((one) => test(one)),
        words: `a list with ${words}`,
      };
    }
    case "orMatch": {
      const parts = pattern.value.valueMatchers.map((one, index) =>
        compileValue(at(field, `or_match.value_matchers[${index}]`), one),
      );
      if (parts.length < 2) throw invalid(at(field, "or_match.value_matchers"), "must have at least two");
      return {
        test: (value) => parts.some(({ test }) => test(value)),
        words: parts.map(({ words }) => words).join(" or "),
      };
    }
    default:
      throw invalid(
        field,
        "must set one of null_match, string_match, bool_match, present_match, list_match, or_match",
      );
  }
}
