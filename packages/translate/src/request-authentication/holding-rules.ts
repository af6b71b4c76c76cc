import type { JwtRuleSpec, MeshObject, RequestAuthenticationSpec } from "@tulle/api";
import { REQUEST_AUTHENTICATION } from "../kinds.js";
import type { Translation } from "../translation.js";
import { byAge, selects } from "../visibility.js";

type RequestAuthentication = MeshObject<RequestAuthenticationSpec>;

/**
 * The rules for tokens that hold for the client's workload, the oldest object's first: those of its namespace and of the mesh
 * (root namespace) whose selector it matches, and those attached to a service that it serves. They add up.
 */
export function holdingRules(t: Translation): readonly JwtRuleSpec[] {
  const holding = [...t.objects<RequestAuthenticationSpec>(REQUEST_AUTHENTICATION)]
    .filter((object) => holdsFor(t, object))
    .sort(byAge);
  for (const object of holding) t.own(object);
  return holding.flatMap(({ spec }) => spec.jwtRules ?? []);
}

function holdsFor({ view, settings }: Translation, { spec, metadata }: RequestAuthentication): boolean {
  const { namespace } = metadata;
  const targets = [...(spec.targetRefs ?? []), ...(spec.targetRef === undefined ? [] : [spec.targetRef])];
  if (targets.length > 0) {
    return targets.some(
      ({ kind, name }) =>
        kind === "Service" &&
        view.inbound.some((port) => port.namespace === namespace && port.service === name),
    );
  }
  if (namespace !== view.namespace && namespace !== settings.rootNamespace) return false;
  return selects(spec.selector?.matchLabels, view.labels);
}
