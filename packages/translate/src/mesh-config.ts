import type { MeshConfigSpec } from "@tulle/api";
import { MESH_CONFIG } from "./kinds.js";
import type { Translation } from "./translation.js";
import { byAge } from "./visibility.js";

/** What `read` finds in the oldest MeshConfig of the root namespace in which it finds something. */
export function fromMeshConfig<Found>(
  t: Translation,
  read: (spec: MeshConfigSpec) => Found | undefined,
): Found | undefined {
  const { rootNamespace } = t.settings;
  for (const object of [...t.objects<MeshConfigSpec>(MESH_CONFIG)].sort(byAge)) {
    if (object.metadata.namespace !== rootNamespace) continue;
    const found = read(object.spec);
    if (found === undefined) continue;
    t.own(object);
    return found;
  }
  return undefined;
}
