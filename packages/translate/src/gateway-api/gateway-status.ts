import {
  GATEWAY_API_GROUP,
  GATEWAY_CONTROLLER,
  type GatewayClassSpec,
  type GatewayListener,
  type MeshObject,
} from "@tulle/api";
import type { MeshReader } from "../contract.js";
import { share } from "../gateway/ports.js";
import { GATEWAY_CLASS_KIND, K8S_GATEWAY } from "../kinds.js";
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

/** What became of a Gateway, or of a GatewayClass, which has no listeners. */
export interface GatewayStatus {
  readonly conditions: readonly GatewayCondition[];
  readonly listeners?: readonly ListenerStatusOf[];
}

/** The status of a Gateway or GatewayClass of Gateway API; undefined for anything else, and for those of other controllers. */
export function gatewayStatus(reader: MeshReader, object: MeshObject): GatewayStatus | undefined {
  if (!object.apiVersion.startsWith(`${GATEWAY_API_GROUP}/`)) return undefined;
  if (object.kind === GATEWAY_CLASS_KIND.kind) return classStatus(object as MeshObject<GatewayClassSpec>);
  if (object.kind !== K8S_GATEWAY.kind) return undefined;
  const gateway = object as K8sGateway;
  const { namespace } = gateway.metadata;
  const view = { dialect: "tulle", namespace, mtls: true, labels: {}, inbound: [] } as const;
  const t = new Translation(reader, { ...view, gateway: { trustedProxies: 0 } });
  if (!isOurs(t, gateway)) return undefined;
  const servers = serversOf(t, gateway);
  const shared = new Map(
    share(t, servers).flatMap((port) => port.servers.map((server) => [server.field, server] as const)),
  );
  const listeners = gateway.spec.listeners.map((listener, index) => {
    const field = `spec.listeners[${index}]`;
    const conflict = servers.some((server) => server.field === field) && !shared.has(field);
    return listenerStatus(t, gateway, listener, conflict);
  });
  return { conditions: conditionsOf(gateway, listeners), listeners };
}

function classStatus({ spec }: MeshObject<GatewayClassSpec>): GatewayStatus | undefined {
  if (spec.controllerName !== GATEWAY_CONTROLLER) return undefined;
  return { conditions: [yes("Accepted", "Tulle runs Gateways of this class")] };
}

function listenerStatus(
  t: Translation,
  gateway: K8sGateway,
  listener: GatewayListener,
  conflict: boolean,
): ListenerStatusOf {
  const kinds = routeKindsOf(listener);
  const routes = kinds.flatMap((kind) => routesOfListener(t, gateway, listener, kind));
  const supported = carriageOfListener(listener) !== undefined;
  const foreign = foreignKinds(listener);
  const problems = (listener.tls?.certificateRefs ?? []).flatMap(
    (ref) => certificateProblem(t, gateway, ref) ?? [],
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
          reason: "ProtocolConflict",
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
  const bad = listeners.filter(({ conditions }) =>
    conditions.some(({ type, status }) => type === "Programmed" && status === "False"),
  );
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
