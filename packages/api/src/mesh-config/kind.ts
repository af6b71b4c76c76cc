import type { Kind } from "../kind.js";
import { checkSpec } from "../schema/check.js";
import { meshConfigColumns } from "./columns.js";
import { meshConfigSpec } from "./schema.js";
import type { MeshConfigSpec } from "./type.js";

export const meshConfigKind: Kind<MeshConfigSpec> = {
  group: "tulle.dev",
  versions: ["v1"],
  storageVersion: "v1",
  kind: "MeshConfig",
  plural: "meshconfigs",
  singular: "meshconfig",
  shortNames: ["mc"],
  categories: ["tulle"],
  scope: "Namespaced",
  columns: meshConfigColumns,
  check: checkSpec({ schema: meshConfigSpec }),
};
