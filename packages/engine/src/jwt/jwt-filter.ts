import type { Any } from "@bufbuild/protobuf/wkt";
import {
  JwtAuthenticationSchema,
  PerRouteConfigSchema,
  type JwtAuthentication,
} from "@tulle/xds/gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import type { FilterKind } from "../admit/filter-kind.js";
import type { AdmissionStep } from "../contract.js";
import { unpack } from "../snapshot/any.js";
import { at, invalid } from "../snapshot/invalid.js";
import { compileProvider } from "./jwt-provider.js";
import { JwtStep } from "./jwt-step.js";
import { compileRequirement, type Requirement } from "./requirement.js";

/** `envoy.filters.http.jwt_authn`: requests show by tokens who makes them. */
export const jwtKind: FilterKind = {
  type: JwtAuthenticationSchema.typeName,
  routeType: PerRouteConfigSchema.typeName,
  compile: (field, any: Any) => compileStep(field, unpack(field, any, JwtAuthenticationSchema)),
  compileRoute: (field, any: Any) => {
    const { requirementSpecifier: said } = unpack(field, any, PerRouteConfigSchema);
    if (said.case === "disabled" && said.value) return undefined;
    throw invalid(
      at(field, "requirement_specifier"),
      "must be disabled: other requirements of routes are not supported",
    );
  },
};

function compileStep(field: string, config: JwtAuthentication): AdmissionStep | undefined {
  if (config.filterStateRules !== undefined)
    throw invalid(at(field, "filter_state_rules"), "is not supported: use rules");
  const requirement = requirementOf(field, config);
  if (requirement === undefined) return undefined;
  return new JwtStep({
    providers: Object.entries(config.providers).map(([name, provider]) =>
      compileProvider(at(field, `providers[${JSON.stringify(name)}]`), name, provider),
    ),
    requirement,
    bypassesPreflight: config.bypassCorsPreflight,
    hidesReason: config.stripFailureResponse,
  });
}

/** One rule for all requests, which is what the control plane sends. */
function requirementOf(
  field: string,
  { rules, providers, requirementMap }: JwtAuthentication,
): Requirement | undefined {
  const [rule, ...more] = rules;
  if (rule === undefined) return undefined;
  const here = at(field, "rules[0]");
  const path = rule.match?.pathSpecifier;
  if (more.length > 0 || path?.case !== "prefix" || path.value !== "/" || isConditional(rule.match))
    throw invalid(at(field, "rules"), 'must be one, that matches every request (prefix "/")');
  switch (rule.requirementType.case) {
    case "requires":
      return compileRequirement(at(here, "requires"), rule.requirementType.value, providers);
    case "requirementName": {
      const name = rule.requirementType.value;
      const named = Object.hasOwn(requirementMap, name) ? requirementMap[name] : undefined;
      if (named === undefined)
        throw invalid(at(here, "requirement_name"), "names nothing in requirement_map");
      return compileRequirement(at(field, `requirement_map[${JSON.stringify(name)}]`), named, providers);
    }
    case undefined:
      return undefined;
  }
}

function isConditional(match: JwtAuthentication["rules"][number]["match"]): boolean {
  if (match === undefined) return false;
  return match.headers.length + match.queryParameters.length + match.dynamicMetadata.length > 0;
}
