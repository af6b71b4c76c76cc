import { DISPLAY_NAME_LABEL, NAMESPACE_LABEL, type Destination, type KumaBackendRef } from "@tulle/api";
import { labelledSubset } from "../subset-defaults.js";
import type { Translation } from "../translation.js";
import { referredHosts, referredService } from "./service-names.js";

type BackendRef = Omit<KumaBackendRef, "weight">;

/** The destination that a policy of `namespace` refers to, whether it exists or not. */
export function destinationOf(t: Translation, reference: BackendRef, namespace: string): Destination {
  const [host] = referredHosts(t, reference, namespace);
  const port = reference.port ?? referredService(reference, namespace)?.port;
  const instances = instanceLabels(reference);
  return {
    host: host ?? reference.name ?? "",
    ...(port !== undefined && { port: { number: port } }),
    ...(Object.keys(instances).length > 0 && { subset: labelledSubset(instances) }),
  };
}

/** What a reference says of instances, beside their service. */
function instanceLabels({ labels = {}, tags = {} }: BackendRef): Readonly<Record<string, string>> {
  const { [DISPLAY_NAME_LABEL]: _name, [NAMESPACE_LABEL]: _namespace, ...instances } = labels;
  return { ...instances, ...tags };
}
