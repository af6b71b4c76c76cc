import {
  isGatewayParent,
  isListenerSetParent,
  selectsLabels,
  type AllowedNamespaces,
  type GatewayListener,
  type ListenerSetSpec,
  type MeshObject,
  type NamespaceSpec,
  type ParentReference,
} from "@tulle/api";
import { LISTENER_SET, NAMESPACE } from "../kinds.js";
import type { Translation } from "../translation.js";
import { byAge } from "../visibility.js";
import type { K8sGateway } from "./gateways.js";

export type ListenerSet = MeshObject<ListenerSetSpec>;

/** What a listener is written in. Routes name it, and references start from its namespace. */
export type ListenerHolder = K8sGateway | ListenerSet;

/** A listener of a Gateway, its own or one that a ListenerSet adds. */
export interface HeldListener {
  readonly gateway: K8sGateway;
  readonly holder: ListenerHolder;
  /** `spec.listeners[0]` of the holder. */
  readonly field: string;
  readonly listener: GatewayListener;
  /** An earlier listener has its port, protocol and hostname: it is not served. */
  readonly isRepeated: boolean;
}

/** The listeners of a Gateway: its own, then those of the ListenerSets that it allows, the oldest first. */
export function heldListeners(t: Translation, gateway: K8sGateway): readonly HeldListener[] {
  const seen = new Set<string>();
  return [gateway, ...allowedSets(t, gateway)].flatMap((holder) =>
    holder.spec.listeners.map((listener, index) => {
      const { port, protocol, hostname = "" } = listener;
      const key = JSON.stringify([port, protocol, hostname.toLowerCase()]);
      const isRepeated = seen.has(key);
      seen.add(key);
      return { gateway, holder, field: `spec.listeners[${index}]`, listener, isRepeated };
    }),
  );
}

/** The ListenerSets whose listeners a Gateway has, the oldest first. */
export function allowedSets(t: Translation, gateway: K8sGateway): readonly ListenerSet[] {
  return t
    .objects<ListenerSetSpec>(LISTENER_SET)
    .filter((set) => isSetOf(set, gateway) && allowsSet(t, gateway, set))
    .sort(byAge);
}

/** Whether a ListenerSet names this Gateway. */
export function isSetOf({ spec: { parentRef }, metadata }: ListenerSet, gateway: K8sGateway): boolean {
  return names(parentRef, metadata.namespace, gateway);
}

/** Whether a Gateway takes listeners from a ListenerSet: by default from none. */
export function allowsSet(t: Translation, { spec, metadata }: K8sGateway, set: ListenerSet): boolean {
  const { from = "None", selector } = spec.allowedListeners?.namespaces ?? {};
  return isAllowed(
    t,
    { from, ...(selector !== undefined && { selector }) },
    metadata.namespace,
    set.metadata.namespace,
  );
}

/** Whether a parent of a route in `namespace` is this holder of listeners. */
export function isParent(parent: ParentReference, namespace: string, holder: ListenerHolder): boolean {
  const isKind = isListenerSet(holder) ? isListenerSetParent : isGatewayParent;
  return isKind(parent) && names(parent, namespace, holder);
}

export function isListenerSet(holder: ListenerHolder): holder is ListenerSet {
  return holder.kind === LISTENER_SET.kind;
}

/** Whether something of `namespace` may come, where `own` is the namespace of whoever allows it. */
export function isAllowed(
  t: Translation,
  { from = "Same", selector }: AllowedNamespaces,
  own: string,
  namespace: string,
): boolean {
  switch (from) {
    case "All":
      return true;
    case "Same":
      return namespace === own;
    case "None":
      return false;
    case "Selector": {
      const found = t.objects<NamespaceSpec>(NAMESPACE).find((object) => object.metadata.name === namespace);
      return (
        selector !== undefined && found !== undefined && selectsLabels(selector, found.metadata.labels ?? {})
      );
    }
  }
}

function names(
  reference: { readonly name: string; readonly namespace?: string },
  namespace: string,
  { metadata }: ListenerHolder,
): boolean {
  return reference.name === metadata.name && (reference.namespace ?? namespace) === metadata.namespace;
}
