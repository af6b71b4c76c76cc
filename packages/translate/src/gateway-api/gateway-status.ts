import { GATEWAY_API_GROUP, GATEWAY_CONTROLLER, type GatewayClassSpec, type MeshObject } from "@tulle/api";
import type { MeshReader } from "../contract.js";
import { share } from "../gateway/ports.js";
import type { Server } from "../gateway/server.js";
import { GATEWAY_CLASS_KIND, K8S_GATEWAY, LISTENER_SET } from "../kinds.js";
import { Translation } from "../translation.js";
import {
  carriageOfListener,
  certificateProblem,
  foreignKinds,
  isOurs,
  routeKindsOf,
  routesOfListener,
  type K8sGateway,
} from "./gateways.js";
import { clientRoots, frontendValidation } from "./frontend-validation.js";
import { serversOf } from "./gateway-servers.js";
import {
  allowedSets,
  allowsSet,
  heldListeners,
  isListenerSet,
  isSetOf,
  type HeldListener,
  type ListenerHolder,
  type ListenerSet,
} from "./listener-sets.js";

/** A condition of a Gateway, of its class or of one of its listeners, without its times. */
export interface GatewayCondition {
  readonly type: "Accepted" | "Programmed" | "ResolvedRefs" | "Conflicted" | "InsecureFrontendValidationMode";
  readonly status: "True" | "False";
  readonly reason: string;
  readonly message: string;
}

export interface ListenerStatusOf {
  readonly name: string;
  readonly supportedKinds: readonly { readonly group: string; readonly kind: string }[];
  readonly attachedRoutes: number;
  readonly conditions: readonly GatewayCondition[];
}

/** What became of a Gateway, of a ListenerSet, or of a GatewayClass, which has no listeners. */
export interface GatewayStatus {
  readonly conditions: readonly GatewayCondition[];
  readonly listeners?: readonly ListenerStatusOf[];
  /** Of a Gateway that allows ListenerSets: how many it has listeners of. */
  readonly attachedListenerSets?: number;
}

/**
 * The status of a Gateway, ListenerSet or GatewayClass of Gateway API; undefined for anything else, and for those of other
 * controllers.
 */
export function gatewayStatus(reader: MeshReader, object: MeshObject): GatewayStatus | undefined {
  if (!object.apiVersion.startsWith(`${GATEWAY_API_GROUP}/`)) return undefined;
  if (object.kind === GATEWAY_CLASS_KIND.kind) return classStatus(object as MeshObject<GatewayClassSpec>);
  if (object.kind !== K8S_GATEWAY.kind && object.kind !== LISTENER_SET.kind) return undefined;
  const holder = object as ListenerHolder;
  const { namespace } = isListenerSet(holder)
    ? { namespace: holder.metadata.namespace, ...holder.spec.parentRef }
    : holder.metadata;
  const view = { dialect: "tulle", namespace, mtls: true, labels: {}, inbound: [] } as const;
  const t = new Translation(reader, { ...view, gateway: { trustedProxies: 0 } });
  const gateway = isListenerSet(holder) ? gatewayOfSet(t, holder) : holder;
  if (gateway === undefined || !isOurs(t, gateway)) return undefined;
  if (isListenerSet(holder) && !allowsSet(t, gateway, holder)) return notAllowed(gateway);
  const all = listenerStatuses(t, gateway);
  const listeners = all.filter(({ held }) => isSame(held.holder, holder)).map(({ status }) => status);
  if (isListenerSet(holder)) return { conditions: setConditions(gateway, listeners), listeners };
  const conditions = conditionsOf(gateway, listeners);
  if (gateway.spec.allowedListeners === undefined) return { conditions, listeners };
  const attachedListenerSets = allowedSets(t, gateway).filter((set) =>
    all.some(({ held, status }) => held.holder === set && isProgrammed(status)),
  ).length;
  return { conditions, listeners, attachedListenerSets };
}

function gatewayOfSet(t: Translation, set: ListenerSet): K8sGateway | undefined {
  return t.objects<K8sGateway["spec"]>(K8S_GATEWAY).find((gateway) => isSetOf(set, gateway));
}

/** What became of every listener of a Gateway, those that ListenerSets add among them. */
function listenerStatuses(
  t: Translation,
  gateway: K8sGateway,
): readonly { readonly held: HeldListener; readonly status: ListenerStatusOf }[] {
  const servers = serversOf(t, gateway);
  const shared = share(t, servers).flatMap((port) => port.servers);
  const isAmong = (some: readonly Server[], { holder, field }: HeldListener): boolean =>
    some.some((server) => server.owner === holder && server.field === field);
  return heldListeners(t, gateway).map((held) => {
    const conflict = held.isRepeated || (isAmong(servers, held) && !isAmong(shared, held));
    return { held, status: listenerStatus(t, held, conflict) };
  });
}

/** One object may have been read twice. */
function isSame({ kind, metadata }: ListenerHolder, other: ListenerHolder): boolean {
  return (
    kind === other.kind &&
    metadata.namespace === other.metadata.namespace &&
    metadata.name === other.metadata.name
  );
}

function notAllowed({ metadata }: K8sGateway): GatewayStatus {
  const message = `the Gateway ${metadata.namespace}/${metadata.name} takes no ListenerSets of this namespace: see its spec.allowedListeners`;
  return { conditions: [no("Accepted", "NotAllowed", message), no("Programmed", "NotAllowed", message)] };
}

