import { expect, test } from "vitest";

import { Demand } from "./demand.js";

test("Demand drops a name that was not used for the given number of sweeps", () => {
  const demand = new Demand(2);
  expect(demand.add("a:80")).toBe(true);
  expect(demand.add("b:80")).toBe(true);
  expect(demand.add("a:80")).toBe(false);
  demand.sweep();
  demand.touch("b:80");
  expect(demand.sweep()).toBe(false);
  expect(demand.sweep()).toBe(true);
  expect([...demand.names]).toEqual(["b:80"]);
});

test("Demand holds at most 1000 names and gives up one that is not in use for a new one", () => {
  const demand = new Demand(10);
  for (let i = 0; i < 1000; i++) demand.add(`s${i}`);
  expect(demand.add("one-more")).toBe(false);
  demand.sweep();
  for (let i = 1; i < 1000; i++) demand.touch(`s${i}`);
  expect(demand.add("one-more")).toBe(true);
  expect([...demand.names]).not.toContain("s0");
});
