import type { Kind } from "../kind.js";
import { KINDS } from "../kinds.js";
import { checkSpec } from "../schema/check.js";
import { meshServicesSpec, meshTestSpec } from "./schema.js";
import type { MeshServicesSpec, MeshTestSpec } from "./type.js";

const SHARED = {
  group: "tulle.dev",
  versions: ["v1"],
  storageVersion: "v1",
  shortNames: [],
  categories: [],
  scope: "Namespaced",
  columns: [],
} as const;

/** Services of a mesh that is in files only. */
export const meshServicesKind: Kind<MeshServicesSpec> = {
  ...SHARED,
  kind: "MeshServices",
  plural: "meshservices",
  singular: "meshservices",
  check: checkSpec({ schema: meshServicesSpec }),
};

/** Unit tests of configuration. */
export const meshTestKind: Kind<MeshTestSpec> = {
  ...SHARED,
  kind: "MeshTest",
  plural: "meshtests",
  singular: "meshtest",
  check: checkSpec({ schema: meshTestSpec }),
};

/** Everything that may be written in files that are explained and tested: what no control plane stores, too. */
export const OFFLINE_KINDS: readonly Kind[] = [...KINDS, meshServicesKind, meshTestKind];
