import type { Any } from "@bufbuild/protobuf/wkt";
import {
  RBACPerRouteSchema,
  RBACSchema,
  type RBAC,
} from "@tulle/xds/gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import type { FilterKind } from "../admit/filter-kind.js";
import type { AdmissionStep } from "../contract.js";
import { unpack } from "../snapshot/any.js";
import { at, invalid } from "../snapshot/invalid.js";
import { compileRbac } from "./rbac.js";
import { RbacStep } from "./rbac-step.js";

/** `envoy.filters.http.rbac`: who may do what. */
export const rbacKind: FilterKind = {
  type: RBACSchema.typeName,
  routeType: RBACPerRouteSchema.typeName,
  compile: (field, any: Any) => compileStep(field, unpack(field, any, RBACSchema)),
  compileRoute: (field, any: Any) => {
    const { rbac } = unpack(field, any, RBACPerRouteSchema);
    return rbac === undefined ? undefined : compileStep(at(field, "rbac"), rbac);
  },
};

function compileStep(field: string, config: RBAC): AdmissionStep | undefined {
  if (config.matcher !== undefined) throw invalid(at(field, "matcher"), "is not supported: use rules");
  if (config.shadowMatcher !== undefined)
    throw invalid(at(field, "shadow_matcher"), "is not supported: use shadow_rules");
  const rules = compileRbac(at(field, "rules"), config.rules);
  const shadow = compileRbac(at(field, "shadow_rules"), config.shadowRules);
  if (rules === undefined && shadow === undefined) return undefined;
  return new RbacStep({ rules, shadow, shadowPrefix: config.shadowRulesStatPrefix });
}
