import type {
  AdmissionMutation,
  CallTranslation,
  EngineRequest,
  ExchangeWatcher,
  Facts,
  HeaderMutation,
  Judgement,
  Limited,
  StepAdmission,
} from "../contract.js";
import type { Fact } from "../facts/contract.js";
import { applyHeaders } from "../route/header-mutations.js";
import { mergeMetadata } from "./merge-metadata.js";

/** How far a request has come through the steps, and what they alter on the way. One per exchange, reused. */
export class AdmissionProgress {
  /** Index of the step that is asked next. */
  next = 0;
  /** What a step had to say after the delay that it asked for. */
  pending: StepAdmission | undefined;
  /** What the step that is asked next wanted to know: set it before going on. */
  fact: Fact | undefined;
  /** The request as the steps so far have altered it; undefined = as it came. */
  altered: EngineRequest | undefined;
  readonly request: HeaderMutation[] = [];
  readonly response: HeaderMutation[] = [];
  /** Limits that it was beyond. */
  readonly limited: Limited[] = [];
  /** What authorization filters found that somebody may want to know: refusals, dry runs, audits. */
  readonly judged: Judgement[] = [];
  /** Who is told when it begins and ends. */
  readonly watchers: ExchangeWatcher[] = [];
  /** 0 = as it comes. */
  responseBytesPerSecond = 0;
  /** -1 = never. */
  resetAfterBytes = -1;
  /** What becomes of body and answer; undefined = they go as they come. */
  translation: CallTranslation | undefined;

  /** Prepares for a new request. */
  clear(): void {
    this.next = 0;
    this.pending = undefined;
    this.fact = undefined;
    this.altered = undefined;
    if (this.request.length > 0) this.request.length = 0;
    if (this.response.length > 0) this.response.length = 0;
    if (this.limited.length > 0) this.limited.length = 0;
    if (this.judged.length > 0) this.judged.length = 0;
    if (this.watchers.length > 0) this.watchers.length = 0;
    this.responseBytesPerSecond = 0;
    this.resetAfterBytes = -1;
    this.translation = undefined;
  }

  /** What the next step is told: `facts`, where nothing of them has changed. The answer to a need is told once. */
  told(facts: Facts): Facts {
    const { fact, altered } = this;
    if (fact === undefined && altered === undefined) return facts;
    this.fact = undefined;
    return { ...facts, request: altered ?? facts.request, fact };
  }

  /** Notes what a step alters of the request `came`: header changes add up, of limits the tighter one counts. */
  note(mutation: AdmissionMutation, came: EngineRequest): void {
    const { request, response, limited, judged, watcher, responseBytesPerSecond, resetAfterBytes } = mutation;
    const { metadata, path, method } = mutation;
    if (request !== undefined) this.request.push(...request);
    const alters = (request !== undefined && request.length > 0) || metadata !== undefined;
    if (alters || path !== undefined || method !== undefined)
      this.altered = alter(this.altered ?? came, mutation);
    if (mutation.translation !== undefined) this.translation = mutation.translation;
    if (response !== undefined) this.response.push(...response);
    if (limited !== undefined) this.limited.push(limited);
    if (judged !== undefined) this.judged.push(...judged);
    if (watcher !== undefined) this.watchers.push(watcher);
    if (responseBytesPerSecond !== undefined) {
      const before = this.responseBytesPerSecond;
      this.responseBytesPerSecond =
        before === 0 ? responseBytesPerSecond : Math.min(before, responseBytesPerSecond);
    }
    if (resetAfterBytes !== undefined) {
      const before = this.resetAfterBytes;
      this.resetAfterBytes = before < 0 ? resetAfterBytes : Math.min(before, resetAfterBytes);
    }
  }
}

function alter(
  { method, path, authority, scheme, headers, metadata }: EngineRequest,
  mutation: AdmissionMutation,
): EngineRequest {
  const altered = [...headers];
  if (mutation.request !== undefined) applyHeaders(altered, mutation.request);
  return {
    method: mutation.method ?? method,
    path: mutation.path ?? path,
    authority,
    scheme,
    headers: altered,
    metadata: mergeMetadata(metadata, mutation.metadata),
  };
}
