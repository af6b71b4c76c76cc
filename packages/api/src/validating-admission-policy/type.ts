import type { LabelSelector } from "../schema/label-selector.js";

/** Kubernetes' group of rules about what may be written. */
export const ADMISSION_GROUP = "admissionregistration.k8s.io";

/**
 * A rule of the users about what may be written, in CEL (Kubernetes' `ValidatingAdmissionPolicy`). It holds where a
 * binding says so.
 */
export interface ValidatingAdmissionPolicySpec {
  /** Kind of the objects that bindings give as `params`. */
  readonly paramKind?: ParamKind;
  /** The writes that it is about. */
  readonly matchConstraints: MatchResources;
  /** All must be true of a write for it to be judged. */
  readonly matchConditions?: readonly NamedExpression[];
  /** Values for the expressions after them, as `variables.NAME`. */
  readonly variables?: readonly NamedExpression[];
  /** All must be true of a write for it to be right. */
  readonly validations: readonly AdmissionValidation[];
  /** What an expression that cannot be evaluated does to the write. Default Fail: it is refused. */
  readonly failurePolicy?: "Fail" | "Ignore";
}

export interface ParamKind {
  readonly apiVersion: string;
  readonly kind: string;
}

export interface NamedExpression {
  readonly name: string;
  /** CEL. */
  readonly expression: string;
}

export interface AdmissionValidation {
  /** CEL; true = right. */
  readonly expression: string;
  /** What the writer is told; default: that this expression failed. */
  readonly message?: string;
  /** CEL that gives the message; where it cannot, `message` is told. */
  readonly messageExpression?: string;
  /** Default Invalid. */
  readonly reason?: "Unauthorized" | "Forbidden" | "Invalid" | "RequestEntityTooLarge";
}

/** Writes by their objects: all that is said must fit. */
export interface MatchResources {
  /** One of them must fit; in bindings absent: all. */
  readonly resourceRules?: readonly ResourceRule[];
  /** None of them may fit. */
  readonly excludeResourceRules?: readonly ResourceRule[];
  /** Labels of the object's namespace; of a Namespace its own. Objects of no namespace fit always. */
  readonly namespaceSelector?: LabelSelector;
  /** Labels of the object, or of the one before it. */
  readonly objectSelector?: LabelSelector;
  /** Whether a rule for one version of a kind is for the others too. Default Equivalent: it is. */
  readonly matchPolicy?: "Exact" | "Equivalent";
}

/** `*` in any list = all. */
export interface ResourceRule {
  readonly apiGroups: readonly string[];
  readonly apiVersions: readonly string[];
  readonly operations: readonly AdmissionOperation[];
  /** Plurals, in lower case. */
  readonly resources: readonly string[];
  /** Absent: every name. */
  readonly resourceNames?: readonly string[];
  readonly scope?: "Cluster" | "Namespaced" | "*";
}

export type AdmissionOperation = "CREATE" | "UPDATE" | "DELETE" | "CONNECT" | "*";
