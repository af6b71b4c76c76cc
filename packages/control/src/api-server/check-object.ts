import { apiVersionOf, checkMetadata, type Kind, type MeshObject, type Violation } from "@tulle/api";

import { invalidObject } from "../admission/index.js";
import { isObject, type JsonObject } from "./patch.js";

export interface CheckedObject {
  /** In its kind's storage version; the server's own metadata is empty yet. */
  readonly object: MeshObject;
  readonly warnings: readonly string[];
}

/**
 * Checks what a user sent for `kind` at `version` in `namespace`: type, metadata and content. Throws an
 * InvalidObjectError with every violation of all three.
 */
export function checkObject(
  target: { readonly kind: Kind; readonly version: string; readonly namespace: string },
  raw: JsonObject,
): CheckedObject {
  const { kind, version, namespace } = target;
  const violations: Violation[] = [];
  const apiVersion = apiVersionOf(kind.group, version);
  if (raw["apiVersion"] !== undefined && raw["apiVersion"] !== apiVersion) {
    violations.push({ path: "apiVersion", message: `must be ${apiVersion}, as in the request's path` });
  }
  if (raw["kind"] !== undefined && raw["kind"] !== kind.kind) {
    violations.push({ path: "kind", message: `must be ${kind.kind}, as in the request's path` });
  }
  const metadata = checkMetadata(kind, raw["metadata"], { namespace });
  if (!metadata.ok) violations.push(...metadata.violations);
  else if (metadata.metadata.namespace !== namespace) {
    violations.push({
      path: "metadata.namespace",
      message: `must be ${namespace}, as in the request's path`,
    });
  }
  // What only the server writes is not checked: clients send back what they have read.
  const { status: _status, ...written } = raw;
  const content = kind.check({ ...written, apiVersion, kind: kind.kind });
  if (!content.ok) violations.push(...content.violations);
  if (violations.length > 0 || !metadata.ok || !content.ok)
    throw invalidObject(kind.kind, nameOf(raw), violations);

  const { name, labels, annotations, finalizers, ownerReferences } = metadata.metadata;
  const object: MeshObject = {
    apiVersion: apiVersionOf(kind.group, kind.storageVersion),
    kind: kind.kind,
    metadata: {
      name,
      namespace,
      uid: "",
      resourceVersion: "",
      generation: 1,
      creationTimestamp: "",
      ...(labels === undefined ? {} : { labels }),
      ...(annotations === undefined ? {} : { annotations }),
      ...(finalizers === undefined ? {} : { finalizers }),
      ...(ownerReferences === undefined ? {} : { ownerReferences }),
    },
    spec: content.spec,
    ...(content.extra === undefined ? {} : { extra: content.extra }),
  };
  return { object, warnings: content.warnings };
}

function nameOf(raw: JsonObject): string {
  const metadata = raw["metadata"];
  return isObject(metadata) && typeof metadata["name"] === "string" ? metadata["name"] : "";
}
