import { denialText, type PolicyFinding } from "@tulle/admission";
import { failureStatus, type StatusObject, type StatusSubject } from "@tulle/api";
import { MeshError } from "@tulle/base";

const CODES: Readonly<Record<PolicyFinding["reason"], number>> = {
  Unauthorized: 401,
  Forbidden: 403,
  RequestEntityTooLarge: 413,
  Invalid: 422,
};

/** A write that users' own rules refuse: all that they say. */
export class PolicyDenialError extends MeshError {
  readonly findings: readonly PolicyFinding[];

  /** Of the object that was to be written. */
  readonly objectName: string;

  constructor(findings: readonly PolicyFinding[], objectName: string) {
    super("denied", "API_POLICY_DENIED", findings.map(denialText).join("; "));
    this.findings = findings;
    this.objectName = objectName;
  }

  /** As Kubernetes answers: with the first rule's reason, and a cause for each. */
  status(subject: StatusSubject): StatusObject {
    const reason = this.findings[0]?.reason ?? "Invalid";
    const resource = subject.group === "" ? subject.plural : `${subject.plural}.${subject.group}`;
    const message = `${resource} ${JSON.stringify(subject.name)} is forbidden: ${this.message}`;
    return failureStatus(CODES[reason], reason, message, {
      name: subject.name,
      group: subject.group,
      kind: subject.plural,
      causes: this.findings.map((finding) => ({ reason: finding.reason, message: denialText(finding) })),
    });
  }
}
