import type { FullStatus } from "../status/index.js";
import type { RouteStatus, TimedGatewayStatus } from "./route-statuses.js";

/** What is known of every object, with what Gateway API's kinds say besides. What is left out of the configuration is not accepted. */
export function joinStatus(
  base: FullStatus | undefined,
  own: RouteStatus | TimedGatewayStatus | undefined,
): object | undefined {
  if (base === undefined || own === undefined || !("conditions" in own)) return base && { ...base, ...own };
  const refused = base.conditions.some(({ type, status }) => type === "Accepted" && status === "False");
  const conditions = refused ? own.conditions.filter(({ type }) => type !== "Accepted") : own.conditions;
  const types = new Set<string>(conditions.map(({ type }) => type));
  return {
    ...base,
    ...own,
    conditions: [...conditions, ...base.conditions.filter(({ type }) => !types.has(type))],
  };
}
