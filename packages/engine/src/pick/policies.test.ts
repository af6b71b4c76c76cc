import { expect, test } from "vitest";

import { mix } from "../entropy.js";
import { createLoadTable } from "../load/load-table.js";
import type { EndpointPart } from "../snapshot/contract.js";
import type { Draw, Policy } from "./balancer.js";
import { peakEwma } from "./peak-ewma.js";
import { leastRequest, pickFirst } from "./policies.js";
import { createCandidates } from "./weighted-draw.js";

function balanced(policy: Policy, names: readonly string[], weights = names.map(() => 1)) {
  const load = createLoadTable({ maxSlots: 64 });
  const endpoints = names.map((key) => ({ key, slot: load.acquire(key) }) as EndpointPart);
  for (const { slot } of endpoints) load.watchPeak(slot, 0);
  const balancer = policy(createCandidates(endpoints, weights));
  const choose = (bits: number, more: Partial<Draw> = {}): string =>
    balancer.choose({ load, clusterSlot: 0, bits, key: undefined, again: 0, now: 0, ...more }).key;
  return {
    load,
    choose,
    slotOf: (name: string) => endpoints.find(({ key }) => key === name)!.slot,
    shares: (count: number, now = 0) => {
      const counts: Record<string, number> = Object.fromEntries(names.map((name) => [name, 0]));
      for (let index = 0; index < count; index++) counts[choose(mix(index, 0), { now })]!++;
      return counts;
    },
  };
}

test("peak EWMA leaves an endpoint as soon as it answers slowly, and tries it again when that is forgotten", () => {
  const mesh = balanced(peakEwma, ["a", "b", "c"]);
  for (const name of ["a", "b", "c"]) mesh.load.observe(mesh.slotOf(name), 10, false, 1000);
  const { a = 0 } = mesh.shares(3000, 1000);
  expect(Math.abs(a - 1000)).toBeLessThan(150);
  mesh.load.observe(mesh.slotOf("a"), 500, false, 1000);
  expect(mesh.shares(3000, 1000)["a"]).toBe(0);
  // Forty seconds later the memory has faded below what the others answer in.
  for (const name of ["b", "c"]) mesh.load.observe(mesh.slotOf(name), 10, false, 41_000);
  expect(mesh.shares(3000, 41_000)["a"]).toBeGreaterThan(1000);
});

test("peak EWMA weighs what is under way: a faster endpoint gets more, not all", () => {
  const mesh = balanced(peakEwma, ["fast", "slow"]);
  mesh.load.observe(mesh.slotOf("fast"), 10, false, 0);
  mesh.load.observe(mesh.slotOf("slow"), 35, false, 0);
  for (let count = 0; count < 45; count++) {
    mesh.load.begin(0, mesh.slotOf(mesh.choose(mix(count, 0))));
  }
  expect(mesh.load.inFlight(mesh.slotOf("fast"))).toBeGreaterThan(30);
  expect(mesh.load.inFlight(mesh.slotOf("slow"))).toBeGreaterThan(7);
});

test("peak EWMA does not take an endpoint that fails at once for a fast one", () => {
  const mesh = balanced(peakEwma, ["good", "broken"]);
  mesh.load.observe(mesh.slotOf("good"), 80, false, 0);
  mesh.load.observe(mesh.slotOf("broken"), 1, true, 0);
  expect(mesh.shares(1000)["broken"]).toBe(0);
});

test("least request of all takes the least busy endpoint, and spreads over those that are equal", () => {
  const mesh = balanced(leastRequest({ choices: "all", bias: 1 }), ["a", "b", "c", "d"]);
  mesh.load.begin(0, mesh.slotOf("a"));
  const { a, ...others } = mesh.shares(3000);
  expect(a).toBe(0);
  expect(Math.max(...Object.values(others)) / Math.min(...Object.values(others))).toBeLessThan(2.3);
  for (const name of ["b", "c"]) mesh.load.begin(0, mesh.slotOf(name));
  expect(mesh.shares(100)["d"]).toBe(100);
});

test("least request with a bias of 0 goes by weights alone", () => {
  const mesh = balanced(leastRequest({ choices: 2, bias: 0 }), ["a", "b"]);
  for (let count = 0; count < 50; count++) mesh.load.begin(0, mesh.slotOf("a"));
  expect(Math.abs(mesh.shares(2000)["a"]! - 1000)).toBeLessThan(120);
});

test("pick first takes the first endpoint, another when that is not wanted, and shuffled the same one always", () => {
  const first = balanced(pickFirst(false), ["a", "b", "c"]);
  expect([first.choose(9), first.choose(77), first.choose(9, { again: 1 })]).toEqual(["a", "a", "b"]);
  const starts = new Set<string>();
  for (let start = 0; start < 20; start++) {
    const shuffled = balanced(pickFirst(true), ["a", "b", "c"]);
    const taken = shuffled.choose(mix(start, 0));
    starts.add(taken);
    expect([1, 2, 3].map((bits) => shuffled.choose(mix(bits, 5)))).toEqual([taken, taken, taken]);
  }
  expect(starts.size).toBe(3);
});
