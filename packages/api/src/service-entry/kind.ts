import type { Kind } from "../kind.js";
import { checkSpec } from "../schema/check.js";
import { serviceEntryColumns } from "./columns.js";
import { serviceEntrySpec } from "./schema.js";
import type { ServiceEntrySpec } from "./type.js";

export const serviceEntryKind: Kind<ServiceEntrySpec> = {
  group: "networking.istio.io",
  versions: ["v1", "v1beta1", "v1alpha3"],
  storageVersion: "v1",
  kind: "ServiceEntry",
  plural: "serviceentries",
  singular: "serviceentry",
  shortNames: ["se"],
  categories: ["istio-io", "networking-istio-io"],
  scope: "Namespaced",
  columns: serviceEntryColumns,
  check: checkSpec({ schema: serviceEntrySpec, warn }),
};

function warn(spec: ServiceEntrySpec): readonly string[] {
  return (spec.ports ?? []).length === 0 ? ["spec.ports is empty: nothing can call this service"] : [];
}
