import { expect, test } from "vitest";
import { GIVE_UP, type EngineRequest, type Outcome, type Plan } from "../contract.js";
import { createLoadTable } from "../load/load-table.js";
import { next } from "../next/next.js";
import type { HttpChain } from "../snapshot/contract.js";
import { createSnapshotSource } from "../snapshot/snapshot-source.js";
import { apiListener, edsCluster, endpoints, request, routes, routeTo } from "../testing/resources.js";
import { requestControls } from "./request-controls.js";
import { route } from "./route.js";

function planned(action: object = {}) {
  const load = createLoadTable();
  const source = createSnapshotSource({ load });
  const value = { clusterSpecifier: { case: "cluster", value: "c" }, ...action } as const;
  source.apply([
    apiListener("l", "r"),
    routes("r", [{ match: routeTo("c").match!, action: { case: "route", value } }]),
    edsCluster("c"),
    endpoints("c", [{ address: "10.0.0.1" }]),
  ]);
  const view = { snapshot: source.current, load, now: 0, entropy: 7 };
  const plan = route(view, source.current.outbound("l") as HttpChain, request()) as Plan;
  return {
    plan,
    retries: (controlled: Plan, outcome: Outcome, init: Partial<EngineRequest> = {}) =>
      next(view, controlled, request(init), { attempts: 1, triedSlots: [] }, outcome) !== GIVE_UP,
  };
}

const answer = (status: number, headers: string[] = []): Outcome => ({
  kind: "response",
  status,
  grpcStatus: -1,
  headers,
});

test("requestControls gives the same plan where no header says anything that can be read", () => {
  const { plan } = planned({ retryPolicy: { retryOn: "5xx" } });
  for (const headers of [
    [],
    ["x-other", "1"],
    ["x-envoy-upstream-rq-timeout-ms", "-5"],
    ["x-envoy-max-retries", "many"],
    ["x-envoy-retry-on", "whatever"],
    ["x-envoy-hedge-on-per-try-timeout", "yes"],
  ])
    expect(requestControls(plan, headers)).toBe(plan);
});

test.each([
  [["X-Envoy-Upstream-Rq-Timeout-Ms", "250"], { timeoutMs: 250 }],
  [["x-envoy-upstream-rq-timeout-ms", "0"], { timeoutMs: 0 }],
  [["x-envoy-upstream-rq-timeout-ms", "9999999999"], { timeoutMs: 0x7fffffff }],
  [["x-envoy-upstream-rq-per-try-timeout-ms", "100"], { retry: { perTryTimeoutMs: 100 } }],
  [["x-envoy-upstream-rq-per-try-timeout-ms", "15000"], { retry: { perTryTimeoutMs: 0 } }],
  [["x-envoy-max-retries", "7"], { retry: { attempts: 7 } }],
  [["x-envoy-max-retries", "0"], { retry: undefined }],
  [["x-envoy-hedge-on-per-try-timeout", "true"], { hedge: { onPerTryTimeout: true } }],
])("requestControls with %j", (headers, expected) => {
  expect(requestControls(planned({ retryPolicy: { retryOn: "5xx" } }).plan, headers)).toMatchObject(expected);
});

test("requestControls adds conditions to those of the route, or makes a policy where there was none", () => {
  const { plan, retries } = planned();
  expect(retries(plan, answer(500))).toBe(false);
  const controlled = requestControls(plan, ["x-envoy-retry-on", "5xx, retriable-4xx"]);
  expect(controlled.retry).toMatchObject({ attempts: 1, backoffBaseMs: 25 });
  expect(retries(controlled, answer(500))).toBe(true);
  // The application itself asks for it.
  expect(retries(controlled, answer(500), { method: "POST" })).toBe(true);
  expect(requestControls(plan, ["x-envoy-retry-grpc-on", "unavailable"]).retry).toBeDefined();
  expect(requestControls(plan, ["x-envoy-max-retries", "3"])).toBe(plan);
});

test("requestControls adds status codes and header names to conditions that ask for them", () => {
  const { plan, retries } = planned({ retryPolicy: { retryOn: "retriable-status-codes,retriable-headers" } });
  expect(retries(plan, answer(418))).toBe(false);
  expect(retries(requestControls(plan, ["x-envoy-retriable-status-codes", "418, x"]), answer(418))).toBe(
    true,
  );
  const named = requestControls(plan, ["x-envoy-retriable-header-names", "X-Busy, X-Later"]);
  expect(named.retry?.looksAtEveryAnswer).toBe(true);
  expect(retries(named, answer(200, ["x-later", ""]))).toBe(true);
  expect(retries(named, answer(200))).toBe(false);
});
