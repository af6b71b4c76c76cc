import { isFields, type Fields } from "../schema/struct.js";
import { apiVersionOf } from "../api-version.js";
import { KUMA_GROUP, MESH_LABEL, NAMESPACE_LABEL } from "./names.js";

const META = ["type", "mesh", "name", "labels", "creationTime", "modificationTime"];

/**
 * An object in the form that Kuma has outside of Kubernetes (`type`, `mesh`, `name`, `labels` beside `spec`) as the object
 * that it stands for. Undefined when it is none such. What cannot be read is left for the kind's check.
 */
export function fromUniversal(object: Fields): Fields | undefined {
  const { type, mesh, name, labels } = object;
  if (typeof type !== "string" || object["apiVersion"] !== undefined || object["kind"] !== undefined)
    return undefined;
  const written = isFields(labels) ? labels : {};
  const namespace = written[NAMESPACE_LABEL];
  const all = mesh === undefined ? labels : { ...written, [MESH_LABEL]: mesh };
  const rest = Object.entries(object).filter(([field]) => !META.includes(field));
  return {
    apiVersion: apiVersionOf(KUMA_GROUP, "v1alpha1"),
    kind: type,
    metadata: {
      name,
      ...(namespace !== undefined && { namespace }),
      ...(all !== undefined && { labels: all }),
    },
    ...Object.fromEntries(rest),
  };
}
