import type { TypedExtensionConfig } from "@tulle/xds/gen/envoy/config/core/v3/extension_pb.js";
import { UriTemplateMatchConfigSchema } from "@tulle/xds/gen/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.js";
import type { PathMatcher } from "@tulle/xds/gen/envoy/type/matcher/v3/path_pb.js";
import type { Facts } from "../contract.js";
import { compileStringTest, wantedString } from "../route/string-test.js";
import { unpack } from "../snapshot/any.js";
import { at, invalid } from "../snapshot/invalid.js";
import { Leaf, type Condition } from "./condition.js";
import { PathTemplate } from "./path-template.js";
import { urlPath } from "./url-path.js";
import { wordsOf } from "./words.js";

const INIT = {
  subject: "the path",
  perConnection: false,
  actual: ({ request }: Facts) => urlPath(request),
} as const;

/** Compiles a condition on the path without its query. */
export function compileUrlPath(field: string, { rule }: PathMatcher): Condition {
  if (rule.case !== "path") throw invalid(at(field, "path"), "must be set");
  const matcher = rule.value;
  const test = compileStringTest(at(field, "path"), matcher);
  const { matchPattern, ignoreCase } = matcher;
  return new Leaf({
    ...INIT,
    wanted: wordsOf(wantedString(matcher)),
    exactPath: matchPattern.case === "exact" && !ignoreCase ? matchPattern.value : undefined,
    test: ({ request }) => test(urlPath(request)),
  });
}

/** Compiles a template: `*` is one segment, `**` any number of them. */
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
    test: ({ request }) => template.matches(urlPath(request)),
  });
}
