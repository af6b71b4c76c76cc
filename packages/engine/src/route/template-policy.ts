import type { TypedExtensionConfig } from "@tulle/xds/gen/envoy/config/core/v3/extension_pb.js";
import { UriTemplateMatchConfigSchema } from "@tulle/xds/gen/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.js";
import { UriTemplateRewriteConfigSchema } from "@tulle/xds/gen/envoy/extensions/path/rewrite/uri_template/v3/uri_template_rewrite_pb.js";
import { unpack } from "../snapshot/any.js";
import { at, invalid } from "../snapshot/invalid.js";
import type { PathRewrite } from "./path-rewrite.js";
import { UriTemplate } from "./uri-template.js";

/** Compiles a `path_match_policy`: templates are the only one there is. */
export function compileTemplate(
  field: string,
  { typedConfig }: TypedExtensionConfig,
  ignoreCase: boolean,
): UriTemplate {
  const here = at(field, "typed_config");
  const { pathTemplate } = unpack(here, typedConfig, UriTemplateMatchConfigSchema);
  return new UriTemplate(at(here, "path_template"), pathTemplate, ignoreCase);
}

/** Compiles a `path_rewrite_policy`, which goes by the template of the route's match. */
export function compileTemplateRewrite(
  field: string,
  { typedConfig }: TypedExtensionConfig,
  template: UriTemplate | undefined,
): PathRewrite {
  const here = at(field, "typed_config");
  const { pathTemplateRewrite } = unpack(here, typedConfig, UriTemplateRewriteConfigSchema);
  if (template === undefined) throw invalid(field, "needs a path_match_policy in the route's match");
  return template.rewrite(at(here, "path_template_rewrite"), pathTemplateRewrite);
}
