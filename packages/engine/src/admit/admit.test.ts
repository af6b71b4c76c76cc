import { describe, expect, test } from "vitest";

import type { AdmissionStep, DecisionView, Facts, Plan, RouteFilters, StepAdmission } from "../contract.js";
import { Chain } from "../snapshot/chain.js";
import type { TraceEvent } from "../trace.js";
import { AdmissionProgress } from "./admission-progress.js";
import { admit, hasSteps } from "./admit.js";
import type { ChainFilter } from "./chain-filters.js";
import { mergeRouteFilters } from "./route-filters.js";

const facts = {} as Facts;
const view = {} as DecisionView;

function says(said: StepAdmission | undefined): AdmissionStep {
  return { admit: () => said };
}

function reply(status: number): StepAdmission {
  return { kind: "reply", status, body: "", headers: [], flag: "", details: "" };
}

function filter(name: string, own?: AdmissionStep, disabled = false): ChainFilter {
  return { name, own, disabled };
}

function chain(...filters: ChainFilter[]): Chain {
  const settings = {
    name: "c",
    direction: "outbound",
    requestTimeoutMs: 0,
    maxDurationMs: 0,
    accessLogFormat: undefined,
    routeConfiguration: "",
    pathNormalization: "NONE",
    limits: undefined,
    filters,
    stripPort: false,
  } as const;
  return new Chain(settings, undefined, true);
}

function plan(filters?: RouteFilters): Plan {
  return { kind: "forward", filters } as Plan;
}

describe("steps of a chain", () => {
  test("a chain without steps of its own is asked only where the route says something", () => {
    expect(hasSteps(chain(), plan(new Map([["a", says(undefined)]])))).toBe(false);
    expect(hasSteps(chain(filter("a")), plan())).toBe(false);
    expect(hasSteps(chain(filter("a", says(undefined), true)), plan())).toBe(false);
    expect(hasSteps(chain(filter("a", says(undefined))), plan())).toBe(true);
    expect(hasSteps(chain(filter("a")), plan(new Map([["a", says(undefined)]])))).toBe(true);
  });

  test("run in their order, and the first that answers ends it", () => {
    const steps = chain(
      filter("a", says(undefined)),
      filter("b", says(reply(429))),
      filter("c", says(reply(403))),
    );
    expect(admit(view, steps, plan(), facts)).toMatchObject({ kind: "reply", status: 429 });
  });

  test("alter the request and the response, and go on", () => {
    const progress = new AdmissionProgress();
    const add = (name: string): StepAdmission => ({
      kind: "mutate",
      request: [{ op: "append", name, value: "1" }],
      response: [{ op: "remove", name }],
      responseBytesPerSecond: name === "a" ? 1000 : 200,
    });
    const steps = chain(filter("a", says(add("a"))), filter("b", says(add("b"))));
    expect(admit(view, steps, plan(), facts, progress)).toEqual({ kind: "continue" });
    expect(progress.request.map(({ name }) => name)).toEqual(["a", "b"]);
    expect(progress.response.map(({ name }) => name)).toEqual(["a", "b"]);
    expect(progress.responseBytesPerSecond).toBe(200);
    progress.clear();
    expect(progress).toEqual(new AdmissionProgress());
  });

  test("after a delay what the step said comes first, then the steps behind it", () => {
    const progress = new AdmissionProgress();
    const delay: StepAdmission = { kind: "delay", ms: 50, flag: "DI", after: undefined };
    const steps = chain(filter("a", says(delay)), filter("b", says({ ...delay, after: reply(503) })));
    expect(admit(view, steps, plan(), facts, progress)).toBe(delay);
    expect(admit(view, steps, plan(), facts, progress)).toMatchObject({ kind: "delay" });
    expect(admit(view, steps, plan(), facts, progress)).toMatchObject({ kind: "reply", status: 503 });
  });

  test("a route replaces, disables and enables the chain's", () => {
    const steps = chain(filter("a", says(reply(401))), filter("b", says(reply(402)), true));
    const run = (filters: RouteFilters): unknown => {
      const admission = admit(view, steps, plan(filters), facts);
      return admission.kind === "reply" ? admission.status : admission.kind;
    };
    expect(run(new Map([["a", says(reply(500))]]))).toBe(500);
    expect(run(new Map([["a", "disabled"]]))).toBe("continue");
    expect(
      run(
        new Map([
          ["a", "disabled"],
          ["b", "enabled"],
        ]),
      ),
    ).toBe(402);
    expect(run(new Map([["b", "enabled"]]))).toBe(401);
  });

  test("a trace is told of what a route disables", () => {
    const events: TraceEvent[] = [];
    const traced = { trace: { add: (event: TraceEvent) => events.push(event) } } as unknown as DecisionView;
    admit(traced, chain(filter("a", says(reply(401)))), plan(new Map([["a", "disabled"]])), facts);
    expect(events).toMatchObject([{ step: "filter", subject: "a", verdict: "passed-over" }]);
  });
});

test("of several levels the most specific one counts, filter by filter", () => {
  const route = new Map([["a", "disabled" as const]]);
  const host = new Map([
    ["a", "enabled" as const],
    ["b", "enabled" as const],
  ]);
  expect(mergeRouteFilters([new Map(), new Map()])).toBeUndefined();
  expect(mergeRouteFilters([new Map(), host])).toBe(host);
  expect(mergeRouteFilters([route, host])).toEqual(
    new Map([
      ["a", "disabled"],
      ["b", "enabled"],
    ]),
  );
});
