import type { JsonObject } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { DecisionView, EngineRequest, Outcome, Plan } from "../contract.js";
import type { HttpChain } from "../snapshot/contract.js";
import { GIVE_UP } from "../contract.js";
import { createLoadTable } from "../load/load-table.js";
import { route } from "../route/route.js";
import { createSnapshotSource } from "../snapshot/snapshot-source.js";
import { apiListener, edsCluster, endpoints, request, routes, routeTo } from "../testing/resources.js";
import type { TraceEvent } from "../trace.js";
import { mayHedge, next } from "./next.js";

const DEFAULT_ON =
  "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes,reset-before-request";

function retrying(
  retryPolicy: object | undefined,
  cluster: Parameters<typeof edsCluster>[1] = {},
  marks: JsonObject = {},
  more: object = {},
) {
  const load = createLoadTable();
  const source = createSnapshotSource({ load });
  const value = {
    clusterSpecifier: { case: "cluster", value: "c" },
    ...(retryPolicy === undefined ? {} : { retryPolicy }),
    ...more,
  } as const;
  const metadata = { filterMetadata: { "tulle.dev": marks } };
  const rejections = source.apply([
    apiListener("l", "r"),
    routes("r", [{ match: routeTo("c").match!, action: { case: "route", value }, metadata }]),
    edsCluster("c", cluster),
    endpoints("c", [{ address: "10.0.0.1" }]),
  ]);
  expect(rejections).toEqual([]);
  const view: DecisionView = { snapshot: source.current, load, now: 1000, wallMs: NOW, entropy: 7 };
  const plan = route(view, source.current.outbound("l") as HttpChain, request()) as Plan;
  return {
    load,
    plan,
    view,
    next: (outcome: Outcome, init: Partial<EngineRequest> = {}, attempts = 1, entropy = 7) =>
      next({ ...view, entropy }, plan, request(init), { attempts, triedSlots: [] }, outcome),
  };
}

function retries(
  retryOn: string,
  outcome: Outcome,
  init: Partial<EngineRequest> = {},
  more: object = {},
): boolean {
  return retrying({ retryOn, ...more }).next(outcome, init) !== GIVE_UP;
}

/** A moment of the wall clock at which windows of ten seconds begin. */
const NOW = 1_700_000_000_000;
const POST = { method: "POST" };
const CONNECT: Outcome = { kind: "connect-failure" };
const reset = (init: Partial<Extract<Outcome, { kind: "reset" }>> = {}): Outcome => ({
  kind: "reset",
  requestSent: true,
  responseStarted: false,
  reusedConnection: false,
  ...init,
});
const status = (code: number, grpcStatus = -1, headers: string[] = []): Outcome => ({
  kind: "response",
  status: code,
  grpcStatus,
  headers,
});

test("next gives up without a retry policy", () => {
  expect(retrying(undefined).next(CONNECT)).toBe(GIVE_UP);
});

test("next tries any request again that cannot have reached the application", () => {
  expect(retries(DEFAULT_ON, CONNECT, POST)).toBe(true);
  expect(retries("503", CONNECT, POST)).toBe(true);
  expect(retries(DEFAULT_ON, reset({ requestSent: false }), POST)).toBe(true);
  expect(retries(DEFAULT_ON, reset({ requestSent: false, reusedConnection: true }), POST)).toBe(true);
});

