import {
  admit,
  AdmissionProgress,
  type AdmissionReply,
  type EndedExchange,
  type Facts,
  type HttpChain,
  type Plan,
  type ReplyPlan,
} from "@tulle/engine";

import type { AuthorizationMetrics } from "../telemetry/authorization-metrics.js";
import type { Counter, Family } from "../telemetry/metrics.js";
import type { OwnView } from "./decision.js";
import { CLIENT_GONE, type ExchangeRecord } from "./exchange-record.js";
import { admissionReply, type LocalReply } from "./local-reply.js";

/** Who waits to be let through. Exactly one of the calls comes, and after a delay another one. */
export interface AdmissionGateOwner {
  onAdmitted(routed: Plan | ReplyPlan): void;
  /** Call `resume` after so many milliseconds. */
  onAdmissionDelay(ms: number): void;
  onAdmissionReply(reply: LocalReply): void;
  onAdmissionReset(): void;
}

/**
 * Takes an exchange through the steps of its chain, and keeps what they alter. Only for chains that have any: of all other
 * exchanges it costs nothing but this object.
 */
export class AdmissionGate {
  readonly #record: ExchangeRecord;
  readonly #view: OwnView;
  readonly #owner: AdmissionGateOwner;
  readonly #limited: Family<Counter>;
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

  constructor(
    record: ExchangeRecord,
    view: OwnView,
    owner: AdmissionGateOwner,
    rateLimited: Family<Counter>,
    authorization: AuthorizationMetrics,
  ) {
    this.#limited = rateLimited;
    this.#authorization = authorization;
    this.#record = record;
    this.#view = view;
    this.#owner = owner;
  }

  enter(chain: HttpChain, routed: Plan | ReplyPlan): void {
    this.#chain = chain;
    this.#routed = routed;
    const progress = (this.#progress ??= new AdmissionProgress());
    progress.clear();
    this.#record.admission = progress;
    this.resume();
  }

  /** Goes on behind the step that asked for a delay. */
  resume(): void {
    const chain = this.#chain;
    const routed = this.#routed;
    if (chain === undefined || routed === undefined) return;
    const record = this.#record;
    const admission = admit(this.#view, chain, routed, this.#factsOf(record), this.#progress);
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

  /** The exchange is over, or a tunnel by now. */
  leave(now: number): void {
    if (this.#watchedSince >= 0) this.#endWatch(now);
    this.#chain = undefined;
    this.#routed = undefined;
    if (!this.#faulty) return;
    this.#faulty = false;
    this.#view.load.addActiveFaults(-1);
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
    const { responseCode, grpc, grpcStatus, responseCodeDetails } = this.#record;
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
    this.#record.addFlag(admission.flag);
    this.#record.responseCodeDetails = admission.details;
    return admissionReply(this.#record, admission, routed.responseHeaders);
  }

  /** The same for every request of a connection. */
  #factsOf({ request, source }: ExchangeRecord): Facts {
    this.#facts ??= {
      request,
      principal: source.peerSpiffeId === "" ? undefined : source.peerSpiffeId,
      remoteAddress: source.remoteAddress,
      connection: source.connection,
    };
    return this.#facts;
  }
}
