import type { BackendObjectReference, Destination } from "@tulle/api";
import { fullHost } from "../hosts.js";
import { isHttp, portNamed } from "../mesh-service.js";
import { resolveHost } from "../services.js";
import type { Translation } from "../translation.js";
import { isGranted } from "./grants.js";
import type { RefProblem } from "./problems.js";
import type { RouteObject } from "./route-kinds.js";

/** Where a reference leads, or why it leads nowhere. */
export type Backend =
  | { readonly destination: Destination; readonly problem?: never }
  | { readonly problem: RefProblem; readonly destination?: never };

/** Group of Istio's kinds. */
const ISTIO = "networking.istio.io";

/**
 * Finds the backend that a route refers to. A Service of another namespace needs a ReferenceGrant there, unless the
 * route is bound to a service of that namespace: who may be routed to it already calls it.
 */
export function backendOf(
  t: Translation,
  reference: BackendObjectReference,
  route: RouteObject,
  carries: "requests" | "bytes",
): Backend {
  const { group = "", kind = "Service", name, port } = reference;
  const host = hostOf(t, reference, route);
  if (host === undefined) {
    return failed(
      "InvalidKind",
      `${group === "" ? kind : `${group}/${kind}`} ${name} is no backend: use a Service`,
    );
  }
  const { service } = resolveHost(t, host, t.view.namespace);
  if (service === undefined) return failed("BackendNotFound", `nobody has registered ${host}`);
  if (!isPermitted(t, reference, route)) {
    const where = reference.namespace ?? "";
    return failed(
      "RefNotPermitted",
      `no ReferenceGrant in namespace ${where} lets ${route.kind}s of namespace ${route.metadata.namespace} refer to ${kind} ${name}`,
    );
  }
  if (port === undefined) return { destination: { host } };
  const found = portNamed(service, port);
  if (found === undefined) return failed("BackendNotFound", `${service.host} has no port ${port}`);
  if (carries === "requests" && found.protocol !== "auto" && !isHttp(found.protocol)) {
    return failed("UnsupportedProtocol", `port ${port} of ${service.host} carries ${found.protocol}`);
  }
  return { destination: { host, port: { number: port } } };
}

function hostOf(
  t: Translation,
  { group = "", kind = "Service", name, namespace }: BackendObjectReference,
  route: RouteObject,
): string | undefined {
  if (group === "" && kind === "Service") {
    return fullHost({ name, namespace: namespace ?? route.metadata.namespace }, t.settings.domainSuffix);
  }
  return group === ISTIO && kind === "Hostname" ? name.toLowerCase() : undefined;
}

function isPermitted(t: Translation, reference: BackendObjectReference, route: RouteObject): boolean {
  const own = route.metadata.namespace;
  const { group = "", kind = "Service", name, namespace = own } = reference;
  if (namespace === own) return true;
  const parents = route.spec.parentRefs ?? [];
  if (parents.some((parent) => parent.kind === "Service" && parent.namespace === namespace)) return true;
  return isGranted(t, route, { group, kind, name, namespace });
}

function failed(reason: RefProblem["reason"], message: string): Backend {
  return { problem: { reason, message } };
}
