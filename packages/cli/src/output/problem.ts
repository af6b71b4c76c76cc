/** Something that must be done, or soon will have to be. */
export interface Problem {
  readonly level: "notice" | "warning" | "error";
  /** What is wrong and what to do, one line. */
  readonly text: string;
}
