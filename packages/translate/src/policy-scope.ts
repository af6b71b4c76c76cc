import type { MeshObject, PolicyTargetReference } from "@tulle/api";
import type { ServiceId } from "./hosts.js";
import type { Translation } from "./translation.js";
import { selects } from "./visibility.js";

/** What is guarded: a port of a workload or gateway, or all that has no port of its own. */
export interface Guarded {
  /** Services that the port is of. */
  readonly services: readonly ServiceId[];
  /** Gateways that open it, of Gateway API's kind. */
  readonly gateways?: readonly ServiceId[];
  /** Of the workload; undefined = the connection tells. */
  readonly port: number | undefined;
}

/** What every policy says of whom it is for. */
interface PolicyScope {
  readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
  readonly targetRef?: PolicyTargetReference;
  readonly targetRefs?: readonly PolicyTargetReference[];
}

/**
 * Whether a policy holds for what is guarded: one of its namespace or of the mesh (root namespace) whose selector the client
 * matches, or one that is attached to it.
 */
export function holdsFor(
  t: Translation,
  { spec, metadata }: MeshObject<PolicyScope>,
  { services, gateways = [] }: Guarded,
): boolean {
  const { namespace } = metadata;
  const targets = [...(spec.targetRefs ?? []), ...(spec.targetRef === undefined ? [] : [spec.targetRef])];
  if (targets.length > 0) {
    const isAmong = (ids: readonly ServiceId[], name: string): boolean =>
      ids.some((one) => one.namespace === namespace && one.name === name);
    return targets.some(
      ({ kind, name }) =>
        (kind === "Service" && isAmong(services, name)) || (kind === "Gateway" && isAmong(gateways, name)),
    );
  }
  if (namespace !== t.view.namespace && namespace !== t.settings.rootNamespace) return false;
  return selects(spec.selector?.matchLabels, t.view.labels);
}
