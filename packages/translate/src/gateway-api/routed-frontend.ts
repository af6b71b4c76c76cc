import type { ParentReference } from "@tulle/api";
import { fullHost, serviceNamed } from "../hosts.js";
import type { MeshPort, MeshService } from "../mesh-service.js";
import type { Translation } from "../translation.js";
import { attachedRoutes, parentHosts, type Frontend } from "./parents.js";

/**
 * The port of a service that nobody has registered and that exists by its routes alone: a Service by which callers reach
 * others. Its routes must name the port, so that a slip in a name makes no service. Undefined when there is none such.
 */
export function routedFrontend(t: Translation, host: string, listenerPort: number): Frontend | undefined {
  const frontend = frontendOf(t, host, listenerPort);
  if (frontend === undefined) return undefined;
  const isNamed = attachedRoutes(t, frontend)?.routes.some(({ spec, metadata }) =>
    (spec.parentRefs ?? []).some(
      (parent) =>
        canExistAlone(parent) &&
        parent.port === listenerPort &&
        parentHosts(t, parent, metadata.namespace).includes(frontend.host),
    ),
  );
  return isNamed === true ? frontend : undefined;
}

/** Whether a parent says all that there is to know of a service: its name and its port. */
export function canExistAlone({ kind, port, sectionName }: ParentReference): boolean {
  return kind === "Service" && port !== undefined && sectionName === undefined;
}

/** A port of HTTP with nobody behind it; undefined for hosts that no service can have. */
export function frontendOf(t: Translation, host: string, listenerPort: number): Frontend | undefined {
  const { domainSuffix } = t.settings;
  const id = serviceNamed(host, t.view.namespace, domainSuffix);
  if (id === undefined) return undefined;
  const full = fullHost(id, domainSuffix);
  const port: MeshPort = { number: listenerPort, name: "", protocol: "http" };
  const service: MeshService = {
    host: full,
    ...id,
    ports: [port],
    portless: false,
    discovery: "EDS",
    identities: [],
    meshed: "none",
    addresses: () => [],
    session: undefined,
    endpoints: () => [],
  };
  return { host: full, service, port, listenerPort };
}
