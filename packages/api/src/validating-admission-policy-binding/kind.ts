import { z } from "zod";
import { ageColumn } from "../age.js";
import { textColumn } from "../column.js";
import { objectName } from "../gateway-api/names.js";
import type { Kind } from "../kind.js";
import { checkSpec } from "../schema/check.js";
import { labelSelector } from "../schema/label-selector.js";
import { namespaceName } from "../schema/namespaces.js";
import { exactlyOne, listOf, struct, type Rule } from "../schema/struct.js";
import { matchResources } from "../validating-admission-policy/schema.js";
import { ADMISSION_GROUP } from "../validating-admission-policy/type.js";
import type { ValidatingAdmissionPolicyBindingSpec } from "./type.js";

/** As in Kubernetes: who is refused needs no warning, and nothing is done twice. */
const actionsGoTogether: Rule = (fields, report) => {
  const actions = listOf(fields["validationActions"]);
  if (actions.includes("Deny") && actions.includes("Warn"))
    report(["validationActions"], "cannot have Deny and Warn together: whoever is refused is told why");
  if (new Set(actions).size < actions.length) report(["validationActions"], "names an action twice");
};

const schema: z.ZodType<ValidatingAdmissionPolicyBindingSpec> = struct(
  {
    policyName: objectName,
    paramRef: struct(
      {
        name: objectName.exactOptional(),
        selector: labelSelector.exactOptional(),
        namespace: namespaceName.exactOptional(),
        parameterNotFoundAction: z.enum(["Allow", "Deny"]),
      },
      exactlyOne("name", "selector"),
    ).exactOptional(),
    matchResources: matchResources.exactOptional(),
    validationActions: z
      .array(z.enum(["Deny", "Warn", "Audit"]))
      .min(1, "must have at least one of Deny, Warn, Audit"),
  },
  actionsGoTogether,
);

export const validatingAdmissionPolicyBindingKind: Kind<ValidatingAdmissionPolicyBindingSpec> = {
  group: ADMISSION_GROUP,
  versions: ["v1"],
  storageVersion: "v1",
  kind: "ValidatingAdmissionPolicyBinding",
  plural: "validatingadmissionpolicybindings",
  singular: "validatingadmissionpolicybinding",
  shortNames: ["vapb"],
  categories: ["api-extensions"],
  scope: "Cluster",
  columns: [
    textColumn<ValidatingAdmissionPolicyBindingSpec>(
      "PolicyName",
      "The policy that it makes hold.",
      ({ spec }) => spec.policyName,
    ),
    textColumn<ValidatingAdmissionPolicyBindingSpec>(
      "ParamRef",
      "What the policy sees as params.",
      ({ spec: { paramRef } }) =>
        paramRef === undefined ? "<unset>" : `${paramRef.namespace ?? "*"}/${paramRef.name ?? "*"}`,
    ),
    ageColumn,
  ],
  check: checkSpec({ schema }),
};
