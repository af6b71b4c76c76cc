import type { HTTPRouteRule } from "@tulle/api";
import { sessionOfPersistence, type SessionRequest } from "../routes/session.js";
import type { Translation } from "../translation.js";
import type { RouteObject } from "./route-kinds.js";

/** How a rule keeps clients with the instance that they have; what of it is not carried out is said. */
export function sessionOf(
  t: Translation,
  { kind, metadata: { namespace, name } }: RouteObject,
  index: number,
  { sessionPersistence }: HTTPRouteRule,
): SessionRequest | undefined {
  if (sessionPersistence === undefined) return undefined;
  const { idleTimeout, absoluteTimeout, type = "Cookie", cookieConfig } = sessionPersistence;
  const where = `${kind} ${namespace}/${name} rules[${index}].sessionPersistence`;
  if (idleTimeout !== undefined) t.warn(`${where}.idleTimeout has no effect: sessions are not kept anywhere`);
  const isPermanent = type === "Cookie" && cookieConfig?.lifetimeType === "Permanent";
  if (absoluteTimeout !== undefined && !isPermanent) {
    t.warn(`${where}.absoluteTimeout has no effect but on a cookie of lifetimeType Permanent`);
  }
  // Rules have sessions of their own.
  return sessionOfPersistence(sessionPersistence, `tulle-session-${name}-${index}`);
}
