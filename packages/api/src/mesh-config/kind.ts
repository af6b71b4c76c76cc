import type { Kind } from "../kind.js";
import { checkSpec } from "../schema/check.js";
import { isFields } from "../schema/struct.js";
import { meshConfigColumns } from "./columns.js";
import { meshConfigSpec } from "./schema.js";
import type { MeshConfigSpec } from "./type.js";
import { meshConfigWarnings } from "./warnings.js";

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
  specSchema: meshConfigSpec,
  check: (raw) => {
    const checked = checkSpec({ schema: meshConfigSpec, warn: meshConfigWarnings })(raw);
    const namespace = isFields(raw["metadata"]) ? raw["metadata"]["namespace"] : undefined;
    if (!checked.ok || namespace === ROOT_NAMESPACE) return checked;
    return { ...checked, warnings: [...checked.warnings, ELSEWHERE] };
  },
};

const ROOT_NAMESPACE = "istio-system";
const ELSEWHERE = `a MeshConfig counts only in the namespace ${ROOT_NAMESPACE}: this one does nothing`;
