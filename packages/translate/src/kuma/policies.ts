import {
  NAMESPACE_LABEL,
  type KumaDestination,
  type KumaPolicySpec,
  type KumaTarget,
  type MeshObject,
} from "@tulle/api";
import { byPrecedence } from "../gateway-api/precedence.js";
import { clientLocality } from "../locality/locality-plan.js";
import type { MeshPort, MeshService } from "../mesh-service.js";
import type { KindRef, Translation } from "../translation.js";
import { selects } from "../visibility.js";
import { referredHosts, serviceOfName } from "./service-names.js";

/** Namespace of policies for the whole mesh, beside the mesh's own root namespace. */
const SYSTEM_NAMESPACE = "kuma-system";

/** What is called: a service, or one of its ports. */
export interface Called {
  readonly service: Pick<MeshService, "host" | "namespace">;
  readonly port?: Pick<MeshPort, "number" | "name">;
}

interface ToItem {
  readonly targetRef: KumaDestination;
}

/** An item of a policy's `to` that holds. */
export interface HoldingItem<Item> {
  readonly object: MeshObject;
  readonly item: Item;
  /** `to[0]` */
  readonly field: string;
}

/**
 * The items of all policies of a kind that hold for this client's calls, the one that counts most first: what its proxies
 * are selected by counts first, then what the calls are selected by, then whose the policy is (the client's namespace's,
 * the service's, the mesh's), then the names in their order. Of one policy the last item counts.
 */
export function holdingItems<Item extends ToItem>(
  t: Translation,
  kind: KindRef,
  called: Called,
): readonly HoldingItem<Item>[] {
  const found: (HoldingItem<Item> & { readonly rank: readonly number[]; readonly name: string })[] = [];
  for (const object of t.objects<KumaPolicySpec & { readonly to?: readonly Item[] }>(kind)) {
    const { spec, metadata } = object;
    const role = roleOf(t, metadata.namespace, called.service.namespace);
    if (role === 0 || !isForClient(t, spec.targetRef, metadata.namespace)) continue;
    (spec.to ?? []).forEach((item, index) => {
      const closeness = closenessOf(t, item.targetRef, metadata.namespace, called);
      if (closeness === 0) return;
      const rank = [...specificity(spec.targetRef), closeness, role];
      found.push({ object, item, field: `to[${index}]`, rank, name: metadata.name });
    });
  }
  // A stable sort: items of one policy that are equal otherwise are turned round.
  return found
    .reverse()
    .sort((a, b) => byPrecedence(a.rank, b.rank) || (a.name < b.name ? -1 : Number(a.name > b.name)));
}

/** Whose a policy is: 3 = of the client's namespace, 2 = of the service's, 1 = of the mesh; 0 = it does not hold. */
export function roleOf(t: Translation, namespace: string, ofService: string): number {
  if (namespace === t.view.namespace) return 3;
  if (namespace === ofService) return 2;
  return namespace === t.settings.rootNamespace || namespace === SYSTEM_NAMESPACE ? 1 : 0;
}

const KINDS: readonly KumaTarget["kind"][] = [
  "Mesh",
  "MeshSubset",
  "MeshService",
  "MeshServiceSubset",
  "Dataplane",
];

/** How narrowly a policy selects proxies. */
export function specificity({
  kind = "Mesh",
  proxyTypes,
  tags,
  labels,
}: Partial<KumaTarget> = {}): readonly number[] {
  const conditions = Object.keys(tags ?? labels ?? {}).length;
  return [KINDS.indexOf(kind), proxyTypes?.length === 1 ? 1 : 0, conditions];
}

/** Whether the client is among the proxies that a policy of `namespace` is for. */
export function isForClient(t: Translation, target: KumaTarget | undefined, namespace: string): boolean {
  if (target === undefined) return true;
  const { kind, labels, tags = {}, proxyTypes, name } = target;
  const type = t.view.gateway === undefined ? "Sidecar" : "Gateway";
  if (proxyTypes !== undefined && !proxyTypes.includes(type)) return false;
  if (kind === "Dataplane") return selects(labels, { ...t.view.labels, [NAMESPACE_LABEL]: t.view.namespace });
  if (name !== undefined && !isBeside(t, name, target.namespace ?? namespace)) return false;
  return Object.entries(tags).every(([key, value]) => hasTag(t, key, value, namespace));
}

/** Whether the client is the proxy of a service's instance. */
function isBeside({ view }: Translation, written: string, namespace: string): boolean {
  const { name, namespace: of, port } = serviceOfName(written, namespace);
  return view.inbound.some(
    (own) => own.service === name && own.namespace === of && (port === undefined || own.servicePort === port),
  );
}

function hasTag(t: Translation, key: string, value: string, namespace: string): boolean {
  switch (key) {
    case "kuma.io/service":
      return isBeside(t, value, namespace);
    case "kuma.io/zone":
      return clientLocality(t)?.zone === value;
    case NAMESPACE_LABEL:
      return t.view.namespace === value;
    default:
      return selects({ [key]: value }, t.view.labels);
  }
}

/** How narrowly a policy of `namespace` selects what is called: 0 = not at all. */
function closenessOf(
  t: Translation,
  reference: KumaDestination,
  namespace: string,
  { service, port }: Called,
): number {
  const { kind, labels, sectionName } = reference;
  if (kind === "Mesh") return 1;
  // Labels without a namespace are looked for in all of them.
  const where = labels !== undefined && labels[NAMESPACE_LABEL] === undefined ? service.namespace : namespace;
  if (!referredHosts(t, reference, where).includes(service.host)) return 0;
  const named = reference.name === undefined ? undefined : serviceOfName(reference.name, where).port;
  if (named !== undefined && named !== port?.number) return 0;
  if (sectionName === undefined) return named === undefined ? 2 : 3;
  return port !== undefined && (port.name === sectionName || String(port.number) === sectionName) ? 3 : 0;
}
