import type {
  Admission,
  AdmissionStep,
  DecisionView,
  EngineRequest,
  Facts,
  Plan,
  ReplyPlan,
  RouteFilters,
  StepAdmission,
} from "../contract.js";
import { Chain } from "../snapshot/chain.js";
import type { HttpChain } from "../snapshot/contract.js";
import { AdmissionProgress } from "./admission-progress.js";
import type { ChainFilter } from "./chain-filters.js";

const CONTINUE: Admission = { kind: "continue" };
const REROUTE: Admission = { kind: "reroute" };

/** Whether any step may have something to say. Where not, `admit` need not be called. */
export function hasSteps(chain: HttpChain, plan: Plan | ReplyPlan): boolean {
  if (!(chain instanceof Chain) || chain.filters.length === 0) return false;
  return chain.hasOwnSteps || plan.filters !== undefined;
}

/**
 * Runs the chain's steps in the order of its filters, with what the route says to each. The first that answers, resets
 * or delays ends it, that must know something, or asks for another route. Call it again with the same `progress`: after a
 * delay; when `progress.fact` is what was asked for; with the plan of the route that `progress.altered` has now.
 */
export function admit(
  view: DecisionView,
  chain: HttpChain,
  plan: Plan | ReplyPlan,
  facts: Facts,
  progress: AdmissionProgress = new AdmissionProgress(),
): Admission {
  if (!(chain instanceof Chain)) return CONTINUE;
  const { pending } = progress;
  progress.pending = undefined;
  let ended = take(pending, progress, facts.request);
  while (ended === undefined && progress.next < chain.filters.length) {
    const filter = chain.filters[progress.next++]!;
    const step = stepOf(filter, plan.filters, view);
    if (step !== undefined)
      ended = take(step.admit(view, plan, progress.told(facts)), progress, facts.request);
  }
  return ended ?? CONTINUE;
}

/** Notes what is altered; the rest ends this call. */
function take(
  said: StepAdmission | undefined,
  progress: AdmissionProgress,
  request: EngineRequest,
): Admission | undefined {
  if (said === undefined) return undefined;
  if (said.kind === "mutate") {
    progress.note(said, request);
    return said.reroute === true ? REROUTE : undefined;
  }
  if (said.kind === "need") progress.next--;
  if (said.kind === "reply" && said.limited !== undefined) progress.limited.push(said.limited);
  if (said.kind === "reply" && said.judged !== undefined) progress.judged.push(...said.judged);
  if (said.kind === "delay") progress.pending = said.after;
  return said;
}

function stepOf(
  { name, own, disabled }: ChainFilter,
  filters: RouteFilters | undefined,
  { trace }: DecisionView,
): AdmissionStep | undefined {
  const routed = filters?.get(name);
  if (routed === undefined) return disabled ? undefined : own;
  if (routed === "enabled") return own;
  if (routed !== "disabled") {
    if (!("variantOf" in routed)) return routed;
    return own === undefined ? undefined : routed.variantOf(own);
  }
  trace?.add({ step: "filter", subject: name, verdict: "passed-over", reason: "the route disables it" });
  return undefined;
}
