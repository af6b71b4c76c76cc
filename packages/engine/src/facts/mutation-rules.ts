import { getTextEncoding } from "@bufbuild/protobuf/wire";
import { isHopByHop } from "@tulle/http";
import type { HeaderMutationRules } from "@tulle/xds/gen/envoy/config/common/mutation_rules/v3/mutation_rules_pb.js";
import { compileRegex } from "../route/regex.js";
import { at, invalid } from "../snapshot/invalid.js";

/** What somebody outside may alter of a request or a response. */
export interface MutationRules {
  /** By the field's lower-case name. */
  allows(name: string): boolean;
  /** What it may not alter makes its answer invalid, instead of being left out. */
  readonly strict: boolean;
}

/** Envoy's default: every field but those that route, that frame, and the proxies' own. */
export const DEFAULT_MUTATION_RULES: MutationRules = { allows: (name) => isOpen(name), strict: false };

/** Compiles Envoy's `HeaderMutationRules`. Fields that route and frame are never altered, whatever they say. */
export function compileMutationRules(field: string, rules: HeaderMutationRules | undefined): MutationRules {
  if (rules === undefined) return DEFAULT_MUTATION_RULES;
  if (rules.allowAllRouting === true)
    throw invalid(at(field, "allow_all_routing"), "is not supported: routing fields are never altered");
  const allow = rules.allowExpression && compileRegex(at(field, "allow_expression"), rules.allowExpression);
  const disallow =
    rules.disallowExpression && compileRegex(at(field, "disallow_expression"), rules.disallowExpression);
  const none = rules.disallowAll === true;
  const envoy = rules.allowEnvoy === true;
  return {
    allows: (name) => {
      if (isFixed(name) || disallow?.testExact(name) === true) return false;
      if (allow?.testExact(name) === true) return true;
      return !none && (envoy || !name.startsWith("x-envoy-"));
    },
    strict: rules.disallowIsError === true,
  };
}

function isOpen(name: string): boolean {
  return !isFixed(name) && !name.startsWith("x-envoy-");
}

/** Fields that route or frame a message, or that sidecars believe of each other. */
function isFixed(name: string): boolean {
  return (
    name.startsWith(":") ||
    name === "host" ||
    name === "content-length" ||
    name === "trailer" ||
    name === "expect" ||
    name.startsWith("x-tulle-") ||
    name.startsWith("x-envoy-peer-metadata") ||
    isHopByHop(name)
  );
}

/** Lower-case; undefined = it is no field's name (RFC 9110 section 5.1). Pseudo fields count as names: they are refused later. */
export function fieldName(name: string): string | undefined {
  return NAME.test(name) ? name.toLowerCase() : undefined;
}

/** As it goes out, one character a byte; undefined = no field may have such a value (RFC 9110 section 5.5). */
export function fieldValue(value: string, raw: Uint8Array): string | undefined {
  const bytes = raw.length > 0 ? raw : getTextEncoding().encodeUtf8(value);
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return VALUE.test(text) ? text.replace(/^[\t ]+|[\t ]+$/g, "") : undefined;
}

const NAME = /^:?[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
