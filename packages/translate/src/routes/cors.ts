import { create } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { parseDuration } from "@tulle/base";
import type { CorsPolicy } from "@tulle/api";
import { CorsPolicySchema } from "@tulle/xds/gen/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import { packed, fraction } from "../messages.js";
import { isUntranslatable, stringMatcher } from "../string-match.js";
import type { Translation } from "../translation.js";

/** Name of the filter that a rule's CORS policy configures. */
export const CORS_FILTER = "envoy.filters.http.cors";

/** A rule's CORS policy, as configuration of the CORS filter on its routes. */
export function corsConfig(t: Translation, policy: CorsPolicy): Any {
  const message = create(CorsPolicySchema, {
    allowMethods: (policy.allowMethods ?? []).join(","),
    allowHeaders: (policy.allowHeaders ?? []).join(","),
    exposeHeaders: (policy.exposeHeaders ?? []).join(","),
    filterEnabled: { defaultValue: fraction(undefined) },
  });
  for (const origin of policy.allowOrigins ?? []) {
    const matcher = stringMatcher(origin);
    // An origin that cannot be matched is not allowed: the safe side.
    if (isUntranslatable(matcher))
      t.warnOf("IST0122", `corsPolicy.allowOrigins: ${matcher.problem}; the origin is not allowed`);
    else message.allowOriginStringMatch.push(matcher);
  }
  const maxAgeMs = policy.maxAge === undefined ? undefined : parseDuration(policy.maxAge);
  if (maxAgeMs !== undefined) message.maxAge = String(Math.floor(maxAgeMs / 1000));
  if (policy.allowCredentials !== undefined) message.allowCredentials = policy.allowCredentials;
  if (policy.unmatchedPreflights !== undefined && policy.unmatchedPreflights !== "UNSPECIFIED") {
    message.forwardNotMatchingPreflights = policy.unmatchedPreflights === "FORWARD";
  }
  return packed(CorsPolicySchema, message);
}
