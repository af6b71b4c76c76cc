import { inboundItems, type KumaInboundPolicySpec, type MeshObject } from "@tulle/api";
import { byPrecedence } from "../gateway-api/precedence.js";
import type { KindRef, Translation } from "../translation.js";
import { merged } from "./merge.js";
import { isForClient, roleOf, specificity } from "./policies.js";

/** What holds for requests to a workload, and the policies that say it, the one that counts most first. */
export interface InboundConf<Conf> {
  readonly conf: Partial<Conf>;
  readonly objects: readonly MeshObject[];
}

/**
 * What the policies of a kind say of requests to this client's workload, as one: first what is said of fewer proxies, then
 * what its own namespace says before the mesh, then by name; of one policy the last rule. Nothing for gateways, which no
 * such policy is for.
 */
export function inboundConf<Conf extends object>(t: Translation, kind: KindRef): InboundConf<Conf> {
  if (t.view.gateway !== undefined || t.view.inbound.length === 0) return { conf: {}, objects: [] };
  const found = t
    .objects<KumaInboundPolicySpec<Conf>>(kind)
    .filter(({ spec, metadata }) => {
      const role = roleOf(t, metadata.namespace, t.view.namespace);
      return role > 0 && isForClient(t, spec.targetRef, metadata.namespace);
    })
    .map((object) => ({
      object,
      rank: [...specificity(object.spec.targetRef), roleOf(t, object.metadata.namespace, t.view.namespace)],
    }))
    .sort(
      (a, b) => byPrecedence(a.rank, b.rank) || (a.object.metadata.name < b.object.metadata.name ? -1 : 1),
    );
  for (const { object } of found) t.own(object);
  const confs = found.flatMap(({ object }) =>
    inboundItems(object.spec)
      .toReversed()
      .flatMap(({ item }) => item.default ?? []),
  );
  return { conf: merged(confs), objects: found.map(({ object }) => object) };
}
