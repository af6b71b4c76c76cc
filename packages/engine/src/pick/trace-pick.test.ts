import { Cluster_LbPolicy as LbPolicy } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { HealthStatus } from "@tulle/xds/gen/envoy/config/core/v3/health_check_pb.js";
import { expect, test } from "vitest";

import { UNHEALTHY_EJECTED, type AttemptState, type DecisionView } from "../contract.js";
import { balanced } from "../testing/balanced.js";
import type { TraceEvent } from "../trace.js";
import { pick } from "./pick.js";

function traced(mesh: ReturnType<typeof balanced>, attempt: Partial<AttemptState> = {}) {
  const events: TraceEvent[] = [];
  const trace = { add: (event: TraceEvent) => events.push(event) };
  const view: DecisionView = { ...mesh.view(0), trace };
  const picked = pick(view, mesh.plan, { attempts: 0, triedSlots: [], ...attempt });
  return {
    picked,
    events,
    texts: events.map(({ step, subject, reason }) => `${step} ${subject}: ${reason}`),
  };
}

test("pick tells its trace every endpoint with what is held against it, and why it chose the one", () => {
  const mesh = balanced(
    [
      { address: "a", weight: 3 },
      { address: "b" },
      { address: "far", priority: 1, health: HealthStatus.DEGRADED },
    ],
    { lbPolicy: LbPolicy.RING_HASH },
  );
  mesh.load.setUnhealthy(mesh.slotOf("b"), UNHEALTHY_EJECTED, true);
  mesh.load.begin(mesh.plan.cluster.slot, mesh.slotOf("a"));
  const affinity = { key: { high: 3, low: 2 }, setCookie: "", boundTo: "", named: [] };
  const { events, texts } = traced(mesh, { affinity });
  expect(texts).toEqual([
    "cluster c: has 3 endpoints and is balanced by ring hash",
    "priority priority 0: 1 healthy endpoints get 70 % of the requests",
    "priority priority 1: 1 degraded endpoints get 30 % of the requests",
    "endpoint a:80: is healthy",
    "endpoint b:80: is unhealthy: outlier detection has ejected it",
    "endpoint far:80: is degraded",
    "endpoint a:80: what the request hashes to (0000000300000002) belongs to it",
  ]);
  expect(events[3]!.facts).toMatchObject({
    health: "healthy",
    weight: 3,
    inFlight: 1,
    priority: 0,
    ejected: false,
  });
  expect(events.at(-1)).toMatchObject({ verdict: "chosen", facts: { hashKey: "0000000300000002" } });
});

test("pick tells its trace why nobody takes the request", () => {
  expect(traced(balanced([])).texts.at(-1)).toBe("endpoint c: has no endpoints");
  const ill = balanced([{ address: "a", health: HealthStatus.UNHEALTHY }]);
  expect(traced(ill).texts.at(-1)).toBe("endpoint c: none of its endpoints may take the request");
  const full = balanced([{ address: "a" }], { circuitBreakers: { thresholds: [{ maxRequests: 0 }] } });
  expect(traced(full).texts.at(-1)).toBe(
    "endpoint c: has as many requests under way as its circuit breaker allows (0)",
  );
});

test("pick decides the same with and without a trace", () => {
  const mesh = balanced([{ address: "a" }, { address: "b" }, { address: "c" }]);
  expect(traced(mesh).picked).toBe(mesh.pick(0));
});
