import type { LabelSelector } from "../schema/label-selector.js";
import type { MatchResources } from "../validating-admission-policy/type.js";

/** Makes a ValidatingAdmissionPolicy hold (Kubernetes' `ValidatingAdmissionPolicyBinding`). */
export interface ValidatingAdmissionPolicyBindingSpec {
  readonly policyName: string;
  /** What the policy's expressions see as `params`, each by itself. Absent: `params` is null. */
  readonly paramRef?: ParamRef;
  /** Narrows the writes that the policy is about. */
  readonly matchResources?: MatchResources;
  /** What happens to a write that is not right; of Deny and Warn at most one. */
  readonly validationActions: readonly ("Deny" | "Warn" | "Audit")[];
}

/** Objects of the policy's `paramKind`: by `name`, or all that `selector` selects. */
export interface ParamRef {
  readonly name?: string;
  readonly selector?: LabelSelector;
  /** Default: that of the object that is written. Not for kinds of no namespace. */
  readonly namespace?: string;
  /** What holds when there is none: Allow passes the write; Deny does as the policy's failurePolicy says. */
  readonly parameterNotFoundAction: "Allow" | "Deny";
}
