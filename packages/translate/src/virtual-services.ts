import type { MeshObject, VirtualServiceSpec } from "@tulle/api";
import { hostMatch } from "./hosts.js";
import { VIRTUAL_SERVICE } from "./kinds.js";
import { mayUseRules } from "./sidecar-scope.js";
import type { Translation } from "./translation.js";
import { byAge, isExported } from "./visibility.js";

/** Gateway name that means all sidecars. */
const MESH_GATEWAY = "mesh";

/**
 * The VirtualService that rules calls to `host` (in full) from sidecars: the best host match among those that are
 * exported to the client, then the oldest. Others with an equal match are ignored with a warning, since rules of several
 * objects have no order among each other.
 */
export function virtualServiceFor(t: Translation, host: string): MeshObject<VirtualServiceSpec> | undefined {
  let bestScore = 1;
  let best: MeshObject<VirtualServiceSpec>[] = [];
  for (const object of t.objects<VirtualServiceSpec>(VIRTUAL_SERVICE)) {
    const { namespace } = object.metadata;
    if (!isForMesh(object.spec.gateways) || !isExported(object.spec.exportTo, namespace, t.view.namespace))
      continue;
    if (!mayUseRules(t, { namespace, hosts: object.spec.hosts ?? [] })) continue;
    const score = Math.max(
      0,
      ...(object.spec.hosts ?? []).map((pattern) =>
        hostMatch(pattern, namespace, host, t.settings.domainSuffix),
      ),
    );
    if (score === 0 || score < bestScore) continue;
    if (score > bestScore) best = [];
    bestScore = score;
    best.push(object);
  }
  const [winner, ...ignored] = best.sort(byAge);
  if (winner === undefined) return undefined;
  t.own(winner);
  for (const { metadata } of ignored) {
    t.warnOf(
      "IST0109",
      `VirtualService ${metadata.namespace}/${metadata.name} is ignored for ${host}: ` +
        `${winner.metadata.namespace}/${winner.metadata.name} is older and has the same host`,
    );
  }
  return winner;
}

/** Whether a list of gateways (absent or empty: sidecars only) names the sidecars. */
export function isForMesh(gateways: readonly string[] | undefined): boolean {
  return gateways === undefined || gateways.length === 0 || gateways.includes(MESH_GATEWAY);
}
