import type { JsonObject } from "@bufbuild/protobuf";
import type { MeshObject } from "@tulle/api";

/** Namespace of Istio's metadata. */
export const ISTIO_METADATA = "istio";
/** Namespace of Tulle's own metadata. */
export const TULLE_METADATA = "tulle.dev";

/**
 * Path of an object as Istio writes it into metadata:
 * `/apis/networking.istio.io/v1/namespaces/default/virtual-service/reviews`.
 */
export function configPath(object: MeshObject): string {
  const kind = object.kind.replace(/[A-Z]+(?=[A-Z][a-z])|[a-z0-9](?=[A-Z])/g, "$&-").toLowerCase();
  return `/apis/${object.apiVersion}/namespaces/${object.metadata.namespace}/${kind}/${object.metadata.name}`;
}

/** Metadata that says which object, and which of its rules, something came from. */
export function provenance(
  object: MeshObject,
  rule?: string,
): { filterMetadata: Record<string, JsonObject> } {
  const filterMetadata: Record<string, JsonObject> = { [ISTIO_METADATA]: { config: configPath(object) } };
  if (rule !== undefined) filterMetadata[TULLE_METADATA] = { rule };
  return { filterMetadata };
}

/** `VirtualService default/reviews`, for messages. */
export function nameOf({ kind, metadata }: MeshObject): string {
  return `${kind} ${metadata.namespace}/${metadata.name}`;
}