test("next repeats a request after it was sent only if that can do no harm", () => {
  for (const method of ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"])
    expect(retries(DEFAULT_ON, reset(), { method })).toBe(true);
  expect(retries(DEFAULT_ON, reset(), POST)).toBe(false);
  expect(retries(DEFAULT_ON, reset(), { method: "PATCH" })).toBe(false);
  expect(retries(DEFAULT_ON, reset(), { ...POST, headers: ["Idempotency-Key", "1"] })).toBe(true);
  expect(retries("reset,5xx", reset(), POST)).toBe(false);
  expect(retries("cancelled", reset())).toBe(false);
});

test("next takes the loss of a reused connection for a failed connection when the request may be repeated", () => {
  expect(retries("connect-failure", reset({ reusedConnection: true }))).toBe(true);
  expect(retries("connect-failure", reset({ reusedConnection: false }))).toBe(false);
  expect(retries("connect-failure", reset({ reusedConnection: true }), POST)).toBe(false);
});

test("next repeats nothing once the response has begun", () => {
  expect(retries(`${DEFAULT_ON},reset,5xx`, reset({ responseStarted: true }))).toBe(false);
});

test("next repeats timed-out tries of repeatable requests under reset, 5xx and gateway-error", () => {
  expect(retries("5xx", { kind: "per-try-timeout" })).toBe(true);
  expect(retries("5xx", { kind: "per-try-timeout" }, POST)).toBe(false);
  expect(retries("connect-failure", { kind: "per-try-timeout" })).toBe(false);
});

test.each([
  ["5xx", 500, -1, true],
  ["5xx", 429, -1, false],
  ["gateway-error", 500, -1, false],
  ["gateway-error", 503, -1, true],
  ["retriable-4xx", 409, -1, true],
  ["503,429", 429, -1, true],
  ["503", 500, -1, false],
  ["unavailable", 200, 14, true],
  ["unavailable", 200, 0, false],
  ["cancelled", 200, 1, true],
  ["deadline-exceeded", 200, 4, true],
  ["resource-exhausted", 200, 8, true],
  ["internal", 200, 13, true],
  [DEFAULT_ON, 503, -1, false],
])("next under %s after status %i, grpc-status %i: %s", (retryOn, code, grpcStatus, expected) => {
  expect(retries(retryOn, status(code, grpcStatus))).toBe(expected);
});

test("next repeats a POST after a response only when the policy names its status", () => {
  expect(retries("5xx,gateway-error", status(503), POST)).toBe(false);
  expect(retries("unavailable", status(200, 14), POST)).toBe(false);
  expect(retries("503", status(503), POST)).toBe(true);
  expect(retries("retriable-status-codes", status(503), POST, { retriableStatusCodes: [503] })).toBe(true);
});

test("next stops after the retries that the policy allows", () => {
  const { next: decide } = retrying({ retryOn: DEFAULT_ON, numRetries: 2 });
  expect([1, 2, 3].map((attempts) => decide(CONNECT, {}, attempts) !== GIVE_UP)).toEqual([true, true, false]);
});

test("next keeps to the requests that the policy is for", () => {
  const policy = { retryOn: DEFAULT_ON, retriableRequestHeaders: [{ name: "x-retry" }] };
  expect(retrying(policy).next(CONNECT)).toBe(GIVE_UP);
  expect(retrying(policy).next(CONNECT, { headers: ["X-Retry", ""] })).not.toBe(GIVE_UP);
});

test("next backs off at random below a bound that doubles up to the maximum, the same for the same entropy", () => {
  const { next: decide } = retrying({ retryOn: DEFAULT_ON, numRetries: 20 });
  const longest = (attempts: number) =>
    Math.max(...Array.from({ length: 400 }, (_, entropy) => decide(CONNECT, {}, attempts, entropy)));
  expect(longest(1)).toBe(24);
  expect(longest(2)).toBe(49);
  expect(longest(9)).toBeGreaterThan(230);
  expect(longest(9)).toBeLessThan(250);
  expect(decide(CONNECT, {}, 3)).toBe(decide(CONNECT, {}, 3));
});

test("next gives up when the cluster has as many retries under way as it may have", () => {
  const limited = retrying({ retryOn: DEFAULT_ON }, { circuitBreakers: { thresholds: [{ maxRetries: 1 }] } });
  limited.load.begin(limited.plan.cluster.slot, 0, true);
  expect(limited.next(CONNECT)).toBe(GIVE_UP);
  limited.load.end(limited.plan.cluster.slot, 0, true);
  expect(limited.next(CONNECT)).not.toBe(GIVE_UP);
});

test("next counts a retry budget against the requests under way", () => {
  const thresholds = [{ retryBudget: { budgetPercent: { value: 50 }, minRetryConcurrency: 1 } }];
  const { load, plan, next: decide } = retrying({ retryOn: DEFAULT_ON }, { circuitBreakers: { thresholds } });
  load.begin(plan.cluster.slot, 0, true);
  expect(decide(CONNECT)).toBe(GIVE_UP);
  for (let count = 0; count < 3; count++) load.begin(plan.cluster.slot, 0);
  expect(decide(CONNECT)).not.toBe(GIVE_UP);
});

test.each([
  ["retriable-4xx", status(409), true],
  ["retriable-headers", status(200, -1, ["X-Again", "1"]), true],
  ["retriable-headers", status(503), false],
  ["envoy-ratelimited", status(429, -1, ["x-envoy-ratelimited", "true"]), true],
  ["envoy-ratelimited", status(429), false],
  ["5xx,429", status(429, -1, ["x-envoy-ratelimited", "true"]), false],
  ["5xx,503", status(503, -1, ["X-Envoy-Overloaded", "true"]), false],
  ["http3-post-connect-failure", status(503), false],
] as const)("next of a POST under %s: %j", (retryOn, outcome, expected) => {
  const more = { retriableHeaders: [{ name: "x-again" }] };
  expect(retries(retryOn, outcome, POST, more)).toBe(expected);
});

test("next repeats a gRPC call after the statuses that somebody wrote, and not after those of the mesh's default", () => {
  const call = { method: "POST", headers: ["content-type", "application/grpc"] };
  expect(retrying({ retryOn: DEFAULT_ON }).next(status(200, 14), call)).toBe(GIVE_UP);
  const stated = retrying({ retryOn: "unavailable,reset" }, {}, { retryOnStated: true });
  expect(stated.next(status(200, 14), call)).not.toBe(GIVE_UP);
  expect(stated.next(reset(), call)).toBe(GIVE_UP);
});

test("next repeats a POST under every condition where the route says so", () => {
  const marked = retrying({ retryOn: "5xx" }, {}, { retryNonIdempotent: true });
  expect(marked.next(status(500), POST)).not.toBe(GIVE_UP);
  expect(marked.next(reset(), POST)).not.toBe(GIVE_UP);
  expect(marked.next({ kind: "per-try-timeout" }, POST)).not.toBe(GIVE_UP);
});

test("next does not repeat what the next sidecar has repeated already", () => {
  expect(retries("5xx,503,reset", { kind: "retried" })).toBe(false);
});

test("next leaves an application that cannot be reached, or breaks off, to the caller's sidecar", () => {
  expect(retries("reset-before-request", CONNECT)).toBe(false);
  expect(retries("reset-before-request", reset())).toBe(false);
  expect(retries("reset-before-request", reset({ reusedConnection: true }))).toBe(true);
  expect(retries("reset-before-request", reset({ requestSent: false }), POST)).toBe(true);
});

test.each([
  [["retry-after", "2"], 2000],
  [["retry-after", "6"], GIVE_UP],
  [["retry-after", new Date(NOW + 3000).toUTCString()], 3000],
  [["retry-after", "soon"], undefined],
  [["grpc-retry-pushback-ms", "700"], 700],
  [["grpc-retry-pushback-ms", "-1"], GIVE_UP],
  [["grpc-retry-pushback-ms", "x"], GIVE_UP],
])("next waits as the answer with %j asks", (headers, expected) => {
  const delayMs = retrying({ retryOn: "503" }).next(status(503, -1, headers));
  if (expected === undefined) expect(delayMs).toBeLessThan(25);
  else if (expected === GIVE_UP) expect(delayMs).toBe(GIVE_UP);
  else {
    expect(delayMs).toBeGreaterThanOrEqual(expected);
    expect(delayMs).toBeLessThanOrEqual(expected * 1.5);
  }
});

test.each([
  [["x-ratelimit-reset", String(NOW / 1000 + 10)], 10_000],
  [["x-ratelimit-reset", "nonsense", "retry-after", "8"], 8000],
  [["retry-after", "61"], 0],
])("next takes the policy's reset headers in order: %j", (headers, expected) => {
  const rateLimitedRetryBackOff = {
    resetHeaders: [{ name: "X-RateLimit-Reset", format: 1 }, { name: "retry-after" }],
    maxInterval: { seconds: 60n },
  };
  const delayMs = retrying({ retryOn: "503", rateLimitedRetryBackOff }).next(status(503, -1, headers));
  expect(delayMs).toBeGreaterThanOrEqual(expected);
  expect(delayMs).toBeLessThanOrEqual(Math.max(25, expected * 1.5));
});

test("next does not begin what cannot be over in time", () => {
  const { view, plan } = retrying({ retryOn: "503" });
  const decide = (deadlineMs: number) =>
    next(
      view,
      plan,
      request(),
      { attempts: 1, triedSlots: [], deadlineMs },
      status(503, -1, ["retry-after", "1"]),
    );
  expect(decide(view.now + 900)).toBe(GIVE_UP);
  expect(decide(view.now + 2000)).not.toBe(GIVE_UP);
});

test("next keeps retries of what was sent to a fifth of the last requests where no budget is set", () => {
  const { load, plan, next: decide } = retrying({ retryOn: DEFAULT_ON });
  const count = (times: number, retry: boolean) => {
    for (let i = 0; i < times; i++) load.countRecent(plan.cluster.slot, 10_000, NOW, retry);
  };
  count(30, true);
  expect(decide(reset())).toBe(GIVE_UP);
  // Nothing that the application does twice.
  expect(decide(CONNECT)).not.toBe(GIVE_UP);
  count(160, false);
  expect(decide(reset())).not.toBe(GIVE_UP);
  count(2, true);
  expect(decide(reset())).toBe(GIVE_UP);
});

test("next counts a budget with an interval over that time, and all retries against it", () => {
  const thresholds = [{ retryBudget: { budgetPercent: { value: 50 }, minRetryConcurrency: 1 } }];
  const metadata = { filterMetadata: { "tulle.dev": { retryBudgetIntervalMs: 2000 } } };
  const limited = retrying({ retryOn: DEFAULT_ON }, { circuitBreakers: { thresholds }, metadata });
  limited.load.countRecent(limited.plan.cluster.slot, 2000, NOW, true);
  expect(limited.next(CONNECT)).toBe(GIVE_UP);
  for (let i = 0; i < 3; i++) limited.load.countRecent(limited.plan.cluster.slot, 2000, NOW, false);
  expect(limited.next(CONNECT)).not.toBe(GIVE_UP);
});

test("mayHedge allows tries beside others up to the plan's number, for what may be repeated, within the budget", () => {
  const { view, plan, load } = retrying(undefined, {}, { hedge: { afterMs: 50, max: 2 } });
  const hedge = (attempts: number, init: Partial<EngineRequest> = {}) =>
    mayHedge(view, plan, request(init), { attempts, triedSlots: [] });
  expect([hedge(1), hedge(2), hedge(3)]).toEqual([true, true, false]);
  expect(hedge(1, POST)).toBe(false);
  expect(hedge(1, { ...POST, headers: ["idempotency-key", "1"] })).toBe(true);
  for (let i = 0; i < 30; i++) load.countRecent(plan.cluster.slot, 10_000, NOW, true);
  expect(hedge(1)).toBe(false);
});

test("next says why to a trace", () => {
  const events: TraceEvent[] = [];
  const { view, plan } = retrying({ retryOn: "5xx" });
  const traced = { ...view, trace: { add: (event: TraceEvent) => events.push(event) } };
  const attempt = { attempts: 1, triedSlots: [] };
  next(traced, plan, request(), attempt, status(503));
  next(traced, plan, request(POST), attempt, status(503));
  next(traced, plan, request(), { ...attempt, attempts: 2 }, status(503));
  expect(events.map(({ verdict, reason }) => `${verdict}: ${reason}`)).toEqual([
    "chosen: tried again: retryOn 5xx holds and a GET may be repeated",
    "passed-over: not tried again: a POST without Idempotency-Key that the application may have seen is not repeated",
    "passed-over: not tried again: its retries are used up",
  ]);
});
