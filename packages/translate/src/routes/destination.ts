import type { Destination } from "@tulle/api";
import { destinationRuleFor, effectivePolicy, type EffectivePolicy } from "../destination-rules.js";
import { defaultPort, portNamed, type MeshPort, type MeshService } from "../mesh-service.js";
import { callingCluster } from "../failover.js";
import { outboundClusterName } from "../names.js";
import { resolveHost } from "../services.js";
import { subsetLabels } from "../subset-defaults.js";
import type { SessionRequest } from "./session.js";
import type { Translation } from "../translation.js";

/** Where a rule sends requests. */
export interface Target {
  readonly cluster: string;
  readonly policy: EffectivePolicy;
  readonly session?: SessionRequest | undefined;
}

/**
 * The cluster of a destination that was written in `namespace`, on a route for `listenerPort`. A service or port that does
 * not exist becomes a cluster without endpoints (503), with a warning.
 */
export function targetOf(
  t: Translation,
  destination: Destination,
  namespace: string,
  listenerPort: number,
): Target {
  const written = destination.host.toLowerCase().replace(/\.$/, "");
  const { host, service } = resolveHost(t, written, namespace);
  const subset = destination.subset ?? "";
  if (service === undefined) {
    t.warnOf("IST0101", `destination ${host} does not exist: requests to it fail with 503`);
    return {
      cluster: outboundClusterName(host, destination.port?.number ?? listenerPort, subset),
      policy: {},
    };
  }
  const port = destinationPort(service, destination, listenerPort);
  if (port === undefined) {
    const number = destination.port?.number ?? listenerPort;
    t.warnOf("IST0101", `destination ${service.host} has no port ${number}: requests to it fail with 503`);
    return { cluster: outboundClusterName(service.host, number, subset), policy: {} };
  }
  const rule = destinationRuleFor(t, service);
  // For its warning: the labels themselves matter where endpoints are chosen.
  subsetLabels(t, rule, service.host, subset);
  return {
    cluster: callingCluster(t, service, port.number, subset),
    policy: effectivePolicy(t, rule, subset, port.number),
    session: service.session,
  };
}

/** The port as written; else a service's only port; else the one that the caller named. */
function destinationPort(
  service: MeshService,
  destination: Destination,
  listenerPort: number,
): MeshPort | undefined {
  if (destination.port !== undefined) return portNamed(service, destination.port.number);
  return service.ports.length === 1 ? defaultPort(service) : portNamed(service, listenerPort);
}
