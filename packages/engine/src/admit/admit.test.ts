import { describe, expect, test } from "vitest";

import type { AdmissionStep, DecisionView, Facts, Plan, RouteFilters, StepAdmission } from "../contract.js";
import type { Fact } from "../facts/contract.js";
import type { ExtAuthzNeed } from "../facts/ext-authz.js";
import { Chain } from "../snapshot/chain.js";
import type { TraceEvent } from "../trace.js";
import { AdmissionProgress } from "./admission-progress.js";
import { admit, hasSteps } from "./admit.js";
import type { ChainFilter } from "./chain-filters.js";
import { mergeRouteFilters } from "./route-filters.js";

const facts = { request: { headers: [] as string[] } } as unknown as Facts;
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

describe("a step that must know something", () => {
  const need = { kind: "ext-authz", asks: "authz" } as ExtAuthzNeed;
  const fact: Fact = { kind: "failed", reason: "timeout", detail: "" };
  const request = {
    method: "GET",
    path: "/",
    authority: "a",
    scheme: "http",
    headers: ["X-User", "eve"],
  } as const;
  const came = { request, principal: undefined } as unknown as Facts;

  test("is asked again with the answer, which nobody else is told", () => {
    const told: (Fact | undefined)[] = [];
    const asks: AdmissionStep = {
      admit: (_view, _plan, facts) => {
        told.push(facts.fact);
        return facts.fact === undefined ? { kind: "need", need } : undefined;
      },
    };
    const steps = chain(filter("a", asks), filter("b", asks));
    const progress = new AdmissionProgress();
    expect(admit(view, steps, plan(), came, progress)).toEqual({ kind: "need", need });
    progress.fact = fact;
    expect(admit(view, steps, plan(), came, progress)).toEqual({ kind: "need", need });
    progress.fact = fact;
    expect(admit(view, steps, plan(), came, progress)).toEqual({ kind: "continue" });
    expect(told).toEqual([undefined, fact, undefined, fact]);
  });

  test("steps behind one that alters the request see it altered, and so does the route that is chosen anew", () => {
    const progress = new AdmissionProgress();
    const seen: Facts[] = [];
    const notes: AdmissionStep = { admit: (_view, _plan, facts) => void seen.push(facts) };
    const alters: AdmissionStep = says({
      kind: "mutate",
      request: [{ op: "set", name: "x-user", value: "bob" }],
      metadata: { namespace: "n", value: { a: 1 } },
      reroute: true,
    });
    const adds = says({ kind: "mutate", metadata: { namespace: "n", value: { b: 2 } } });
    const steps = chain(filter("a", notes), filter("b", alters), filter("c", adds), filter("d", notes));
    expect(admit(view, steps, plan(), came, progress)).toEqual({ kind: "reroute" });
    expect(progress.altered?.headers).toEqual(["x-user", "bob"]);
    const other = plan(new Map([["c", "disabled"]]));
    expect(admit(view, steps, other, came, progress)).toEqual({ kind: "continue" });
    expect(seen.map(({ request: { headers } }) => headers)).toEqual([
      ["X-User", "eve"],
      ["x-user", "bob"],
    ]);
    expect(seen[0]).toBe(came);
    expect(progress.altered?.metadata?.get("n")).toEqual({ a: 1 });
    expect(request.headers).toEqual(["X-User", "eve"]);
    progress.clear();
    admit(view, chain(filter("b", alters), filter("c", adds)), plan(), came, progress);
    admit(view, chain(filter("b", alters), filter("c", adds)), plan(), came, progress);
    expect(progress.altered?.metadata?.get("n")).toEqual({ a: 1, b: 2 });
  });

  test("a route may have the chain's step in another form", () => {
    const variant = { variantOf: (own: AdmissionStep) => (own === denies ? says(reply(401)) : denies) };
    const denies = says(reply(403));
    const filters = new Map([["a", variant]]);
    expect(admit(view, chain(filter("a", denies)), plan(filters), facts)).toMatchObject({ status: 401 });
    expect(admit(view, chain(filter("a")), plan(filters), facts)).toEqual({ kind: "continue" });
  });
});
