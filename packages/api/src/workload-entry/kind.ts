import type { Kind } from "../kind.js";
import { checkSpec } from "../schema/check.js";
import { workloadEntryColumns } from "./columns.js";
import { workloadEntrySpec } from "./schema.js";
import type { WorkloadEntrySpec } from "./type.js";

export const workloadEntryKind: Kind<WorkloadEntrySpec> = {
  group: "networking.istio.io",
  versions: ["v1", "v1beta1", "v1alpha3"],
  storageVersion: "v1",
  kind: "WorkloadEntry",
  plural: "workloadentries",
  singular: "workloadentry",
  shortNames: ["we"],
  categories: ["istio-io", "networking-istio-io"],
  scope: "Namespaced",
  columns: workloadEntryColumns,
  check: checkSpec({ schema: workloadEntrySpec }),
};
