import { expect, test } from "vitest";
import type { Checked } from "../kind.js";
import { validatingAdmissionPolicyBindingKind } from "../validating-admission-policy-binding/kind.js";
import { validatingAdmissionPolicyKind } from "./kind.js";

const rule = { apiGroups: ["*"], apiVersions: ["v1"], operations: ["CREATE"], resources: ["*"] };
const policy = { matchConstraints: { resourceRules: [rule] }, validations: [{ expression: "true" }] };
const binding = { policyName: "p", validationActions: ["Deny"] };

test("check accepts policies of every form", () => {
  const spec = {
    failurePolicy: "Ignore",
    paramKind: { apiVersion: "v1", kind: "ConfigMap" },
    matchConstraints: {
      resourceRules: [{ ...rule, resourceNames: ["a"], scope: "Namespaced" }],
      excludeResourceRules: [{ ...rule, operations: ["*"] }],
      namespaceSelector: { matchLabels: { a: "b" } },
      objectSelector: { matchExpressions: [{ key: "a", operator: "Exists" }] },
      matchPolicy: "Exact",
    },
    matchConditions: [{ name: "example.com/not-system", expression: "true" }],
    variables: [{ name: "hosts", expression: "object.spec.hosts" }],
    validations: [
      { expression: "true\n&& true", message: "m", messageExpression: "'a'", reason: "Forbidden" },
    ],
  };
  expect(validatingAdmissionPolicyKind.check({ spec })).toEqual({ ok: true, spec, warnings: [] });
});

test.each<[Record<string, unknown>, string]>([
  [{ validations: policy.validations }, "spec.matchConstraints: is required"],
  [{ ...policy, matchConstraints: {} }, "spec.matchConstraints.resourceRules: is required"],
  [{ ...policy, matchConstraints: { resourceRules: [] } }, "must have at least one rule"],
  [{ ...policy, matchConstraints: { resourceRules: [{ ...rule, operations: ["READ"] }] } }, "operations[0]"],
  [
    { ...policy, matchConstraints: { resourceRules: [{ ...rule, resources: ["pods/status"] }] } },
    "has subresources only",
  ],
  [{ ...policy, validations: [] }, "spec.validations: must have at least one validation"],
  [{ ...policy, validations: [{ expression: " " }] }, "spec.validations[0].expression: expected a CEL"],
  [{ ...policy, validations: [{ expression: "a".repeat(10_241) }] }, "at most 10240 characters"],
  [{ ...policy, validations: [{ expression: "a\nb" }] }, "spec.validations[0].message: is required"],
  [{ ...policy, validations: [{ expression: "a", message: "a\nb" }] }, "on one line"],
  [{ ...policy, validations: [{ expression: "a", reason: "Other" }] }, "spec.validations[0].reason"],
  [{ ...policy, auditAnnotations: [] }, "spec.auditAnnotations: is not a known field"],
  [{ ...policy, failurePolicy: "Open" }, "spec.failurePolicy"],
  [{ ...policy, variables: [{ name: "a-b", expression: "1" }] }, "spec.variables[0].name: expected a name"],
  [
    { ...policy, variables: [1, 2].map(() => ({ name: "a", expression: "1" })) },
    "spec.variables[1].name: repeats",
  ],
])("check refuses the policy %.80j", (spec, expected) => {
  expect(told(validatingAdmissionPolicyKind.check({ spec }))).toContain(expected);
});

test("check accepts bindings of every form", () => {
  const spec = {
    policyName: "p.example.com",
    paramRef: { selector: { matchLabels: { a: "b" } }, namespace: "a", parameterNotFoundAction: "Allow" },
    matchResources: { resourceRules: [rule], namespaceSelector: {} },
    validationActions: ["Warn", "Audit"],
  };
  expect(validatingAdmissionPolicyBindingKind.check({ spec })).toEqual({ ok: true, spec, warnings: [] });
});

test.each<[Record<string, unknown>, string]>([
  [{ validationActions: ["Deny"] }, "spec.policyName"],
  [{ policyName: "p" }, "spec.validationActions: is required"],
  [{ ...binding, validationActions: [] }, "must have at least one of Deny, Warn, Audit"],
  [{ ...binding, validationActions: ["Deny", "Warn"] }, "cannot have Deny and Warn together"],
  [{ ...binding, validationActions: ["Warn", "Warn"] }, "names an action twice"],
  [{ ...binding, paramRef: { name: "a" } }, "spec.paramRef.parameterNotFoundAction"],
  [
    { ...binding, paramRef: { name: "a", selector: {}, parameterNotFoundAction: "Deny" } },
    "exactly one of name, selector",
  ],
])("check refuses the binding %.80j", (spec, expected) => {
  expect(told(validatingAdmissionPolicyBindingKind.check({ spec }))).toContain(expected);
});

function told(checked: Checked<unknown>): string {
  return checked.ok ? "" : checked.violations.map(({ path, message }) => `${path}: ${message}`).join("\n");
}
