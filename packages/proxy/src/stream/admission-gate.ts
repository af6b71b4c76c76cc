import {
  admit,
  AdmissionProgress,
  type AdmissionReply,
  type CallTranslation,
  type BodyNeed,
  type EndedExchange,
  type EngineRequest,
  type Fact,
  type FactNeed,
  type Facts,
  type HttpChain,
  type Plan,
  type ReplyPlan,
} from "@tulle/engine";

import { isPending, type FactAsker, type PendingFact } from "../facts/contract.js";
import type { FactSource } from "../facts/fact-source.js";
import type { AuthorizationMetrics } from "../telemetry/authorization-metrics.js";
import type { Counter, Family } from "../telemetry/metrics.js";
import type { OwnView } from "./decision.js";
import { CLIENT_GONE, type ExchangeRecord } from "./exchange-record.js";
import { admissionReply, type LocalReply } from "./local-reply.js";
import type { RequestBody } from "./request-body.js";

/** Who waits to be let through. Exactly one of the calls comes, and after a delay or a question another one. */
export interface AdmissionGateOwner {
  /** The call is to be translated. Comes before the others, once. */
  onTranslation(translation: CallTranslation): void;
  onAdmitted(routed: Plan | ReplyPlan): void;
  /** Call `resume` after so many milliseconds. */
  onAdmissionDelay(ms: number): void;
  /** Call `onBody` whenever more of the request's body is here. */
  onAdmissionAwaitsBody(): void;
  /** Somebody outside is asked; `onAdmissionAnswer` comes later. */
  onAdmissionAsks(): void;
  /** Call `resume`. */
  onAdmissionAnswer(): void;
  /** Choose a route for the request as it is now and call `rerouted`. */
  onReroute(request: EngineRequest): void;
  onAdmissionReply(reply: LocalReply): void;
  onAdmissionReset(): void;
}

/**
 * Takes an exchange through the steps of its chain, and keeps what they alter. Only for chains that have any: of all other
 * exchanges it costs nothing but this object.
 */
export class AdmissionGate implements FactAsker {
  readonly record: ExchangeRecord;
  readonly body: RequestBody;
  readonly #view: OwnView;
  readonly #owner: AdmissionGateOwner;
  readonly #limited: Family<Counter>;
  readonly #source: FactSource;
  readonly #authorization: AuthorizationMetrics;
  #progress: AdmissionProgress | undefined;
  #facts: Facts | undefined;
  #routed: Plan | ReplyPlan | undefined;
  #chain: HttpChain | undefined;
  /** What watchers are told in the end: made at the first, and filled anew. */
  #ended: { -readonly [Field in keyof EndedExchange]: EndedExchange[Field] } | undefined;
  /** When those who watch it were told of it; -1 = they were not, or know that it is over. */
  #watchedSince = -1;
  /** Whether this exchange counts as one that a fault holds up. */
  #faulty = false;
  /** What is asked for when enough of the request's body is here. */
  #need: FactNeed | undefined;
  #pending: PendingFact | undefined;

  constructor(
    record: ExchangeRecord,
    body: RequestBody,
    view: OwnView,
    owner: AdmissionGateOwner,
    rateLimited: Family<Counter>,
    source: FactSource,
    authorization: AuthorizationMetrics,
  ) {
    this.#limited = rateLimited;
    this.#source = source;
    this.#authorization = authorization;
    this.body = body;
    this.record = record;
    this.#view = view;
    this.#owner = owner;
  }

