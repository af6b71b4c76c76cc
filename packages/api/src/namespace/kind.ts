import type { Kind } from "../kind.js";
import { checkSpec } from "../schema/check.js";
import { namespaceColumns } from "./columns.js";
import { namespaceSpec } from "./schema.js";
import type { NamespaceSpec } from "./type.js";

export const namespaceKind: Kind<NamespaceSpec> = {
  group: "",
  versions: ["v1"],
  storageVersion: "v1",
  kind: "Namespace",
  plural: "namespaces",
  singular: "namespace",
  shortNames: ["ns"],
  categories: [],
  scope: "Cluster",
  columns: namespaceColumns,
  check: checkSpec({ schema: namespaceSpec, specOptional: true }),
  defaultStatus: { phase: "Active" },
};
