import type { MeshObject } from "@tulle/api";
import type { KindRef, Translation } from "../translation.js";
import { attachedRoutes, type Frontend } from "./parents.js";

/**
 * Says of a frontend's routes of some kinds that a VirtualService holds instead of them: rules of both would have no order among each
 * other. Both objects show it in their status.
 */
export function warnOfOverruled(
  t: Translation,
  { metadata }: MeshObject,
  frontend: Frontend | undefined,
  kinds: readonly KindRef[],
): void {
  const attached = frontend && attachedRoutes(t, frontend);
  if (attached === undefined || !kinds.some(({ kind }) => kind === attached.kind)) return;
  for (const route of attached.routes) {
    t.own(route);
    t.warn(
      `${route.kind} ${route.metadata.namespace}/${route.metadata.name} has no effect on ` +
        `${frontend?.host}:${frontend?.listenerPort}: VirtualService ${metadata.namespace}/${metadata.name} rules the same host`,
    );
  }
}
