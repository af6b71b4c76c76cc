import { findKindByPlural, type Kind } from "@tulle/api";

/** What a path below `/api` or `/apis` names. */
export interface ResourcePath {
  readonly kind: Kind;
  readonly version: string;
  /** Undefined: all namespaces, or a cluster-scoped kind. */
  readonly namespace: string | undefined;
  /** Undefined: the collection. */
  readonly name: string | undefined;
  /** `status`, or undefined for the object itself. */
  readonly subresource: string | undefined;
}

/**
 * Reads `/api/v1/…` and `/apis/<group>/<version>/…` as Kubernetes lays them out; undefined when they name no kind of
 * `kinds` at a version that it has.
 */
export function parseResourcePath(path: string, kinds: readonly Kind[]): ResourcePath | undefined {
  const parts = path.split("/").slice(1).map(decode);
  const [root] = parts;
  const group = root === "api" ? "" : root === "apis" ? parts[1] : undefined;
  if (group === undefined) return undefined;
  const version = parts[root === "api" ? 1 : 2];
  const rest = parts.slice(root === "api" ? 2 : 3);
  if (version === undefined || rest.length === 0 || rest.some((part) => part === "")) return undefined;

  const inNamespace =
    rest[0] === "namespaces" && rest.length >= 3 && find(kinds, group, version, rest[2]) !== undefined;
  const namespace = inNamespace ? rest[1] : undefined;
  const [plural, name, subresource, ...beyond] = inNamespace ? rest.slice(2) : rest;
  const kind = find(kinds, group, version, plural);
  if (kind === undefined || beyond.length > 0) return undefined;
  if (kind.scope === "Cluster" && inNamespace) return undefined;
  if (kind.scope === "Namespaced" && !inNamespace && name !== undefined) return undefined;
  return { kind, version, namespace, name, subresource };
}

function find(kinds: readonly Kind[], group: string, version: string, plural = ""): Kind | undefined {
  return findKindByPlural(group, version, plural, kinds);
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return "";
  }
}
