import type { Kind } from "../kind.js";
import { checkSpec } from "../schema/check.js";
import { denyEverything } from "./closed.js";
import { authorizationPolicyColumns } from "./columns.js";
import { authorizationPolicySpec } from "./schema.js";
import type { AuthorizationPolicySpec } from "./type.js";
import { warnOfPolicy } from "./warnings.js";

export const authorizationPolicyKind: Kind<AuthorizationPolicySpec> = {
  group: "security.istio.io",
  versions: ["v1", "v1beta1"],
  storageVersion: "v1",
  kind: "AuthorizationPolicy",
  plural: "authorizationpolicies",
  singular: "authorizationpolicy",
  shortNames: ["ap"],
  categories: ["istio-io", "security-istio-io"],
  scope: "Namespaced",
  columns: authorizationPolicyColumns,
  // Istio's "allow nothing" is written `spec: {}`, or without spec.
  closed: denyEverything,
  check: checkSpec({ schema: authorizationPolicySpec, specOptional: true, warn: warnOfPolicy }),
};
