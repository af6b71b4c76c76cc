import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { StringMatch } from "@tulle/api";
import {
  MetadataMatcherSchema,
  type MetadataMatcher,
} from "@tulle/xds/gen/envoy/type/matcher/v3/metadata_pb.js";
import type { ValueMatcherSchema } from "@tulle/xds/gen/envoy/type/matcher/v3/value_pb.js";
import { JWT_FILTER, PAYLOAD } from "../request-authentication/jwt-filter.js";
import { isPresence, isUntranslatable, stringMatcher, type Untranslatable } from "../string-match.js";

/** A condition on a claim of a verified token: a text, or a list with such a text in it. */
export function claimMatcher(
  path: readonly string[],
  match: StringMatch,
  invert: boolean,
): MetadataMatcher | Untranslatable {
  const value = valueOf(match);
  if (isUntranslatable(value)) return value;
  return create(MetadataMatcherSchema, {
    filter: JWT_FILTER,
    path: [PAYLOAD, ...path].map((key) => ({ segment: { case: "key" as const, value: key } })),
    value,
    invert,
  });
}

function valueOf(match: StringMatch): MessageInitShape<typeof ValueMatcherSchema> | Untranslatable {
  if (isPresence(match)) return { matchPattern: { case: "presentMatch", value: true } };
  const text = stringMatcher(match);
  if (isUntranslatable(text)) return text;
  const one: MessageInitShape<typeof ValueMatcherSchema> = {
    matchPattern: { case: "stringMatch", value: text },
  };
  const list: MessageInitShape<typeof ValueMatcherSchema> = {
    matchPattern: { case: "listMatch", value: { matchPattern: { case: "oneOf", value: one } } },
  };
  return { matchPattern: { case: "orMatch", value: { valueMatchers: [one, list] } } };
}
