import type { Kind } from "../kind.js";
import { policyKind } from "../kuma/policy-kind.js";
import { meshHttpRouteSpec } from "./schema.js";
import type { MeshHTTPRouteSpec } from "./type.js";

export const meshHttpRouteKind: Kind<MeshHTTPRouteSpec> = policyKind({
  kind: "MeshHTTPRoute",
  plural: "meshhttproutes",
  schema: meshHttpRouteSpec,
  warn: warnings,
});

function warnings({ to = [] }: MeshHTTPRouteSpec): readonly string[] {
  if (to.length === 0) return ["spec.to is empty: the route holds for no calls"];
  return to.flatMap(({ hostnames = [] }, index) =>
    hostnames.length === 0
      ? []
      : [`spec.to[${index}].hostnames has no effect: it is for gateways; match the Host header instead`],
  );
}
