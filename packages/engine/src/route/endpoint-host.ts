import type { Plan } from "../contract.js";

/**
 * The authority for an endpoint of a plan, where the plan leaves that to the endpoint (Envoy's `auto_host_rewrite`): its
 * name, if it is known by one and not by an address.
 */
export function endpointHost(
  { takesEndpointHost }: Plan,
  { host }: { readonly host: string },
): string | undefined {
  return takesEndpointHost === true && !/^[\d.]+$|:/.test(host) ? host : undefined;
}
