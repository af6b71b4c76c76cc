import type { ExtAuthzNeed, Fact } from "@tulle/engine";
import { expect, test } from "vitest";

import type { FactAsker, FactFetcher, PendingFact } from "./contract.js";
import { FactSource } from "./fact-source.js";

const need = { kind: "ext-authz", asks: "authz" } as ExtAuthzNeed;
const allowed: Fact = {
  kind: "ext-authz",
  allowed: true,
  request: [],
  response: [],
  query: undefined,
  metadata: undefined,
  refusedMutations: 0,
};

function setUp(answer?: Fact) {
  const asked: FactAsker[] = [];
  const cancelled: number[] = [];
  let full = 0;
  const fetcher: FactFetcher = {
    kind: "ext-authz",
    fetch: (_need, asker) => {
      const index = asked.push(asker);
      return answer ?? { cancel: () => void cancelled.push(index) };
    },
  };
  const source = new FactSource([fetcher], 2, () => full++);
  const facts: Fact[] = [];
  const asker = { onFact: (fact: Fact) => void facts.push(fact) } as FactAsker;
  return { source, asker, asked, cancelled, facts, full: () => full };
}

test("what is known at once is answered at once", () => {
  const { source, asker } = setUp(allowed);
  expect(source.fetch(need, asker)).toBe(allowed);
  expect(source.pending).toBe(0);
});

test("a kind that nobody can ask for is a failure", () => {
  const source = new FactSource([], 1, () => undefined);
  expect(source.fetch(need, {} as FactAsker)).toMatchObject({ kind: "failed", reason: "unsupported" });
});

test("so many are asked at a time, and an answer, or who gives up, makes room", () => {
  const { source, asker, asked, cancelled, facts, full } = setUp();
  const first = source.fetch(need, asker) as PendingFact;
  source.fetch(need, asker);
  expect(source.fetch(need, asker)).toMatchObject({ kind: "failed", reason: "overflow" });
  expect([source.pending, full()]).toEqual([2, 1]);
  asked[1]!.onFact(allowed);
  asked[1]!.onFact(allowed);
  expect([source.pending, facts.length]).toEqual([1, 1]);
  first.cancel();
  first.cancel();
  asked[0]!.onFact(allowed);
  expect([source.pending, facts.length, cancelled]).toEqual([0, 1, [1]]);
});
