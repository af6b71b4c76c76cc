import { ageColumn } from "../age.js";
import { textColumn } from "../column.js";
import type { Kind, MeshObject } from "../kind.js";
import { checkSpec } from "../schema/check.js";
import { validatingAdmissionPolicySpec } from "./schema.js";
import { ADMISSION_GROUP, type ValidatingAdmissionPolicySpec } from "./type.js";

export const validatingAdmissionPolicyKind: Kind<ValidatingAdmissionPolicySpec> = {
  group: ADMISSION_GROUP,
  versions: ["v1"],
  storageVersion: "v1",
  kind: "ValidatingAdmissionPolicy",
  plural: "validatingadmissionpolicies",
  singular: "validatingadmissionpolicy",
  shortNames: ["vap"],
  categories: ["api-extensions"],
  scope: "Cluster",
  columns: [
    {
      name: "Validations",
      type: "integer",
      description: "How many expressions must be true.",
      priority: 0,
      cell: ({ spec }) => (spec as ValidatingAdmissionPolicySpec).validations.length,
    },
    textColumn<ValidatingAdmissionPolicySpec>(
      "ParamKind",
      "Of what bindings give as params.",
      ({ spec: { paramKind } }: MeshObject<ValidatingAdmissionPolicySpec>) =>
        paramKind === undefined ? "<unset>" : `${paramKind.apiVersion}/${paramKind.kind}`,
    ),
    ageColumn,
  ],
  check: checkSpec({ schema: validatingAdmissionPolicySpec }),
};
