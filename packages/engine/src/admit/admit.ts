import type { Admission, DecisionView, Facts, Plan } from "../contract.js";
import type { HttpChain } from "../snapshot/contract.js";
import { Chain } from "../snapshot/chain.js";

/** One step between routing and picking, compiled from an HTTP filter: authorization, rate limit, fault. */
export interface AdmissionStep {
  /** Pure over its arguments. `undefined` = nothing against the request. */
  admit(view: DecisionView, plan: Plan, facts: Facts): Admission | undefined;
}

const CONTINUE: Admission = { kind: "continue" };

/** Runs the chain's steps in the order of its filters; the first that answers ends it. */
export function admit(view: DecisionView, chain: HttpChain, plan: Plan, facts: Facts): Admission {
  if (chain instanceof Chain) {
    for (const step of chain.steps) {
      const admission = step.admit(view, plan, facts);
      if (admission !== undefined && admission.kind !== "continue") return admission;
    }
  }
  return CONTINUE;
}
