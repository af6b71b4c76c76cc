import { UNHEALTHY_CHECK, UNHEALTHY_DEGRADED, UNHEALTHY_EJECTED } from "../contract.js";

/**
 * What an endpoint is good for. `degraded` ones take what the healthy ones cannot. `draining` ones were taken out on
 * purpose: only sessions that are bound to them go there, and they do not count as ill.
 */
export type EndpointHealth = "healthy" | "degraded" | "unhealthy" | "draining";

/** What the configuration says of an endpoint and what this proxy holds against it, as one. */
export function effectiveHealth(assigned: EndpointHealth, unhealthyBits: number): EndpointHealth {
  if (unhealthyBits === 0 || assigned === "draining") return assigned;
  if ((unhealthyBits & (UNHEALTHY_CHECK | UNHEALTHY_EJECTED)) !== 0) return "unhealthy";
  return assigned === "healthy" && (unhealthyBits & UNHEALTHY_DEGRADED) !== 0 ? "degraded" : assigned;
}
