import { z } from "zod";
import { objectName } from "../gateway-api/names.js";
import { labelSelector } from "../schema/label-selector.js";
import { isQualifiedName } from "../schema/labels.js";
import { stringThat, text } from "../schema/strings.js";
import { struct, structsOf, unique, type Rule } from "../schema/struct.js";
import type { MatchResources, ValidatingAdmissionPolicySpec } from "./type.js";

/** Longest CEL expression: what is parsed stays in milliseconds. */
export const MAX_EXPRESSION = 10_240;

export const expression = stringThat(
  (value) => value.trim() !== "" && value.length <= MAX_EXPRESSION,
  `a CEL expression of at most ${MAX_EXPRESSION} characters`,
);

const strings = z.array(text).min(1, "must have at least one entry").max(64, "must have at most 64 entries");

const resourceRule = struct({
  apiGroups: strings,
  apiVersions: strings,
  operations: z
    .array(z.enum(["CREATE", "UPDATE", "DELETE", "CONNECT", "*"]))
    .min(1, "must have at least one entry")
    .max(5, "must have at most 5 entries"),
  resources: strings,
  resourceNames: z.array(objectName).max(64, "must have at most 64 entries").exactOptional(),
  scope: z.enum(["Cluster", "Namespaced", "*"]).exactOptional(),
});

const rules = z.array(resourceRule).max(64, "must have at most 64 rules");

const matchFields = {
  resourceRules: rules.exactOptional(),
  excludeResourceRules: rules.exactOptional(),
  namespaceSelector: labelSelector.exactOptional(),
  objectSelector: labelSelector.exactOptional(),
  matchPolicy: z.enum(["Exact", "Equivalent"]).exactOptional(),
};

/** `matchResources` of a binding. */
export const matchResources: z.ZodType<MatchResources> = struct(matchFields);

const matchConstraints = struct({
  ...matchFields,
  resourceRules: rules.min(1, "must have at least one rule"),
});

const variableName = stringThat(
  (value) => /^[A-Za-z_][A-Za-z0-9_]{0,62}$/.test(value),
  'a name such as "tooMany": letters, digits and _',
);
const conditionName = stringThat(isQualifiedName, 'a name such as "exclude-leases" or "example.com/by-team"');

const validation = struct(
  {
    expression,
    message: stringThat(
      (value) => value.trim() !== "" && value.length <= 4096 && !/[\r\n]/.test(value),
      "1 to 4096 characters on one line",
    ).exactOptional(),
    messageExpression: expression.exactOptional(),
    reason: z.enum(["Unauthorized", "Forbidden", "Invalid", "RequestEntityTooLarge"]).exactOptional(),
  },
  (fields, report) => {
    const { expression: written, message } = fields;
    if (typeof written === "string" && /[\r\n]/.test(written.trim()) && message === undefined)
      report(["message"], "is required where the expression has several lines");
  },
);

/** A rule that nothing here can meet. */
const subresources: Rule = (fields, report) => {
  const constraints = fields["matchConstraints"];
  if (typeof constraints !== "object" || constraints === null) return;
  const { resourceRules } = constraints as { readonly resourceRules?: unknown };
  for (const [index, { resources }] of structsOf(resourceRules)) {
    if (!Array.isArray(resources) || resources.length === 0) continue;
    if (resources.every((one) => typeof one === "string" && one.includes("/") && one !== "*/*"))
      report(
        ["matchConstraints", "resourceRules", index, "resources"],
        "has subresources only, which nobody can write here: name the resource itself",
      );
  }
};

/** Every field of a ValidatingAdmissionPolicy. */
export const validatingAdmissionPolicySpec: z.ZodType<ValidatingAdmissionPolicySpec> = struct(
  {
    paramKind: struct({ apiVersion: text, kind: text }).exactOptional(),
    matchConstraints,
    matchConditions: z
      .array(struct({ name: conditionName, expression }))
      .max(64, "must have at most 64 conditions")
      .exactOptional(),
    variables: z
      .array(struct({ name: variableName, expression }))
      .max(64, "must have at most 64 variables")
      .exactOptional(),
    validations: z
      .array(validation)
      .min(1, "must have at least one validation (there are no auditAnnotations here)")
      .max(64, "must have at most 64 validations"),
    failurePolicy: z.enum(["Fail", "Ignore"]).exactOptional(),
  },
  unique("matchConditions", "name"),
  unique("variables", "name"),
  subresources,
);
