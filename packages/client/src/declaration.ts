import type { Kind, WireObject } from "@tulle/api";
import { canonicalJson, isObject, type JsonObject } from "./three-way-merge.js";

/** Where kubectl and this client keep what a user declared last, so that removed fields are found at the next apply. */
export const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";

/** Metadata that the server writes: whoever declares an object does not declare these. */
const SERVER_FIELDS: ReadonlySet<string> = new Set([
  "uid",
  "resourceVersion",
  "generation",
  "creationTimestamp",
  "managedFields",
  "selfLink",
]);

export interface Declaration {
  /** What to send: as declared, with deprecated fields rewritten, and the annotation that remembers it. */
  readonly object: JsonObject & { readonly metadata: JsonObject };
  readonly warnings: readonly string[];
}

/**
 * What a user's file declares. Deprecated fields are rewritten here, as the server would, so that a later apply without
 * them removes their successors. What this client's kinds do not accept is sent as it is: the server may know better,
 * and says all that is wrong.
 */
export function declare(kind: Kind, written: JsonObject, apiVersion: string, namespace: string): Declaration {
  const checked = kind.check(written);
  const { status: _status, metadata: rawMetadata, ...content } = written;
  const metadata = declaredMetadata(rawMetadata, namespace);
  const body: JsonObject = checked.ok
    ? { ...(kind.specless === true ? {} : { spec: checked.spec }), ...checked.extra }
    : content;
  const plain = { ...body, apiVersion, kind: kind.kind, metadata };
  const annotations = isObject(metadata["annotations"]) ? metadata["annotations"] : {};
  const remembered = `${canonicalJson(plain)}\n`;
  return {
    object: {
      ...plain,
      metadata: { ...metadata, annotations: { ...annotations, [LAST_APPLIED]: remembered } },
    },
    warnings: checked.ok ? checked.warnings : [],
  };
}

function declaredMetadata(raw: unknown, namespace: string): JsonObject {
  const metadata = isObject(raw) ? raw : {};
  const kept = Object.entries(metadata).filter(([key, value]) => !SERVER_FIELDS.has(key) && value !== null);
  const fields: Record<string, unknown> = Object.fromEntries(kept);
  if (namespace !== "") fields["namespace"] = namespace;
  if (isObject(fields["annotations"])) {
    fields["annotations"] = Object.fromEntries(
      Object.entries(fields["annotations"]).filter(([key]) => key !== LAST_APPLIED),
    );
  }
  return fields;
}

/** What was declared last, by the object's annotation; `{}` when it has none that can be read. */
export function lastDeclared(current: WireObject): JsonObject {
  const text = current.metadata.annotations?.[LAST_APPLIED];
  if (text === undefined) return {};
  try {
    const parsed: unknown = JSON.parse(text);
    return isObject(parsed) ? parsed : {};
  } catch {
    return {};
  }
}
