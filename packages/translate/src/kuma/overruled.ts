import type { MeshObject } from "@tulle/api";
import type { Frontend } from "../gateway-api/parents.js";
import { nameOf } from "../provenance.js";
import type { KindRef, Translation } from "../translation.js";
import { holdingItems } from "./policies.js";

/**
 * Says of a frontend's policies of a kind that they have no effect, and why. Rules of several kinds of objects for one
 * host would have no order among each other.
 */
export function warnOfOverruledPolicies(
  t: Translation,
  kind: KindRef,
  frontend: Frontend | undefined,
  why: string,
): void {
  if (frontend === undefined) return;
  for (const { object, field } of holdingItems(t, kind, frontend)) {
    t.own(object);
    t.warn(`${nameOf(object)} ${field} has no effect on ${frontend.host}:${frontend.listenerPort}: ${why}`);
  }
}

/** The same where routes of Gateway API are bound to the frontend. */
export function warnOfBound(
  t: Translation,
  kind: KindRef,
  frontend: Frontend,
  routes: readonly MeshObject[],
): void {
  const why = `${routes.map(nameOf).join(" and ")} is bound to the same port`;
  warnOfOverruledPolicies(t, kind, frontend, why);
}
