/** Where something stands in a text that a user wrote. */
export interface SourcePosition {
  /** The file's name, as the user gave it. */
  readonly source: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
}

/** Something wrong in a text. */
export interface SourceProblem extends SourcePosition {
  readonly message: string;
  /** Set for an object that is well written, but of a kind that nothing here knows: its API group. */
  readonly unknownKind?: string;
}

/** `canary.yaml:12:7: message`, the form that editors and terminals link. */
export function formatProblem(problem: SourceProblem): string {
  return `${problem.source}:${problem.line}:${problem.column}: ${problem.message}`;
}
