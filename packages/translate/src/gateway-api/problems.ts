/** What is wrong with a reference: the reasons of condition `ResolvedRefs`. */
export interface RefProblem {
  readonly reason: "InvalidKind" | "RefNotPermitted" | "BackendNotFound" | "UnsupportedProtocol";
  readonly message: string;
}

/** What of a rule cannot be carried out: the reasons of condition `Accepted`. */
export interface RuleProblem {
  readonly reason: "UnsupportedValue" | "IncompatibleFilters";
  readonly message: string;
}

/** Everything that is wrong with a rule. */
export interface RuleProblems {
  readonly refs: readonly RefProblem[];
  /** With any of them, the rule's requests fail, or it matches nothing. */
  readonly rule: readonly RuleProblem[];
}
