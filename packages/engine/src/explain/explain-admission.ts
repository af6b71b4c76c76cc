import { AdmissionProgress } from "../admit/admission-progress.js";
import { admit } from "../admit/admit.js";
import type { DecisionView, Facts, Plan, ReplyPlan } from "../contract.js";
import type { HttpChain } from "../snapshot/contract.js";
import type { ExplainedResult } from "./contract.js";
import { lines } from "./lines.js";

/** What the chain's filters make of a request that they keep from its route; undefined = they let it through. */
export function explainAdmission(
  view: DecisionView,
  chain: HttpChain,
  plan: Plan | ReplyPlan,
  facts: Facts,
): ExplainedResult | undefined {
  const progress = new AdmissionProgress();
  let admission = admit(view, chain, plan, facts, progress);
  // Nobody waits here; the trace says for how long a caller would.
  while (admission.kind === "delay") admission = admit(view, chain, plan, facts, progress);
  switch (admission.kind) {
    case "continue":
      return undefined;
    case "reset":
      return { kind: "denied", flag: admission.flag, body: "the caller's connection is reset" };
    case "reply": {
      const { status, flag, body, headers } = admission;
      return { kind: "denied", status, flag, body, headers: lines(headers) };
    }
  }
}
