import type { TypedExtensionConfig } from "@tulle/xds/gen/envoy/config/core/v3/extension_pb.js";
import { UriTemplateMatchConfigSchema } from "@tulle/xds/gen/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.js";
import type { StringMatcher } from "@tulle/xds/gen/envoy/type/matcher/v3/string_pb.js";
import type { PathMatcher } from "@tulle/xds/gen/envoy/type/matcher/v3/path_pb.js";
import type { Facts } from "../contract.js";
import { compileStringTest, wantedString } from "../route/string-test.js";
import { unpack } from "../snapshot/any.js";
import { at, invalid } from "../snapshot/invalid.js";
import { Leaf, type Condition } from "./condition.js";
import { PathTemplate } from "./path-template.js";
import { pathReadings, readingsOf } from "./path-readings.js";
import { urlPath } from "./url-path.js";
import { wordsOf } from "./words.js";

const INIT = {
  subject: "the path",
  perConnection: false,
  actual: ({ request }: Facts) => urlPath(request),
} as const;

/**
 * Compiles a condition on the path without its query. A path that servers read differently is in doubt (see `pathReadings`): a
 * rule that refuses takes it when any reading matches, one that allows when all do.
 */
export function compileUrlPath(field: string, { rule }: PathMatcher, inDoubt: boolean): Condition {
  if (rule.case !== "path") throw invalid(at(field, "path"), "must be set");
  const matcher = rule.value;
  const { matchPattern, ignoreCase } = matcher;
  const compile = (one: StringMatcher): PathTest => compileStringTest(at(field, "path"), one);
  // A rule may be written with escapes, too: other readings are compared with its other readings.
  const others = isText(matchPattern)
    ? readingsOf(matchPattern.value)
        .slice(1)
        .filter((value) => value !== "")
        .map((value) => compile({ ...matcher, matchPattern: { ...matchPattern, value } }))
    : [];
  return new Leaf({
    ...INIT,
    wanted: wordsOf(wantedString(matcher)),
    exactPath: matchPattern.case === "exact" && !ignoreCase ? matchPattern.value : undefined,
    pathPrefix: matchPattern.case === "prefix" && !ignoreCase ? matchPattern.value : undefined,
    test: testReadings(compile(matcher), others, inDoubt),
  });
}

/** Compiles a template: `*` is one segment, `**` any number of them. `inDoubt` as in {@link compileUrlPath}. */
export function compileUriTemplate(
  field: string,
  { typedConfig }: TypedExtensionConfig,
  inDoubt: boolean,
): Condition {
  const here = at(field, "typed_config");
  const { pathTemplate } = unpack(here, typedConfig, UriTemplateMatchConfigSchema);
  const template = new PathTemplate(at(here, "path_template"), pathTemplate, inDoubt);
  return new Leaf({
    ...INIT,
    wanted: `one like ${JSON.stringify(pathTemplate)}`,
    test: testReadings((path) => template.matches(path), [], inDoubt),
  });
}

type PathTest = (path: string) => boolean;
type Pattern = StringMatcher["matchPattern"];

function isText(pattern: Pattern): pattern is Extract<Pattern, { case: "exact" | "prefix" }> {
  return pattern.case === "exact" || pattern.case === "prefix";
}

/** Of the path as it is, the rule as it is decides; of another reading any reading of the rule. */
function testReadings(
  test: PathTest,
  others: readonly PathTest[],
  inDoubt: boolean,
): (facts: Facts) => boolean {
  return ({ request }) => {
    const readings = pathReadings(request);
    const own = test(readings[0]!);
    if (readings.length === 1 || own === inDoubt) return own;
    for (let index = 1; index < readings.length; index++) {
      const reading = readings[index]!;
      if ((test(reading) || others.some((other) => other(reading))) === inDoubt) return inDoubt;
    }
    return !inDoubt;
  };
}
