import { expect, test } from "vitest";
import type { DecisionView, EngineRequest, Outcome, Plan } from "../contract.js";
import type { HttpChain } from "../snapshot/contract.js";
import { GIVE_UP } from "../contract.js";
import { createLoadTable } from "../load/load-table.js";
import { route } from "../route/route.js";
import { createSnapshotSource } from "../snapshot/snapshot-source.js";
import { apiListener, edsCluster, endpoints, request, routes, routeTo } from "../testing/resources.js";
import { next } from "./next.js";

const DEFAULT_ON =
  "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes,reset-before-request";

function retrying(retryPolicy: object | undefined, cluster: Parameters<typeof edsCluster>[1] = {}) {
  const load = createLoadTable();
  const source = createSnapshotSource({ load });
  const value = {
    clusterSpecifier: { case: "cluster", value: "c" },
    ...(retryPolicy === undefined ? {} : { retryPolicy }),
  } as const;
  const rejections = source.apply([
    apiListener("l", "r"),
    routes("r", [{ match: routeTo("c").match!, action: { case: "route", value } }]),
    edsCluster("c", cluster),
    endpoints("c", [{ address: "10.0.0.1" }]),
  ]);
  expect(rejections).toEqual([]);
  const view: DecisionView = { snapshot: source.current, load, now: 0, entropy: 7 };
  const plan = route(view, source.current.outbound("l") as HttpChain, request()) as Plan;
  return {
    load,
    plan,
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

const POST = { method: "POST" };
const CONNECT: Outcome = { kind: "connect-failure" };
const reset = (init: Partial<Extract<Outcome, { kind: "reset" }>> = {}): Outcome => ({
  kind: "reset",
  requestSent: true,
  responseStarted: false,
  reusedConnection: false,
  ...init,
});
const status = (code: number, grpcStatus = -1): Outcome => ({ kind: "response", status: code, grpcStatus });

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
