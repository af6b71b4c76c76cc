import type { InternalRedirectPolicy } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { AllowListedRoutesConfigSchema } from "@tulle/xds/gen/envoy/extensions/internal_redirect/allow_listed_routes/v3/allow_listed_routes_config_pb.js";
import { PreviousRoutesConfigSchema } from "@tulle/xds/gen/envoy/extensions/internal_redirect/previous_routes/v3/previous_routes_config_pb.js";
import { SafeCrossSchemeConfigSchema } from "@tulle/xds/gen/envoy/extensions/internal_redirect/safe_cross_scheme/v3/safe_cross_scheme_config_pb.js";
import type { RedirectPlan } from "../contract.js";
import { holds, typeName, unpack } from "../snapshot/any.js";
import { at, invalid } from "../snapshot/invalid.js";

/** More redirects are never followed for one request, whatever the configuration says. */
const MAX_REDIRECTS = 20;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** Compiles Envoy's `internal_redirect_policy`; undefined where there is none. A predicate that is not known is an error. */
export function compileInternalRedirect(
  field: string,
  policy: InternalRedirectPolicy | undefined,
): RedirectPlan | undefined {
  if (policy === undefined) return undefined;
  const codes = policy.redirectResponseCodes.filter((code) => REDIRECTS.has(code));
  let avoidsPrevious = false;
  let keepsSafe = false;
  let allowed: Set<string> | undefined;
  policy.predicates.forEach(({ typedConfig: config }, index) => {
    const here = at(field, `predicates[${index}].typed_config`);
    if (config === undefined) throw invalid(here, "must be set");
    if (holds(config, PreviousRoutesConfigSchema)) avoidsPrevious = true;
    else if (holds(config, SafeCrossSchemeConfigSchema)) keepsSafe = true;
    else if (holds(config, AllowListedRoutesConfigSchema)) {
      const names = new Set(unpack(here, config, AllowListedRoutesConfigSchema).allowedRouteNames);
      allowed = allowed === undefined ? names : new Set([...allowed].filter((name) => names.has(name)));
    } else throw invalid(here, `${typeName(config)} is not known`);
  });
  return {
    max: Math.min(policy.maxInternalRedirects ?? 1, MAX_REDIRECTS),
    statuses: new Set(policy.redirectResponseCodes.length === 0 ? [302] : codes),
    crossesSchemes: policy.allowCrossSchemeRedirect,
    keepsSafe,
    avoidsPrevious,
    allowedRoutes: allowed,
    copiedHeaders: policy.responseHeadersToCopy.map((name) => name.toLowerCase()),
  };
}
