import { create, type JsonObject } from "@bufbuild/protobuf";
import type { RuntimeSpec } from "@tulle/api";
import { RuntimeSchema, type Runtime } from "@tulle/xds/gen/envoy/service/runtime/v3/rtds_pb.js";
import { RUNTIME } from "./kinds.js";
import type { Translation } from "./translation.js";
import { byAge } from "./visibility.js";

/** Name of the one layer of runtime values that a client has. */
export const RUNTIME_LAYER = "runtime";

/**
 * The values of the client's namespace, and of the root namespace those of keys that it does not have itself. Of two objects of a namespace
 * the older has the key.
 */
export function runtimeLayer(t: Translation): Runtime {
  // User-chosen keys: a null prototype keeps "__proto__" an ordinary one.
  const layer = Object.create(null) as JsonObject;
  const objects = [...t.objects<RuntimeSpec>(RUNTIME)].sort(byAge);
  for (const namespace of new Set([t.view.namespace, t.settings.rootNamespace])) {
    for (const object of objects) {
      if (object.metadata.namespace !== namespace) continue;
      t.own(object);
      for (const [key, value] of Object.entries(object.spec.values)) {
        if (Object.hasOwn(layer, key)) continue;
        layer[key] =
          typeof value === "number"
            ? value
            : { numerator: value.numerator, denominator: value.denominator ?? "HUNDRED" };
      }
    }
  }
  return create(RuntimeSchema, { name: RUNTIME_LAYER, layer });
}
