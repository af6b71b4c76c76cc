import {
  GATEWAY_CLASS,
  GATEWAY_CONTROLLER,
  type GatewayClassSpec,
  type GatewayListener,
  type K8sGatewaySpec,
  type MeshObject,
  type SecretReference,
  type ParentReference,
} from "@tulle/api";
import { commonHost } from "../gateway/server.js";
import { GATEWAY_CLASS_KIND, GRPC_ROUTE, HTTP_ROUTE, TCP_ROUTE, TLS_ROUTE } from "../kinds.js";
import { hasCertificate } from "../secret-data.js";
import type { KindRef, Translation } from "../translation.js";
import { isGranted } from "./grants.js";
import { isAllowed, isParent, type ListenerHolder } from "./listener-sets.js";
import type { RouteObject } from "./route-kinds.js";

export type K8sGateway = MeshObject<K8sGatewaySpec>;

/** Label of the gateways that run a Gateway, in its namespace (Istio's). */
export const GATEWAY_NAME_LABEL = "gateway.networking.k8s.io/gateway-name";

/** Whether a Gateway is of a class of ours: `tulle`, or one that names our controller. */
export function isOurs(t: Translation, { spec: { gatewayClassName } }: K8sGateway): boolean {
  const written = t
    .objects<GatewayClassSpec>(GATEWAY_CLASS_KIND)
    .find(({ metadata }) => metadata.name === gatewayClassName);
  if (written === undefined) return gatewayClassName === GATEWAY_CLASS;
  return written.spec.controllerName === GATEWAY_CONTROLLER;
}

/** What a listener's protocol is carried as; undefined for protocols that are not served. */
export function carriageOfListener({
  protocol,
  tls,
}: GatewayListener): "http" | "https" | "passthrough" | "tls" | "tcp" | undefined {
  switch (protocol) {
    case "HTTP":
      return "http";
    case "HTTPS":
      return "https";
    case "TLS":
      return tls?.mode === "Passthrough" ? "passthrough" : "tls";
    case "TCP":
      return "tcp";
    default:
      return undefined;
  }
}

/** The kinds of routes that a listener takes, as far as it may. */
export function routeKindsOf(listener: GatewayListener): readonly KindRef[] {
  const able = ableKinds(listener);
  const wanted = listener.allowedRoutes?.kinds ?? [];
  return wanted.length === 0 ? able : able.filter(({ kind }) => wanted.some((one) => one.kind === kind));
}

/** Kinds of routes that a listener names and cannot take. */
export function foreignKinds(listener: GatewayListener): readonly string[] {
  const able = ableKinds(listener);
  return (listener.allowedRoutes?.kinds ?? [])
    .map(({ kind }) => kind)
    .filter((kind) => !able.some((one) => one.kind === kind));
}

function ableKinds(listener: GatewayListener): readonly KindRef[] {
  switch (carriageOfListener(listener)) {
    case "http":
    case "https":
      return [HTTP_ROUTE, GRPC_ROUTE];
    case "passthrough":
      return [TLS_ROUTE];
    case "tls":
    case "tcp":
      return [TCP_ROUTE];
    case undefined:
      return [];
  }
}

/** Why a route is not attached to a listener; undefined when it is. The reasons are Gateway API's. */
export interface Detached {
  readonly reason: "NoMatchingParent" | "NotAllowedByListeners" | "NoMatchingListenerHostname";
  readonly message: string;
}

/** How a route stands to a listener that one of its parents may mean. */
export function detached(
  t: Translation,
  holder: ListenerHolder,
  listener: GatewayListener,
  route: RouteObject,
  parent: ParentReference,
): Detached | undefined {
  const { name, port } = listener;
  if (
    (parent.sectionName !== undefined && parent.sectionName !== name) ||
    (parent.port !== undefined && parent.port !== port)
  )
    return { reason: "NoMatchingParent", message: `the listener ${name} on port ${port} is not meant` };
  if (!routeKindsOf(listener).some(({ kind }) => kind === route.kind))
    return { reason: "NotAllowedByListeners", message: `the listener ${name} takes no ${route.kind}s` };
  const { namespaces = {} } = listener.allowedRoutes ?? {};
  if (!isAllowed(t, namespaces, holder.metadata.namespace, route.metadata.namespace)) {
    const message = `the listener ${name} takes no routes of the namespace ${route.metadata.namespace}`;
    return { reason: "NotAllowedByListeners", message };
  }
  if (commonHostnames(listener, route).length === 0) {
    const message = `no hostname of the route lies within ${listener.hostname} of the listener ${name}`;
    return { reason: "NoMatchingListenerHostname", message };
  }
  return undefined;
}

/** The routes of a kind that are attached to a listener. */
export function routesOfListener(
  t: Translation,
  holder: ListenerHolder,
  listener: GatewayListener,
  kind: KindRef,
): readonly RouteObject[] {
  return t
    .objects<RouteObject["spec"]>(kind)
    .filter((route): route is RouteObject =>
      (route.spec.parentRefs ?? []).some(
        (parent) =>
          isParent(parent, route.metadata.namespace, holder) &&
          detached(t, holder, listener, route as RouteObject, parent) === undefined,
      ),
    );
}

/** What a route's hostnames and a listener's have in common: names, `*.suffix`, or `*` for every host. */
export function commonHostnames(listener: GatewayListener, route: RouteObject): readonly string[] {
  const { hostnames = [] } = route.spec as { readonly hostnames?: readonly string[] };
  const served = listener.hostname ?? "*";
  const written = hostnames.length === 0 ? ["*"] : hostnames;
  return [...new Set(written.flatMap((host) => commonHost(served, host) ?? []))];
}

/** What is wrong with a reference to a certificate; undefined when nothing is. */
export function certificateProblem(
  t: Translation,
  holder: ListenerHolder,
  { group = "", kind = "Secret", name, namespace = holder.metadata.namespace }: SecretReference,
): { readonly reason: "InvalidCertificateRef" | "RefNotPermitted"; readonly message: string } | undefined {
  const full = `${namespace}/${name}`;
  if (group !== "" || kind !== "Secret") {
    return {
      reason: "InvalidCertificateRef",
      message: `${group}/${kind} ${full} is no certificate: use a Secret`,
    };
  }
  if (namespace !== holder.metadata.namespace && !isGranted(t, holder, { group, kind, name, namespace })) {
    const message = `no ReferenceGrant in namespace ${namespace} lets ${holder.kind}s of namespace ${holder.metadata.namespace} refer to Secret ${name}`;
    return { reason: "RefNotPermitted", message };
  }
  if (hasCertificate(t, name, namespace)) return undefined;
  return {
    reason: "InvalidCertificateRef",
    message: `there is no Secret ${full} with a certificate and its key (tls.crt, tls.key)`,
  };
}
