import type { CheckDefinition, CheckStatus } from "../definition.js";

type Limits = Pick<
  CheckDefinition,
  "successBeforePassing" | "failuresBeforeWarning" | "failuresBeforeCritical"
>;

/** Turns results into statuses: only so many results of one kind in a row change it. */
export class Thresholds {
  readonly #limits: Limits;
  #successes = 0;
  #failures = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** The status to take on, or undefined to stay. Warnings count as failures; 0 and 1 both mean the first. */
  next(result: CheckStatus): CheckStatus | undefined {
    const { successBeforePassing, failuresBeforeWarning, failuresBeforeCritical } = this.#limits;
    if (result === "passing") {
      this.#failures = 0;
      this.#successes += 1;
      return this.#successes >= successBeforePassing ? "passing" : undefined;
    }
    this.#successes = 0;
    this.#failures += 1;
    if (this.#failures >= failuresBeforeCritical) return result;
    return failuresBeforeWarning > 0 && this.#failures >= failuresBeforeWarning ? "warning" : undefined;
  }
}
