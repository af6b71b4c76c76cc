import type { Kind } from "../kind.js";
import { policyKind } from "../kuma/policy-kind.js";
import { meshTcpRouteSpec } from "./schema.js";
import type { MeshTCPRouteSpec } from "./type.js";

export const meshTcpRouteKind: Kind<MeshTCPRouteSpec> = policyKind({
  kind: "MeshTCPRoute",
  plural: "meshtcproutes",
  schema: meshTcpRouteSpec,
  warn: ({ to = [] }) => (to.length === 0 ? ["spec.to is empty: the route holds for no connections"] : []),
});
