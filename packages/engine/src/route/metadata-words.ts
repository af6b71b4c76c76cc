import type { JsonValue } from "@bufbuild/protobuf";
import type { MetadataMatcher } from "@tulle/xds/gen/envoy/type/matcher/v3/metadata_pb.js";
import type { ConditionWords } from "./words.js";
import { quoted } from "./words.js";

/** A MetadataMatcher in words. What tokens say is called so. */
export function metadataWords({ filter, path, invert }: MetadataMatcher): ConditionWords {
  const keys = path.map(({ segment }) => segment.value ?? "");
  const isClaim = filter === "envoy.filters.http.jwt_authn" && keys.length > 1;
  const name = isClaim
    ? `the token's claim ${quoted(keys.slice(1).join("."))}`
    : `${quoted(keys.join("."))} of ${filter}`;
  return {
    condition: () => `${name} ${invert ? "must not be" : "must be"} as the rule says`,
    mismatch: ({ metadata }) => {
      let value: JsonValue | undefined = metadata?.get(filter);
      for (const key of keys) value = memberOf(value, key);
      return value === undefined ? `${name} is absent` : `${name} is ${quoted(JSON.stringify(value))}`;
    },
    share: undefined,
  };
}

function memberOf(value: JsonValue | undefined, key: string): JsonValue | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, key) ? value[key] : undefined;
}
