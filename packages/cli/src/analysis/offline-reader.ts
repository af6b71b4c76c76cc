import { objectKey, type MeshObject } from "@tulle/api";
import type { MeshReader } from "@tulle/translate";

/** A mesh of nothing but these objects, with the default settings of a control plane. */
export function offlineReader(objects: readonly MeshObject[]): MeshReader {
  const sorted = objects.toSorted((a, b) => (nameKey(a) < nameKey(b) ? -1 : 1));
  const byKind = new Map<string, MeshObject[]>();
  for (const object of sorted) {
    const key = kindKey(objectKey(object).group, object.kind);
    const known = byKind.get(key);
    if (known === undefined) byKind.set(key, [object]);
    else known.push(object);
  }
  return {
    settings: { trustDomain: "cluster.local", domainSuffix: "cluster.local", rootNamespace: "istio-system" },
    catalog: { service: () => undefined, services: () => [] },
    objects: (group, kind) => byKind.get(kindKey(group, kind)) ?? [],
  };
}

function kindKey(group: string, kind: string): string {
  return `${group}/${kind}`;
}

function nameKey({ metadata }: MeshObject): string {
  return `${metadata.namespace}\0${metadata.name}`;
}
