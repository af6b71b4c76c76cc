import { MeshError } from "@tulle/base";
import { describeAction, may, type AccessAction } from "./may.js";
import { ALL_NAMESPACES, type Subject } from "./role.js";

/** The people and programs of this machine where nobody logs in. */
export const LOCAL_SUBJECT: Subject = { name: "local", role: "admin", namespaces: ALL_NAMESPACES };

const MAX_NOTES = 16;
const MAX_NOTE = 1024;

/**
 * Who makes one request, for whoever answers it: every answer begins with asking what the caller may. Answers for which
 * nothing was asked are not given out.
 */
export class Caller {
  readonly subject: Subject;
  #asked = false;
  #action: AccessAction | undefined;
  readonly #notes: string[] = [];

  constructor(subject: Subject) {
    this.subject = subject;
  }

  /** Whether it was asked what this caller may. */
  get asked(): boolean {
    return this.#asked;
  }

  /** What was required of this caller last, for the audit log. */
  get action(): AccessAction | undefined {
    return this.#action;
  }

  /** What else the audit log shall say of the request, at most {@link MAX_NOTES}. */
  get notes(): readonly string[] {
    return this.#notes;
  }

  note(text: string): void {
    if (this.#notes.length < MAX_NOTES) this.#notes.push(text.slice(0, MAX_NOTE));
  }

  /** Whether the caller may do that: for answers that leave out what it may not see. */
  may(action: AccessAction): boolean {
    this.#asked = true;
    return may(this.subject, action);
  }

  /** As {@link may}; throws `denied` ACCESS_DENIED when not. */
  require(action: AccessAction): void {
    this.#action = action;
    if (this.may(action)) return;
    const { name, role } = this.subject;
    throw new MeshError(
      "denied",
      "ACCESS_DENIED",
      `forbidden: ${name} (${role}) may not ${describeAction(action)}; ask for a token that may`,
    );
  }
}
