import type { Server } from "../gateway/server.js";
import { K8S_GATEWAY } from "../kinds.js";
import type { Translation } from "../translation.js";
import { byAge } from "../visibility.js";
import { heldListeners, isListenerSet, type HeldListener } from "./listener-sets.js";
import { clientRoots, frontendValidation } from "./frontend-validation.js";
import {
  carriageOfListener,
  certificateProblem,
  GATEWAY_NAME_LABEL,
  isOurs,
  type K8sGateway,
} from "./gateways.js";

/**
 * The servers of Gateway API's Gateways that this gateway runs: of its own namespace, with the name that its label says. The
 * oldest object's first.
 */
export function k8sServers(t: Translation): readonly Server[] {
  const name = t.view.labels[GATEWAY_NAME_LABEL];
  if (name === undefined) return [];
  return t
    .objects<K8sGateway["spec"]>(K8S_GATEWAY)
    .filter(
      (gateway) =>
        gateway.metadata.name === name &&
        gateway.metadata.namespace === t.view.namespace &&
        isOurs(t, gateway),
    )
    .sort(byAge)
    .flatMap((gateway) => serversOf(t, gateway));
}

/** The servers of a Gateway, without the listeners that cannot be served: its status names them. */
export function serversOf(t: Translation, gateway: K8sGateway): readonly Server[] {
  const bind = gateway.spec.addresses?.find(({ type = "IPAddress" }) => type === "IPAddress")?.value;
  return heldListeners(t, gateway).flatMap((held) => serverOf(t, held, bind) ?? []);
}

function serverOf(t: Translation, held: HeldListener, bind: string | undefined): Server | undefined {
  const { gateway, holder, listener, field } = held;
  if (held.isRepeated) return undefined;
  const kind = carriageOfListener(listener);
  if (kind === undefined) return undefined;
  const ends = kind === "https" || kind === "tls";
  const references = listener.tls?.certificateRefs ?? [];
  const usable = references.filter((reference) => certificateProblem(t, holder, reference) === undefined);
  // Without any certificate its connections would all fail: the port is better closed.
  if (ends && usable.length === 0) return undefined;
  const validation = frontendValidation(gateway, listener);
  const clients = validation && clientRoots(t, gateway, validation).roots;
  // Without authorities nobody could show that they may come in.
  if (validation !== undefined && clients === undefined) return undefined;
  const { name, namespace } = holder.metadata;
  const { port, hostname = "*" } = listener;
  return {
    owner: holder,
    field,
    kind,
    port,
    bind,
    hosts: [{ namespace: undefined, host: hostname.toLowerCase() }],
    // Not a name that a Gateway of Istio's could have, too.
    routes:
      kind === "http"
        ? `http.${port}`
        : `https.${port}.${listener.name}.${name}/${isListenerSet(holder) ? "listenerset" : "listener"}.${namespace}`,
    redirects: false,
    tls: ends ? { mode: "SIMPLE" } : undefined,
    clients,
    credentials: usable.map((reference) => ({
      name: reference.name,
      namespace: reference.namespace ?? namespace,
    })),
    listener: held,
  };
}
