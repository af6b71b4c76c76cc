import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { JwtRuleSpec } from "@tulle/api";
import {
  JwtAuthenticationSchema,
  type JwtProviderSchema,
  type JwtRequirementSchema,
} from "@tulle/xds/gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import {
  HttpFilterSchema,
  type HttpFilter,
} from "@tulle/xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { keySourceOf } from "../key-source.js";
import { packed } from "../messages.js";
import type { Guarded } from "../policy-scope.js";
import type { Translation } from "../translation.js";
import { holdingRules } from "./holding-rules.js";

/** Name of the filter, and of the metadata that it leaves. */
export const JWT_FILTER = "envoy.filters.http.jwt_authn";
/** Where conditions on tokens look for what they say, as in Istio. */
export const PAYLOAD = "payload";
/** Claims that are lists written with spaces between, as in Istio. */
const SPACE_DELIMITED = ["permission", "scope"];
/** No key: no token is good. */
const NO_KEYS = '{"keys":[]}';

/**
 * The filter that verifies tokens of requests; none where nobody asks for it. A request without a
 * token passes. `reroutes`: routes may go by what a token says, and are chosen anew.
 */
export function jwtFilters(t: Translation, guarded: Guarded, reroutes = false): readonly HttpFilter[] {
  const rules = holdingRules(t, guarded);
  if (rules.length === 0) return [];
  const names = rules.map((_rule, index) => `origins-${index}`);
  const value = packed(JwtAuthenticationSchema, {
    providers: Object.fromEntries(rules.map((rule, index) => [names[index], provider(t, rule, reroutes)])),
    rules: [
      {
        match: { pathSpecifier: { case: "prefix", value: "/" } },
        requirementType: { case: "requires", value: requirement(names) },
      },
    ],
    bypassCorsPreflight: true,
  });
  return [create(HttpFilterSchema, { name: JWT_FILTER, configType: { case: "typedConfig", value } })];
}

function provider(
  t: Translation,
  rule: JwtRuleSpec,
  reroutes: boolean,
): MessageInitShape<typeof JwtProviderSchema> {
  return {
    issuer: rule.issuer,
    audiences: [...(rule.audiences ?? [])],
    jwksSourceSpecifier: {
      case: "localJwks",
      value: { specifier: { case: "inlineString", value: keysOf(t, rule) } },
    },
    forward: rule.forwardOriginalToken ?? false,
    fromHeaders: (rule.fromHeaders ?? []).map(({ name, prefix = "" }) => ({ name, valuePrefix: prefix })),
    fromParams: [...(rule.fromParams ?? [])],
    fromCookies: [...(rule.fromCookies ?? [])],
    forwardPayloadHeader: rule.outputPayloadToHeader ?? "",
    claimToHeaders: (rule.outputClaimToHeaders ?? []).map(({ header, claim }) => ({
      headerName: header,
      claimName: claim,
    })),
    payloadInMetadata: PAYLOAD,
    normalizePayloadInMetadata: {
      spaceDelimitedClaims: [...new Set([...SPACE_DELIMITED, ...(rule.spaceDelimitedClaims ?? [])])],
    },
    clearRouteCache: reroutes,
  };
}

/** Sidecars fetch nothing: what is not here yet, or cannot be fetched, is no key. */
function keysOf(t: Translation, rule: JwtRuleSpec): string {
  if (rule.jwks !== undefined) return rule.jwks;
  const source = keySourceOf(rule);
  const keys = t.tokenKeys(source);
  if (keys === undefined) {
    const where = source.jwksUri ?? `the discovery document of ${source.issuer}`;
    t.warn(`tokens of ${rule.issuer} are refused: its keys have not come from ${where}`);
  }
  return keys ?? NO_KEYS;
}

/** Every token that is brought must be good for its issuer; none need be. */
function requirement(names: readonly string[]): MessageInitShape<typeof JwtRequirementSchema> {
  const each = names.map((name): MessageInitShape<typeof JwtRequirementSchema> => ({
    requiresType: {
      case: "requiresAny",
      value: {
        requirements: [
          { requiresType: { case: "providerName", value: name } },
          { requiresType: { case: "allowMissing", value: {} } },
        ],
      },
    },
  }));
  const [only] = each;
  if (each.length === 1 && only !== undefined) return only;
  return { requiresType: { case: "requiresAll", value: { requirements: each } } };
}
