import { denialText, warningText, type AdmissionUser, type PolicyReviewer } from "@tulle/admission";
import { InvalidObjectError, type Kind, type MeshObject, type Violation } from "@tulle/api";

import type { Admit } from "./admission.js";
import { PolicyDenialError } from "./policy-denial.js";

export interface JudgeOptions {
  /** Looks at every object whose own content is right, before it is stored. Absent: all are. */
  readonly admit?: Admit;
  /** Users' own rules about what may be written; absent: there are none. */
  readonly policies?: Pick<PolicyReviewer, "review" | "violationsOf">;
}

/** Who writes, for users' rules. */
export interface Writer {
  readonly user: AdmissionUser;
  /** Takes down what the audit log shall say of the write. */
  readonly note: (text: string) => void;
}

/** How an object is written. */
export interface JudgedWrite {
  readonly kind: Kind;
  /** The API version that it was asked for at. */
  readonly version: string;
  readonly dryRun: boolean;
  /** Absent: the control plane itself, which nobody's rules are for. */
  readonly writer?: Writer;
}

/** Decides on writes whose objects are right in themselves. */
export class Judge {
  readonly #options: JudgeOptions;

  constructor(options: JudgeOptions) {
    this.#options = options;
  }

  /**
   * Throws an InvalidObjectError when the object must not be stored, a PolicyDenialError when users' rules refuse it; else what the writer gets
   * to hear.
   */
  async write(
    write: JudgedWrite,
    object: MeshObject,
    current: MeshObject | undefined,
  ): Promise<readonly string[]> {
    const violations = (await this.#options.policies?.violationsOf(object)) ?? [];
    const told = violations.length > 0 ? [] : await this.review(write, object, current);
    const verdict = this.#options.admit?.(object, current) ?? { violations: [], warnings: [] };
    const all = [...violations, ...verdict.violations];
    if (all.length === 0) return [...told, ...verdict.warnings];
    throw invalidObject(object.kind, object.metadata.name, all);
  }

  /** What users' rules warn of; `object` undefined: a deletion. Throws a PolicyDenialError when they refuse the write. */
  async review(
    { kind, version, dryRun, writer }: JudgedWrite,
    object: MeshObject | undefined,
    oldObject: MeshObject | undefined,
  ): Promise<readonly string[]> {
    const { policies } = this.#options;
    if (policies === undefined || writer === undefined) return [];
    const operation = object === undefined ? "DELETE" : oldObject === undefined ? "CREATE" : "UPDATE";
    const { user } = writer;
    const review = await policies.review({ operation, kind, version, object, oldObject, user, dryRun });
    for (const finding of review.audited) writer.note(warningText(finding));
    if (review.denied.length > 0) {
      for (const finding of review.denied) writer.note(denialText(finding));
      throw new PolicyDenialError(review.denied, (object ?? oldObject)?.metadata.name ?? "");
    }
    return review.warned.map(warningText);
  }
}

/** The error of an object that is refused. */
export function invalidObject(
  kind: string,
  name: string,
  violations: readonly Violation[],
): InvalidObjectError {
  return new InvalidObjectError(`${kind} "${name}" is invalid`, violations, name);
}
