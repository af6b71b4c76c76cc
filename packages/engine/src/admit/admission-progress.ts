import type {
  AdmissionMutation,
  ExchangeWatcher,
  HeaderMutation,
  Judgement,
  Limited,
  StepAdmission,
} from "../contract.js";

/** How far a request has come through the steps, and what they alter on the way. One per exchange, reused. */
export class AdmissionProgress {
  /** Index of the step that is asked next. */
  next = 0;
  /** What a step had to say after the delay that it asked for. */
  pending: StepAdmission | undefined;
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

  /** Prepares for a new request. */
  clear(): void {
    this.next = 0;
    this.pending = undefined;
    if (this.request.length > 0) this.request.length = 0;
    if (this.response.length > 0) this.response.length = 0;
    if (this.limited.length > 0) this.limited.length = 0;
    if (this.judged.length > 0) this.judged.length = 0;
    if (this.watchers.length > 0) this.watchers.length = 0;
    this.responseBytesPerSecond = 0;
    this.resetAfterBytes = -1;
  }

  /** Notes what a step alters: header changes add up, of limits the tighter one counts. */
  note(mutation: AdmissionMutation): void {
    const { request, response, limited, judged, watcher, responseBytesPerSecond, resetAfterBytes } = mutation;
    if (request !== undefined) this.request.push(...request);
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
