import type { Kind } from "../kind.js";
import { checkSpec } from "../schema/check.js";
import { trafficPolicyColumns } from "./columns.js";
import { trafficPolicySpec } from "./schema.js";
import type { TrafficPolicySpec } from "./type.js";

export const trafficPolicyKind: Kind<TrafficPolicySpec> = {
  group: "tulle.dev",
  versions: ["v1"],
  storageVersion: "v1",
  kind: "TrafficPolicy",
  plural: "trafficpolicies",
  singular: "trafficpolicy",
  shortNames: ["tp"],
  categories: ["tulle-dev"],
  scope: "Namespaced",
  columns: trafficPolicyColumns,
  specSchema: trafficPolicySpec,
  check: checkSpec({ schema: trafficPolicySpec }),
};
