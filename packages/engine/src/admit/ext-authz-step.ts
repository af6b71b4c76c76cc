import type {
  AdmissionMutation,
  AdmissionStep,
  DecisionView,
  Facts,
  HeaderMutation,
  Plan,
  ReplyPlan,
  StepAdmission,
} from "../contract.js";
import { changeQuery } from "../facts/change-query.js";
import { NO_ANSWER, type FactFailure } from "../facts/contract.js";
import type { ExtAuthzAllowed, ExtAuthzDenied, ExtAuthzNeed } from "../facts/ext-authz.js";
import { isIn, type Share } from "../route/fraction.js";
import type { MetadataTest } from "../route/metadata-test.js";

export interface ExtAuthzSettings {
  readonly need: ExtAuthzNeed;
  /** Clusters that are asked: chains wait for them. */
  readonly clusters: readonly string[];
  /** Requests that are asked about; undefined = all. */
  readonly enabled: Share | undefined;
  /** The same, by what steps before have found out. */
  readonly enabledBy: MetadataTest | undefined;
  /** Those that are not asked about are refused. */
  readonly denyOthers: boolean;
  /** Nobody answers: the request goes on. */
  readonly failOpen: boolean;
  /** A request that goes on like that says so. */
  readonly tellsFailOpen: boolean;
  /** Nobody answers, and the request does not go on. */
  readonly statusOnError: number;
  /** A permission that alters the request leads to a new choice of its route. */
  readonly reroutes: boolean;
}

/** Where a service's metadata goes, as Envoy has it. */
const METADATA_NAMESPACE = "envoy.filters.http.ext_authz";
const FAIL_OPEN: HeaderMutation = {
  op: "set",
  name: "x-envoy-auth-failure-mode-allowed",
  value: "true",
};

/** Lets a request pass if an authorization service says so. */
export class ExtAuthzStep implements AdmissionStep {
  readonly settings: ExtAuthzSettings;
  readonly clusters: readonly string[];
  readonly #need: StepAdmission;

  constructor(settings: ExtAuthzSettings) {
    this.settings = settings;
    this.clusters = settings.clusters;
    this.#need = { kind: "need", need: settings.need };
  }

  admit(view: DecisionView, plan: Plan | ReplyPlan, facts: Facts): StepAdmission | undefined {
    const { fact } = facts;
    if (fact === undefined) return this.#isEnabled(view, facts) ? this.#need : this.#unasked(view, plan);
    if (fact.kind === "ext-authz")
      return fact.allowed ? this.#onAllowed(view, plan, facts, fact) : this.#onDenied(view, plan, fact);
    return this.#onFailure(view, plan, fact.kind === "failed" ? fact : NO_ANSWER);
  }

  #isEnabled({ entropy, snapshot }: DecisionView, { request }: Facts): boolean {
    const { enabled, enabledBy } = this.settings;
    return (
      (enabled === undefined || isIn(enabled, entropy, snapshot.runtime)) &&
      (enabledBy === undefined || enabledBy(request.metadata))
    );
  }

  #unasked(view: DecisionView, plan: Plan | ReplyPlan): StepAdmission | undefined {
    const { denyOthers, statusOnError } = this.settings;
    this.#tell(
      view,
      plan,
      denyOthers,
      `it is not asked about this request${denyOthers ? ", which is refused" : ""}`,
    );
    return denyOthers ? refusal(statusOnError, "ext_authz_denied") : undefined;
  }

  #onAllowed(
    view: DecisionView,
    plan: Plan | ReplyPlan,
    { request: { path } }: Facts,
    { request, response, query, metadata }: ExtAuthzAllowed,
  ): AdmissionMutation {
    this.#tell(view, plan, false, "it lets the request pass");
    const altered = request.length > 0 || query !== undefined;
    return {
      kind: "mutate",
      request,
      response,
      path: query === undefined ? undefined : changeQuery(path, query),
      metadata: metadata && { namespace: METADATA_NAMESPACE, value: metadata },
      reroute: altered && this.settings.reroutes,
    };
  }

  #onDenied(view: DecisionView, plan: Plan | ReplyPlan, denied: ExtAuthzDenied): StepAdmission {
    const { status, headers, body, invalid } = denied;
    this.#tell(
      view,
      plan,
      true,
      invalid === undefined ? `it refuses with ${status}` : `its answer is invalid: ${invalid}`,
    );
    const typed = body === "" || headers.some((text, index) => index % 2 === 0 && text === "content-type");
    return {
      kind: "reply",
      status,
      body,
      headers: typed ? headers : ["content-type", "text/plain", ...headers],
      flag: "UAEX",
      details: invalid === undefined ? "ext_authz_denied" : "ext_authz_invalid",
      asked: `${this.settings.need.asks}${invalid === undefined ? "" : `: ${invalid}`}`,
    };
  }

  #onFailure(view: DecisionView, plan: Plan | ReplyPlan, { reason, detail }: FactFailure): StepAdmission {
    const { failOpen, tellsFailOpen, statusOnError } = this.settings;
    const goesOn = failOpen
      ? "the request passes nevertheless"
      : `the request is refused with ${statusOnError}`;
    this.#tell(view, plan, !failOpen, `no answer (${reason}: ${detail}): ${goesOn}`);
    if (!failOpen) return refusal(statusOnError, "ext_authz_error", `${this.settings.need.asks}: ${detail}`);
    return { kind: "mutate", request: tellsFailOpen ? [FAIL_OPEN] : undefined };
  }

  #tell({ trace }: DecisionView, plan: Plan | ReplyPlan, refused: boolean, reason: string): void {
    trace?.add({
      step: "filter",
      subject: this.settings.need.asks,
      verdict: refused ? "chosen" : "passed-over",
      reason,
      owner: plan.provenance,
    });
  }
}

function refusal(status: number, details: string, asked?: string): StepAdmission {
  return { kind: "reply", status, body: "", headers: [], flag: "UAEX", details, asked };
}
