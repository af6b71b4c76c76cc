import { GrpcStatus } from "@tulle/http";
import type {
  AdmissionReply,
  AdmissionStep,
  DecisionView,
  Plan,
  ReplyPlan,
  StepAdmission,
} from "../contract.js";
import { mix } from "../entropy.js";
import type { Controllers } from "../load/controllers.js";
import type { SuccessSettings, SuccessWindow } from "../load/success-window.js";
import { textReply } from "./text-reply.js";

/** Holds back a part of the requests to a service that fails, the larger the more of them fail. */
export class AdmissionControlStep implements AdmissionStep {
  readonly #settings: SuccessSettings;
  readonly #key: string;
  readonly #place: string;
  readonly #salt: number;
  /** Found at the first request. */
  #controllers: Controllers | undefined;
  #window: SuccessWindow | undefined;
  #refusal: AdmissionReply | undefined;

  constructor(settings: SuccessSettings, key: string, place: string, salt: number) {
    this.#settings = settings;
    this.#key = key;
    this.#place = place;
    this.#salt = salt;
  }

  admit(view: DecisionView, plan: Plan | ReplyPlan): StepAdmission | undefined {
    // What the route answers by itself says nothing of the service.
    if (plan.kind === "reply") return undefined;
    const window = this.#windowOf(view.load.controllers);
    const probability = window.refusalProbability(view.now);
    const refused = probability > 0 && mix(view.entropy, this.#salt) / 0x1_0000_0000 < probability;
    if (view.trace !== undefined) tell(view, plan, this.#place, window, probability, refused);
    return refused ? this.#refusal : window.admitted;
  }

  #windowOf(controllers: Controllers): SuccessWindow {
    if (this.#window !== undefined && this.#controllers === controllers) return this.#window;
    const window = controllers.successes(this.#key, this.#place, this.#settings);
    this.#controllers = controllers;
    this.#window = window;
    this.#refusal = textReply({
      status: 503,
      body: "denied by admission control",
      flag: "",
      details: "denied_by_admission_control",
      grpcStatus: GrpcStatus.UNAVAILABLE,
      watcher: window,
    });
    return window;
  }
}

function tell(
  { trace, now }: DecisionView,
  { provenance }: Plan,
  place: string,
  window: SuccessWindow,
  probability: number,
  refused: boolean,
): void {
  const { requests, successes } = window.counts(now);
  const { windowSeconds } = window.settings;
  const share = `${Math.round(probability * 1000) / 10}%`;
  const went = `${successes} of ${requests} requests of the last ${windowSeconds} s went well`;
  trace?.add({
    step: "filter",
    subject: `admission control ${place}`,
    verdict: refused ? "chosen" : "passed-over",
    reason:
      probability === 0
        ? went
        : `${went}: ${share} are held back, and this one is ${refused ? "" : "not "}among them`,
    owner: provenance,
    facts: { requests, successes, probability: Math.round(probability * 1000) / 1000 },
  });
}
