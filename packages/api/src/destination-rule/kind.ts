import type { Kind } from "../kind.js";
import { checkSpec } from "../schema/check.js";
import { destinationRuleColumns } from "./columns.js";
import { rewriteDestinationRule } from "./rewrite.js";
import { destinationRuleSpec } from "./schema.js";
import type { DestinationRuleSpec } from "./type.js";

export const destinationRuleKind: Kind<DestinationRuleSpec> = {
  group: "networking.istio.io",
  versions: ["v1", "v1beta1", "v1alpha3"],
  storageVersion: "v1",
  kind: "DestinationRule",
  plural: "destinationrules",
  singular: "destinationrule",
  shortNames: ["dr"],
  categories: ["istio-io", "networking-istio-io"],
  scope: "Namespaced",
  columns: destinationRuleColumns,
  check: checkSpec({ schema: destinationRuleSpec, rewrite: rewriteDestinationRule }),
};
