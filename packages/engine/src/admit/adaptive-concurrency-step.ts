import { GrpcStatus } from "@tulle/http";
import type {
  AdmissionReply,
  AdmissionStep,
  DecisionView,
  Plan,
  ReplyPlan,
  StepAdmission,
} from "../contract.js";
import type { Controllers } from "../load/controllers.js";
import type { GradientController, GradientSettings } from "../load/gradient-controller.js";
import { textReply } from "./text-reply.js";

/** Refuses requests while as many are under way as the service is found to take. */
export class AdaptiveConcurrencyStep implements AdmissionStep {
  readonly #settings: GradientSettings;
  readonly #key: string;
  readonly #place: string | undefined;
  readonly #status: number;
  /** Of the last request: nearly always the same. */
  #controllers: Controllers | undefined;
  #subject = "";
  #controller: GradientController | undefined;
  #refusal: AdmissionReply | undefined;

  /** `place`: what the limit is of; undefined = of the cluster that a request goes to. */
  constructor(settings: GradientSettings, status: number, place: string | undefined) {
    this.#settings = settings;
    this.#status = status;
    this.#place = place;
    this.#key = Object.values(settings).join("|");
  }

  admit(view: DecisionView, plan: Plan | ReplyPlan): StepAdmission | undefined {
    // What the route answers by itself burdens nobody.
    if (plan.kind === "reply") return undefined;
    const controller = this.#controllerOf(view.load.controllers, this.#place ?? plan.cluster.name);
    const admitted = controller.admits();
    if (view.trace !== undefined) tell(view, plan, this.#subject, controller, admitted);
    return admitted ? controller.admitted : this.#refusal;
  }

  #controllerOf(controllers: Controllers, subject: string): GradientController {
    if (this.#controller !== undefined && this.#controllers === controllers && this.#subject === subject)
      return this.#controller;
    const controller = controllers.gradient(`${subject}|${this.#key}`, subject, this.#settings);
    this.#controllers = controllers;
    this.#subject = subject;
    this.#controller = controller;
    this.#refusal = textReply({
      status: this.#status,
      body: "reached concurrency limit",
      flag: "",
      details: "reached_concurrency_limit",
      grpcStatus: GrpcStatus.UNAVAILABLE,
      watcher: controller,
    });
    return controller;
  }
}

function tell(
  { trace }: DecisionView,
  { provenance }: Plan,
  subject: string,
  { inFlight, limit, minRttMs, sampleRttMs, measuring }: GradientController,
  admitted: boolean,
): void {
  const requests = `${inFlight} of at most ${limit} requests are under way`;
  trace?.add({
    step: "filter",
    subject: `adaptive concurrency ${subject}`,
    verdict: admitted ? "passed-over" : "chosen",
    reason: measuring ? `${requests} while the unburdened service is measured` : requests,
    owner: provenance,
    facts: { inFlight, limit, minRttMs: rounded(minRttMs), sampleRttMs: rounded(sampleRttMs), measuring },
  });
}

function rounded(ms: number): number {
  return Math.round(ms * 100) / 100;
}
