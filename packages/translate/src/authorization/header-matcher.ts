import { create } from "@bufbuild/protobuf";
import {
  HeaderMatcherSchema,
  type HeaderMatcher,
} from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { patternOf, textMatcher } from "./value-match.js";

/** A value of a header field, or of a pseudo header. */
export function headerMatcher(name: string, value: string, ignoreCase = false): HeaderMatcher {
  const pattern = patternOf(value);
  return create(HeaderMatcherSchema, {
    name,
    headerMatchSpecifier:
      pattern.kind === "present"
        ? { case: "presentMatch", value: true }
        : { case: "stringMatch", value: textMatcher(pattern.kind, pattern.text, ignoreCase) },
  });
}
