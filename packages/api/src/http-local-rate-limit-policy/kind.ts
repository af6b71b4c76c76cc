import { ageColumn } from "../age.js";
import { textColumn } from "../column.js";
import type { Kind } from "../kind.js";
import { checkSpec } from "../schema/check.js";
import { httpLocalRateLimitPolicySpec } from "./schema.js";
import type { HTTPLocalRateLimitPolicySpec, RequestRate } from "./type.js";

export const httpLocalRateLimitPolicyKind: Kind<HTTPLocalRateLimitPolicySpec> = {
  group: "policy.linkerd.io",
  versions: ["v1alpha1"],
  storageVersion: "v1alpha1",
  kind: "HTTPLocalRateLimitPolicy",
  plural: "httplocalratelimitpolicies",
  singular: "httplocalratelimitpolicy",
  shortNames: [],
  categories: ["linkerd"],
  scope: "Namespaced",
  columns: [
    textColumn<HTTPLocalRateLimitPolicySpec>(
      "Target_kind",
      "What it is for.",
      ({ spec }) => spec.targetRef.kind,
    ),
    textColumn<HTTPLocalRateLimitPolicySpec>("Target_name", "Its name.", ({ spec }) => spec.targetRef.name),
    textColumn<HTTPLocalRateLimitPolicySpec>("Total_RPS", "From all clients.", ({ spec }) =>
      rate(spec.total),
    ),
    textColumn<HTTPLocalRateLimitPolicySpec>("Identity_RPS", "From each client.", ({ spec }) =>
      rate(spec.identity),
    ),
    ageColumn,
  ],
  check: checkSpec({ schema: httpLocalRateLimitPolicySpec }),
};

function rate(of: RequestRate | undefined): string {
  return of === undefined ? "" : String(of.requestsPerSecond);
}
