import type { AppProtocol } from "@tulle/api";
import { acceptedTls, type AcceptedTls } from "./authentication.js";
import { catalogService } from "./catalog-service.js";
import type { InboundPort } from "./contract.js";
import { fullHost } from "./hosts.js";
import { ingressProtocol } from "./inbound-sidecar.js";
import { carriageOf, portNamed, type Carriage, type MeshPort, type MeshService } from "./mesh-service.js";
import { anyPortServerName, inboundClusterName, serverName } from "./names.js";
import type { Translation } from "./translation.js";

/** A port of the workload with what else is known about it. */
export interface Inbound {
  readonly port: InboundPort;
  readonly host: string;
  readonly cluster: string;
  readonly accepted: AcceptedTls;
  readonly protocol: AppProtocol;
  readonly carriage: Carriage;
  /** Server names that mean this port. */
  readonly serverNames: readonly string[];
}

/** The workload's ports, each once: of entries of the list for the same port of a service the first counts. */
export function inboundPorts(t: Translation): readonly Inbound[] {
  const seen = new Set<string>();
  return t.view.inbound.flatMap((port) => inboundOf(t, port, seen) ?? []);
}

/** Undefined when another entry of the list already has the service's port. */
function inboundOf(t: Translation, port: InboundPort, seen: Set<string>): Inbound | undefined {
  const host = hostOf(t, port);
  const cluster = inboundClusterName(host, port.servicePort);
  if (seen.has(cluster)) return undefined;
  seen.add(cluster);
  const declared = portOf(t, port);
  const names = [serverName(host, port.servicePort)];
  // Callers of a portless service name the port that stands for the whole service, usually another instance's; which
  // one that is changes as instances come and go.
  if (declared?.service.portless === true) {
    names.push(serverName(host, declared.port.number), anyPortServerName(host));
  }
  const protocol = protocolOf(t, port, declared);
  const serverNames = [...new Set(names)].filter((name) => !seen.has(name));
  for (const name of serverNames) seen.add(name);
  return {
    port,
    host,
    cluster,
    accepted: acceptedTls(t, port.appPort),
    protocol,
    carriage: carriageOf(t, { protocol }),
    serverNames,
  };
}

/** Full host of the service that a port is of. */
export function hostOf(t: Translation, port: InboundPort): string {
  return fullHost({ namespace: port.namespace, name: port.service }, t.settings.domainSuffix);
}

/** The registered service's idea of the port; it may not be registered yet. */
export function portOf(
  t: Translation,
  inbound: InboundPort,
): { service: MeshService; port: MeshPort } | undefined {
  const registered = t.service({ namespace: inbound.namespace, name: inbound.service.toLowerCase() });
  const service = registered && catalogService(t, registered);
  const port = service && portNamed(service, inbound.servicePort);
  return service && port && { service, port };
}

/** A Sidecar counts most, and what is registered more than what the workload says of itself. */
export function protocolOf(
  t: Translation,
  inbound: InboundPort,
  declared: { readonly port: MeshPort } | undefined,
): AppProtocol {
  const own = ingressProtocol(t, inbound.appPort);
  if (own !== undefined) return own;
  const registered = declared?.port.protocol ?? "auto";
  return registered === "auto" ? (inbound.protocol ?? "auto") : registered;
}
