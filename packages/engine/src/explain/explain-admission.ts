import { AdmissionProgress } from "../admit/admission-progress.js";
import { admit } from "../admit/admit.js";
import type { Admission, DecisionView, Facts, Plan, ReplyPlan, Routed } from "../contract.js";
import { assumedFact } from "../facts/assumed-fact.js";
import type { Fact, FactNeed } from "../facts/contract.js";
import { route } from "../route/route.js";
import {
  admitConnection,
  ConnectionProgress,
  type ConnectionRefusal,
} from "../authorization/connection-guard.js";
import type { HttpChain, TcpChain } from "../snapshot/contract.js";
import type { Explanation, ExplainedAdmission, ExplainedNeed, ExplainedResult } from "./contract.js";

/** How often filters of one request may wait, ask or have it routed anew, at most. */
const MAX_TURNS = 100;

/** Tells what a filter must know from outside, where that can be known here; undefined = it cannot. */
export type KnownFacts = (need: FactNeed, facts: Facts) => Fact | undefined;

/** What the filters say in the end, and what they do on the way. */
export interface Admitted {
  readonly end: Extract<Admission, { kind: "continue" | "reply" | "reset" }>;
  readonly did: ExplainedAdmission | undefined;
  /** The route in the end: what filters find out may lead to another one. */
  readonly routed: Routed;
}

/**
 * Asks the filters as live traffic does, without waiting where they delay, and without asking anybody: what is not known
 * here is taken to be in the request's favour, and listed.
 */
export function admitAll(
  view: DecisionView,
  chain: HttpChain,
  plan: Plan | ReplyPlan,
  facts: Facts,
  known?: KnownFacts,
): Admitted {
  const progress = new AdmissionProgress();
  const needs: ExplainedNeed[] = [];
  let routed = plan;
  let delayMs = 0;
  for (let turn = 0; turn <= MAX_TURNS; turn++) {
    const end = admit(view, chain, routed, facts, progress);
    if (end.kind === "delay") delayMs += end.ms;
    else if (end.kind === "need") progress.fact = factFor(end.need, facts, known, needs);
    else if (end.kind === "reroute") {
      const anew = route(view, chain, progress.altered ?? facts.request);
      if (anew.kind === "no-route")
        return { end: { kind: "continue" }, did: didOf(progress, delayMs, needs), routed: anew };
      routed = anew;
    } else return { end, did: didOf(progress, delayMs, needs), routed };
  }
  return { end: { kind: "continue" }, did: didOf(progress, delayMs, needs), routed };
}

/** What the filters of a chain that carries bytes say, and whom they would ask. */
export function admitBytes(
  { trace }: DecisionView,
  chain: TcpChain,
  facts: Facts,
  known?: KnownFacts,
): Pick<Explanation, "admission"> & { readonly refusal?: ConnectionRefusal | undefined } {
  if (facts.connection === undefined) return {};
  const progress = new ConnectionProgress();
  const needs: ExplainedNeed[] = [];
  for (;;) {
    const judgement = admitConnection(chain, facts.connection, facts, progress, trace);
    if (judgement?.need !== undefined) progress.fact = factFor(judgement.need, facts, known, needs);
    else {
      const admission = didOf(new AdmissionProgress(), 0, needs);
      return { refusal: judgement?.refusal, ...(admission !== undefined && { admission }) };
    }
  }
}

function factFor(need: FactNeed, facts: Facts, known: KnownFacts | undefined, needs: ExplainedNeed[]): Fact {
  const fact = known?.(need, facts);
  needs.push({ kind: need.kind, asks: need.asks, assumed: fact === undefined });
  return fact ?? assumedFact(need);
}

function didOf(
  { request, response, responseBytesPerSecond, resetAfterBytes }: AdmissionProgress,
  delayMs: number,
  needs: readonly ExplainedNeed[],
): ExplainedAdmission | undefined {
  const nothing =
    needs.length === 0 &&
    delayMs === 0 &&
    request.length === 0 &&
    response.length === 0 &&
    responseBytesPerSecond === 0 &&
    resetAfterBytes < 0;
  if (nothing) return undefined;
  return {
    delayMs,
    ...(needs.length === 0 ? {} : { needs }),
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
