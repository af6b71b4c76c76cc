import { AdmissionProgress } from "../admit/admission-progress.js";
import { admit } from "../admit/admit.js";
import type { Admission, DecisionView, Facts, Plan, ReplyPlan } from "../contract.js";
import type { HttpChain } from "../snapshot/contract.js";
import type { ExplainedAdmission, ExplainedResult } from "./contract.js";

/** Filters that delay one request, at most. */
const MAX_DELAYS = 100;

/** What the filters say in the end, and what they do on the way. */
export interface Admitted {
  readonly end: Exclude<Admission, { kind: "delay" }>;
  readonly did: ExplainedAdmission | undefined;
}

/** Asks the filters as live traffic does, without waiting where they delay. */
export function admitAll(
  view: DecisionView,
  chain: HttpChain,
  plan: Plan | ReplyPlan,
  facts: Facts,
): Admitted {
  const progress = new AdmissionProgress();
  let delayMs = 0;
  for (let asked = 0; asked <= MAX_DELAYS; asked++) {
    const end = admit(view, chain, plan, facts, progress);
    if (end.kind === "delay") {
      delayMs += end.ms;
      continue;
    }
    return { end, did: didOf(progress, delayMs) };
  }
  return { end: { kind: "continue" }, did: didOf(progress, delayMs) };
}

function didOf(
  { request, response, responseBytesPerSecond, resetAfterBytes }: AdmissionProgress,
  delayMs: number,
): ExplainedAdmission | undefined {
  const nothing =
    delayMs === 0 &&
    request.length === 0 &&
    response.length === 0 &&
    responseBytesPerSecond === 0 &&
    resetAfterBytes < 0;
  if (nothing) return undefined;
  return {
    delayMs,
    requestHeaders: [...request],
    responseHeaders: [...response],
    responseBytesPerSecond,
    resetAfterBytes,
  };
}

/** What a filter's answer comes to; undefined when none answered. */
export function denial({ end }: Admitted): ExplainedResult | undefined {
  switch (end.kind) {
    case "continue":
      return undefined;
    case "reset":
      return { kind: "reset", flag: end.flag };
    case "reply": {
      const { status, flag, body, headers } = end;
      return { kind: "denied", status, flag, body, headers: headerLines(headers) };
    }
  }
}

/** `name: value` */
export function headerLines(headers: readonly string[]): readonly string[] {
  const written: string[] = [];
  for (let index = 0; index < headers.length; index += 2)
    written.push(`${headers[index]!}: ${headers[index + 1]!}`);
  return written;
}
