import type { Kind } from "../kind.js";
import { checkConfigMap } from "./check.js";
import { configMapColumns } from "./columns.js";
import type { ConfigMapSpec } from "./type.js";

/** Text for other objects: roots of clients' certificates for Gateways. */
export const configMapKind: Kind<ConfigMapSpec> = {
  group: "",
  versions: ["v1"],
  storageVersion: "v1",
  kind: "ConfigMap",
  plural: "configmaps",
  singular: "configmap",
  shortNames: ["cm"],
  categories: [],
  scope: "Namespaced",
  columns: configMapColumns,
  check: checkConfigMap,
  specless: true,
};
