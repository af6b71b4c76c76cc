import { GIVE_UP, type DecisionView, type EngineRequest, type Outcome, type Plan } from "../contract.js";
import { next } from "../next/next.js";
import { retryWords } from "../route/retry-on.js";
import type {
  ExplainedMirror,
  ExplainedRetry,
  ExplainedRetryPlan,
  ExplainedRoute,
  ExplainedShare,
  Owner,
} from "./contract.js";
import { ownerOf } from "./owner.js";
import { Recorder } from "./recorder.js";

/** Failures of a try that people ask about. */
const OUTCOMES: readonly (readonly [string, Outcome])[] = [
  ["connection refused", { kind: "connect-failure" }],
  [
    "reset after the request was sent",
    { kind: "reset", requestSent: true, responseStarted: false, reusedConnection: false },
  ],
  ["try timed out", { kind: "per-try-timeout" }],
  ...[500, 502, 503, 504, 429, 409].map((status): readonly [string, Outcome] => [
    String(status),
    { kind: "response", status, grpcStatus: -1, headers: [] },
  ]),
];

export function explainRoute(
  view: DecisionView,
  plan: Plan,
  request: EngineRequest,
  locate: ((owner: Owner) => string | undefined) | undefined,
): ExplainedRoute {
  const owner = ownerOf(plan.provenance, locate);
  const retry = explainRetries(view, plan, request);
  return {
    name: plan.routeName,
    ...(owner === undefined ? {} : { owner }),
    timeoutMs: plan.timeoutMs,
    idleTimeoutMs: plan.idleTimeoutMs,
    ...(retry === undefined ? {} : { retry }),
    requestHeaders: plan.requestHeaders,
    responseHeaders: plan.responseHeaders,
  };
}

function explainRetries(
  { snapshot, load, now, entropy }: DecisionView,
  plan: Plan,
  request: EngineRequest,
): ExplainedRetryPlan | undefined {
  const { retry } = plan;
  if (retry === undefined) return undefined;
  const possible = OUTCOMES.filter(([, { kind }]) => kind !== "per-try-timeout" || retry.perTryTimeoutMs > 0);
  const outcomes = possible.map(([name, outcome]): ExplainedRetry => {
    const trace = new Recorder();
    const delayMs = next(
      { snapshot, load, now, entropy, trace },
      plan,
      request,
      { attempts: 1, triedSlots: [] },
      outcome,
    );
    const reason = trace.last?.reason;
    return { outcome: name, retried: delayMs !== GIVE_UP, ...(reason === undefined ? {} : { reason }) };
  });
  return {
    attempts: retry.attempts,
    perTryTimeoutMs: retry.perTryTimeoutMs,
    on: retryWords(retry.on),
    statusCodes: retry.statusCodes,
    backoffBaseMs: retry.backoffBaseMs,
    backoffMaxMs: retry.backoffMaxMs,
    outcomes,
  };
}

export function explainMirrors({ snapshot, entropy }: DecisionView, plan: Plan): readonly ExplainedMirror[] {
  return (plan.mirrors ?? []).map((mirror) => {
    const { name, serviceHost, servicePort, subset } = mirror.plan(snapshot).cluster;
    return {
      cluster: name,
      host: serviceHost,
      port: servicePort,
      subset,
      probability: mirror.probability(snapshot),
      chosen: mirror.takes(entropy, snapshot),
    };
  });
}

/** The clusters that a route may choose, from what was recorded of the choice. */
export function explainSplit({ snapshot }: DecisionView, recorder: Recorder): readonly ExplainedShare[] {
  return recorder.of("split").map(({ subject, verdict, facts }) => {
    const part = snapshot.cluster(subject);
    return {
      cluster: subject,
      host: part?.serviceHost ?? "",
      port: part?.servicePort ?? 0,
      subset: part?.subset ?? "",
      weight: Number(facts?.["weight"] ?? 0),
      probability: Number(facts?.["probability"] ?? 0),
      chosen: verdict === "chosen",
      by: (facts?.["by"] ?? "chance") as ExplainedShare["by"],
    };
  });
}
