import { objectKey, type MeshObject } from "@tulle/api";
import type { MeshReader } from "@tulle/translate";

/** What is stored as if these objects had been written too, each in the place of the one with its name. */
export function overlay(reader: MeshReader, objects: readonly MeshObject[]): MeshReader {
  if (objects.length === 0) return reader;
  const byKind = new Map<string, MeshObject[]>();
  for (const object of objects) {
    const key = kindKey(objectKey(object).group, object.kind);
    const added = byKind.get(key);
    if (added === undefined) byKind.set(key, [object]);
    else added.push(object);
  }
  const merged = new Map<string, readonly MeshObject[]>();
  return {
    ...reader,
    objects: (group, kind) => {
      const key = kindKey(group, kind);
      const added = byKind.get(key);
      if (added === undefined) return reader.objects(group, kind);
      let result = merged.get(key);
      if (result === undefined) {
        result = merge(reader.objects(group, kind), added);
        merged.set(key, result);
      }
      return result;
    },
  };
}

/** What is stored as if an object were not. */
export function without(reader: MeshReader, object: MeshObject): MeshReader {
  const { group } = objectKey(object);
  const { namespace, name } = object.metadata;
  const isOther = ({ metadata }: MeshObject): boolean =>
    metadata.namespace !== namespace || metadata.name !== name;
  return {
    ...reader,
    objects: (of, kind) => {
      const all = reader.objects(of, kind);
      return of === group && kind === object.kind ? all.filter(isOther) : all;
    },
  };
}

function merge(stored: readonly MeshObject[], added: readonly MeshObject[]): readonly MeshObject[] {
  const all = new Map<string, MeshObject>();
  for (const object of [...stored, ...added]) all.set(nameKey(object), object);
  return [...all.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
}

function kindKey(group: string, kind: string): string {
  return `${group}/${kind}`;
}

/** Orders by namespace, then by name: no name has a NUL. */
function nameKey({ metadata }: MeshObject): string {
  return `${metadata.namespace}\0${metadata.name}`;
}