function setConditions(
  { metadata }: K8sGateway,
  listeners: readonly ListenerStatusOf[],
): readonly GatewayCondition[] {
  const bad = listeners.filter((listener) => !isProgrammed(listener));
  const names = `not served: the listeners ${bad.map(({ name }) => name).join(", ")}`;
  if (bad.length === listeners.length)
    return [no("Accepted", "ListenersNotValid", names), no("Programmed", "ListenersNotValid", names)];
  const where = `listeners of the Gateway ${metadata.namespace}/${metadata.name}`;
  const accepted =
    bad.length > 0
      ? { ...yes("Accepted", names), reason: "ListenersNotValid" }
      : yes("Accepted", `its listeners are ${where}`);
  return [accepted, yes("Programmed", "gateways that run the Gateway are sent them; see Reconciled")];
}

function isProgrammed({ conditions }: ListenerStatusOf): boolean {
  return conditions.some(({ type, status }) => type === "Programmed" && status === "True");
}

function classStatus({ spec }: MeshObject<GatewayClassSpec>): GatewayStatus | undefined {
  if (spec.controllerName !== GATEWAY_CONTROLLER) return undefined;
  return { conditions: [yes("Accepted", "Tulle runs Gateways of this class")] };
}

function listenerStatus(
  t: Translation,
  { gateway, holder, listener, isRepeated }: HeldListener,
  conflict: boolean,
): ListenerStatusOf {
  const kinds = routeKindsOf(listener);
  const routes = kinds.flatMap((kind) => routesOfListener(t, holder, listener, kind));
  const supported = carriageOfListener(listener) !== undefined;
  const foreign = foreignKinds(listener);
  const problems = (listener.tls?.certificateRefs ?? []).flatMap(
    (ref) => certificateProblem(t, holder, ref) ?? [],
  );
  const validation = frontendValidation(gateway, listener);
  const clients = validation && clientRoots(t, gateway, validation);
  const rootless = clients !== undefined && clients.roots === undefined;
  const all = [...problems, ...(clients?.problems ?? [])];
  const [problem] = all;
  const ends = listener.tls !== undefined && listener.tls.mode !== "Passthrough";
  const usable = !ends || problems.length < (listener.tls?.certificateRefs ?? []).length;
  const conditions = [
    !supported
      ? no("Accepted", "UnsupportedProtocol", `the protocol ${listener.protocol} is not served`)
      : conflict
        ? no("Accepted", "PortUnavailable", "another listener of the port came first")
        : rootless
          ? no(
              "Accepted",
              "NoValidCACertificate",
              "none of the authorities of clients' certificates can be used",
            )
          : yes("Accepted", "the listener is served"),
    conflict
      ? ({
          type: "Conflicted",
          status: "True",
          reason: isRepeated ? "HostnameConflict" : "ProtocolConflict",
          message: `connections to port ${listener.port} cannot be told from those of an earlier listener`,
        } as const)
      : no("Conflicted", "NoConflicts", "no other listener has its connections"),
    problem !== undefined
      ? no("ResolvedRefs", problem.reason, all.map(({ message }) => message).join("; "))
      : foreign.length > 0
        ? no("ResolvedRefs", "InvalidRouteKinds", `${listener.protocol} carries no ${foreign.join(", ")}`)
        : yes("ResolvedRefs", "all references lead somewhere"),
    supported && !conflict && usable && !rootless
      ? yes("Programmed", "gateways that run it are sent it; see Reconciled")
      : no("Programmed", "Invalid", "the port is not opened for this listener"),
  ];
  return {
    name: listener.name,
    supportedKinds: kinds.map(({ group, kind }) => ({ group, kind })),
    attachedRoutes: routes.length,
    conditions,
  };
}

const INSECURE: GatewayCondition = {
  type: "InsecureFrontendValidationMode",
  status: "True",
  reason: "ConfigurationChanged",
  message: "with AllowInsecureFallback clients without a certificate that holds are let in, too",
};

function conditionsOf(
  gateway: K8sGateway,
  listeners: readonly ListenerStatusOf[],
): readonly GatewayCondition[] {
  const { spec, metadata } = gateway;
  const letsAnybodyIn = spec.listeners.some(
    (listener) => frontendValidation(gateway, listener)?.mode === "AllowInsecureFallback",
  );
  const strange = (spec.addresses ?? []).filter(({ type = "IPAddress" }) => type !== "IPAddress");
  const bad = listeners.filter((listener) => !isProgrammed(listener));
  const names = bad.map(({ name }) => name).join(", ");
  const accepted =
    strange.length > 0
      ? no("Accepted", "UnsupportedAddress", "addresses are IP addresses, on which ports are opened")
      : bad.length > 0
        ? { ...yes("Accepted", `not served: the listeners ${names}`), reason: "ListenersNotValid" }
        : yes("Accepted", `run by "tulle gateway ${metadata.name} -n ${metadata.namespace}"`);
  const programmed =
    bad.length < listeners.length
      ? yes("Programmed", "gateways that run it are sent it; see Reconciled")
      : no("Programmed", "Invalid", "none of its listeners can be served");
  return letsAnybodyIn ? [accepted, programmed, INSECURE] : [accepted, programmed];
}

function yes(type: GatewayCondition["type"], message: string): GatewayCondition {
  return { type, status: "True", reason: type, message };
}

function no(type: GatewayCondition["type"], reason: string, message: string): GatewayCondition {
  return { type, status: "False", reason, message };
}