  enter(chain: HttpChain, routed: Plan | ReplyPlan): void {
    this.#chain = chain;
    this.#routed = routed;
    const progress = (this.#progress ??= new AdmissionProgress());
    progress.clear();
    this.record.admission = progress;
    this.resume();
  }

  /** The request as the steps so far have altered it. */
  get request(): EngineRequest {
    return this.#progress?.altered ?? this.record.request;
  }

  /** Goes on behind the step that asked for a delay, or with the step whose question is answered. */
  resume(): void {
    const chain = this.#chain;
    const routed = this.#routed;
    if (chain === undefined || routed === undefined) return;
    const record = this.record;
    const admission = admit(this.#view, chain, routed, this.#factsOf(record), this.#progress);
    const translation = this.#progress?.translation;
    if (translation !== undefined) this.#owner.onTranslation(translation);
    this.#countLimits();
    this.#countJudgements();
    switch (admission.kind) {
      case "continue":
        if (this.#progress !== undefined && this.#progress.responseBytesPerSecond > 0) this.#countFault();
        this.#beginWatch();
        this.#owner.onAdmitted(routed);
        break;
      case "delay":
        record.addFlag(admission.flag);
        this.#countFault();
        this.#owner.onAdmissionDelay(admission.ms);
        break;
      case "need":
        this.#ask(admission.need);
        break;
      case "reroute":
        this.#owner.onReroute(this.request);
        break;
      case "reply":
        admission.watcher?.onRefused();
        this.#owner.onAdmissionReply(this.#replyOf(admission, routed));
        break;
      case "reset":
        record.addFlag(admission.flag);
        record.responseCodeDetails = admission.details;
        this.#owner.onAdmissionReset();
        break;
    }
  }

  /** Goes on with the steps of another route. */
  rerouted(routed: Plan | ReplyPlan): void {
    this.#routed = routed;
    this.resume();
  }

  /** More of the request's body is here, or it is whole. */
  onBody(): void {
    if (this.#need !== undefined) this.#ask(this.#need);
  }

  onFact(fact: Fact): void {
    this.#pending = undefined;
    if (this.#progress === undefined) return;
    this.#progress.fact = fact;
    this.#owner.onAdmissionAnswer();
  }

  /** The exchange is over, or a tunnel by now. */
  leave(now: number): void {
    this.#need = undefined;
    this.#pending?.cancel();
    this.#pending = undefined;
    if (this.#watchedSince >= 0) this.#endWatch(now);
    this.#chain = undefined;
    this.#routed = undefined;
    if (!this.#faulty) return;
    this.#faulty = false;
    this.#view.load.addActiveFaults(-1);
  }

  #ask(need: FactNeed): void {
    const waited = this.#need !== undefined;
    this.#need = undefined;
    switch (need.body === undefined ? "here" : stateOfBody(this.body, need.body)) {
      case "awaited":
        this.#need = need;
        if (!waited) this.#owner.onAdmissionAwaitsBody();
        return;
      case "too-large":
        if (this.#routed !== undefined) this.#owner.onAdmissionReply(this.#replyOf(TOO_LARGE, this.#routed));
        return;
      case "here":
    }
    const answer = this.#source.fetch(need, this);
    if (isPending(answer)) {
      this.#pending = answer;
      this.#owner.onAdmissionAsks();
    } else this.onFact(answer);
  }

  #beginWatch(): void {
    const watchers = this.#progress?.watchers;
    if (watchers === undefined || watchers.length === 0) return;
    const { now } = this.#view;
    this.#watchedSince = now;
    for (const watcher of watchers) watcher.onBegin(now);
  }

  #endWatch(now: number): void {
    const ended = (this.#ended ??= { durationMs: 0, status: 0, grpc: false, grpcStatus: 0, cut: false });
    const { responseCode, grpc, grpcStatus, responseCodeDetails } = this.record;
    ended.durationMs = now - this.#watchedSince;
    ended.status = responseCode;
    ended.grpc = grpc;
    ended.grpcStatus = grpcStatus;
    ended.cut = responseCodeDetails === CLIENT_GONE;
    this.#watchedSince = -1;
    for (const watcher of this.#progress?.watchers ?? []) watcher.onEnd(now, ended);
  }

  #countLimits(): void {
    const limited = this.#progress?.limited;
    if (limited === undefined || limited.length === 0) return;
    for (const { name, enforced } of limited)
      this.#limited.with(["limit", name, "enforced", String(enforced)]).inc();
    limited.length = 0;
  }

  #countJudgements(): void {
    const judged = this.#progress?.judged;
    if (judged === undefined || judged.length === 0) return;
    this.#authorization.count(judged);
    judged.length = 0;
  }

  #countFault(): void {
    if (this.#faulty) return;
    this.#faulty = true;
    this.#view.load.addActiveFaults(1);
  }

  #replyOf(admission: AdmissionReply, routed: Plan | ReplyPlan): LocalReply {
    this.record.addFlag(admission.flag);
    this.record.responseCodeDetails = admission.details;
    if (admission.asked !== undefined) this.record.upstreamTransportFailureReason = admission.asked;
    return admissionReply(this.record, admission, routed.responseHeaders);
  }

  /** The same for every request of a connection, unless each may come from another client behind proxies. */
  #factsOf(record: ExchangeRecord): Facts {
    const { request, source, edge } = record;
    if (this.#facts === undefined || edge !== undefined) {
      this.#facts = {
        request,
        principal: source.peerSpiffeId === "" ? undefined : source.peerSpiffeId,
        remoteAddress: record.downstreamRemoteAddress,
        connection: source.connection,
      };
    }
    return this.#facts;
  }
}

/** Somebody must be told a body that is longer than he takes. */
const TOO_LARGE: AdmissionReply = {
  kind: "reply",
  status: 413,
  body: "the request's body is larger than what may be shown to the authorization service",
  headers: ["content-type", "text/plain"],
  flag: "",
  details: "request_payload_too_large",
};

/** Whether as much of a body is here as a need asks for. What is never kept whole cannot be shown whole. */
function stateOfBody(
  body: RequestBody,
  { maxBytes, allowPartial }: BodyNeed,
): "here" | "awaited" | "too-large" {
  const tooLarge = !allowPartial && (body.heldBytes > maxBytes || body.contentLength > maxBytes);
  if (tooLarge || (!allowPartial && body.full && !body.done)) return "too-large";
  if (!body.expected || body.done || (allowPartial && (body.heldBytes >= maxBytes || body.full)))
    return "here";
  return "awaited";
}
