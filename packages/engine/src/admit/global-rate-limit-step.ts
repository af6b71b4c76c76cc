import { GrpcStatus } from "@tulle/http";
import type {
  AdmissionStep,
  DecisionView,
  Facts,
  HeaderMutation,
  Plan,
  ReplyPlan,
  StepAdmission,
} from "../contract.js";
import { NO_ANSWER, type FactFailure } from "../facts/contract.js";
import type { RateLimitFact, RateLimitNeed } from "../facts/rate-limit.js";
import { applyHeaders } from "../route/header-mutations.js";
import { descriptorsOf, type HostLimits } from "./rate-limit-descriptors.js";

export interface GlobalRateLimitSettings {
  /** Without descriptors: they are the request's. */
  readonly need: Omit<RateLimitNeed, "descriptors">;
  readonly stage: number;
  readonly hostLimits: HostLimits;
  readonly status: number;
  /** gRPC callers are told RESOURCE_EXHAUSTED instead of UNAVAILABLE. */
  readonly exhausted: boolean;
  /** Responses say how much is left. */
  readonly tellsLimits: boolean;
  /** A refusal says so in `x-envoy-ratelimited`. */
  readonly tellsRefusal: boolean;
  /** Nobody answers: the request is refused. */
  readonly failClosed: boolean;
  readonly statusOnError: number;
  readonly onLimited: readonly HeaderMutation[];
}

const METADATA_NAMESPACE = "envoy.filters.http.ratelimit";

/** Lets a request through if a rate limit service, which counts for everybody, says so. */
export class GlobalRateLimitStep implements AdmissionStep {
  readonly settings: GlobalRateLimitSettings;
  readonly clusters: readonly string[];

  constructor(settings: GlobalRateLimitSettings) {
    this.settings = settings;
    this.clusters = [settings.need.way.settings.clusterName];
  }

  admit(view: DecisionView, plan: Plan | ReplyPlan, facts: Facts): StepAdmission | undefined {
    const { fact } = facts;
    if (fact === undefined) return this.#ask(plan, facts);
    if (fact.kind === "rate-limit") return this.#onAnswer(view, plan, fact);
    return this.#onFailure(view, plan, fact.kind === "failed" ? fact : NO_ANSWER);
  }

  #ask(plan: Plan | ReplyPlan, facts: Facts): StepAdmission | undefined {
    const { need, stage, hostLimits } = this.settings;
    const descriptors = descriptorsOf(plan, facts, stage, hostLimits);
    return descriptors.length === 0 ? undefined : { kind: "need", need: { ...need, descriptors } };
  }

  #onAnswer(view: DecisionView, plan: Plan | ReplyPlan, fact: RateLimitFact): StepAdmission {
    const { tellsLimits } = this.settings;
    this.#tell(
      view,
      plan,
      fact.over,
      fact.over ? "the request is beyond a limit" : "the request is within its limits",
    );
    const told: HeaderMutation[] = [];
    if (tellsLimits) {
      for (let index = 0; index < fact.limits.length; index += 2)
        told.push({ op: "set", name: fact.limits[index]!, value: fact.limits[index + 1]! });
    }
    const response = [...told, ...fact.response];
    if (fact.over) return this.#refusal(fact, response);
    return {
      kind: "mutate",
      request: fact.request,
      response,
      metadata: fact.metadata && { namespace: METADATA_NAMESPACE, value: fact.metadata },
    };
  }

  #refusal(fact: RateLimitFact, response: readonly HeaderMutation[]): StepAdmission {
    const { need, status, exhausted, tellsRefusal, onLimited } = this.settings;
    const headers = fact.body === "" ? [] : ["content-type", "text/plain"];
    applyHeaders(headers, response);
    if (tellsRefusal) headers.push("x-envoy-ratelimited", "true");
    applyHeaders(headers, onLimited);
    return {
      kind: "reply",
      status,
      body: fact.body,
      headers,
      flag: "RL",
      details: "request_rate_limited",
      asked: need.asks,
      grpcStatus: exhausted ? GrpcStatus.RESOURCE_EXHAUSTED : undefined,
      limited: { name: need.name, enforced: true },
    };
  }

  #onFailure(
    view: DecisionView,
    plan: Plan | ReplyPlan,
    { reason, detail }: FactFailure,
  ): StepAdmission | undefined {
    const { failClosed, statusOnError } = this.settings;
    const goesOn = failClosed ? `the request is refused with ${statusOnError}` : "the request passes";
    this.#tell(view, plan, failClosed, `no answer (${reason}: ${detail}): ${goesOn}`);
    if (!failClosed) return undefined;
    return {
      kind: "reply",
      status: statusOnError,
      body: "",
      headers: [],
      flag: "RLSE",
      details: "rate_limiter_error",
      asked: `${this.settings.need.asks}: ${detail}`,
    };
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
