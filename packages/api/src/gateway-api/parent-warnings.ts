import { GATEWAY_API_GROUP } from "./names.js";
import type { ParentReference, RouteSpec } from "./type.js";

/** Kinds that a route of the mesh can be bound to, as `<group>/<kind>`. */
const MESH_PARENTS: ReadonlySet<string> = new Set([
  "/Service",
  "networking.istio.io/ServiceEntry",
  "networking.istio.io/Hostname",
]);

/** Whether the mesh carries out routes of this parent. */
export function isMeshParent({ group = GATEWAY_API_GROUP, kind = "Gateway" }: ParentReference): boolean {
  return MESH_PARENTS.has(`${group}/${kind}`);
}

/** Whether a parent is a Gateway of Gateway API. */
export function isGatewayParent({ group = GATEWAY_API_GROUP, kind = "Gateway" }: ParentReference): boolean {
  return group === GATEWAY_API_GROUP && kind === "Gateway";
}

/** Whether a parent is a ListenerSet of Gateway API. */
export function isListenerSetParent({ group = GATEWAY_API_GROUP, kind }: ParentReference): boolean {
  return group === GATEWAY_API_GROUP && kind === "ListenerSet";
}

/** What a user may have meant otherwise: parents that the mesh does not serve, hosts that it does not read. */
export function parentWarnings(spec: RouteSpec & { readonly hostnames?: readonly string[] }): string[] {
  const warnings: string[] = [];
  const parents = spec.parentRefs ?? [];
  if (parents.length === 0) warnings.push("spec.parentRefs is empty: the route is bound to nothing");
  parents.forEach((parent, index) => {
    if (isMeshParent(parent) || isGatewayParent(parent) || isListenerSetParent(parent)) return;
    const written = `${parent.group ?? GATEWAY_API_GROUP}/${parent.kind ?? "Gateway"}`;
    warnings.push(
      `spec.parentRefs[${index}] is a ${written}, which no proxy of this mesh serves; ` +
        'for a service write kind: Service and group: ""',
    );
  });
  return warnings;
}

/** As {@link parentWarnings}, and that `hostnames` mean nothing beside a service. */
export function httpParentWarnings(spec: RouteSpec & { readonly hostnames?: readonly string[] }): string[] {
  const warnings = parentWarnings(spec);
  if ((spec.hostnames ?? []).length > 0 && (spec.parentRefs ?? []).some(isMeshParent)) {
    warnings.push("spec.hostnames has no effect on parents that are services; match the Host header instead");
  }
  return warnings;
}
