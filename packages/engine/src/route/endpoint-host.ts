import type { Plan } from "../contract.js";

/**
 * The authority for an endpoint of a plan, where the plan leaves that to the endpoint (Envoy's `auto_host_rewrite`): its
 * host name, if it has one.
 */
export function endpointHost(
  { takesEndpointHost }: Plan,
  { hostname }: { readonly hostname: string },
): string | undefined {
  return takesEndpointHost === true && hostname !== "" ? hostname : undefined;
}
