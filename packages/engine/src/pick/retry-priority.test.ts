import { expect, test } from "vitest";
import { UNHEALTHY_EJECTED } from "../contract.js";
import { balanced, hosts } from "../testing/balanced.js";

const NEAR_AND_FAR = [
  { address: "near-1" },
  { address: "near-2" },
  { address: "far", priority: 1 },
  { address: "farther", priority: 2 },
];

/** Leaves a priority after two tries. */
const retryPolicy = {
  retryOn: "connect-failure",
  retryPriority: { name: "envoy.retry_priorities.previous_priorities" },
};

function chosen(tried: readonly string[], ejected: readonly string[] = []): string[] {
  const mesh = balanced(NEAR_AND_FAR, {}, { retryPolicy });
  for (const address of ejected) mesh.load.setUnhealthy(mesh.slotOf(address), UNHEALTHY_EJECTED, true);
  const attempt = { attempts: tried.length, triedSlots: tried.map((address) => mesh.slotOf(address)) };
  return [...hosts(100, (entropy) => mesh.pick(entropy, attempt)).keys()].sort();
}

test("pick stays with the first priority for as many tries as the policy says, and leaves it then", () => {
  expect(chosen([])).toEqual(["near-1", "near-2"]);
  expect(chosen(["near-1"])).toEqual(["near-1", "near-2"]);
  expect(chosen(["near-1", "near-2"])).toEqual(["far"]);
  expect(chosen(["near-1", "near-2", "far"])).toEqual(["farther"]);
});

test("pick comes back to the first priority when all have been tried, or the others have nobody healthy", () => {
  expect(chosen(["near-1", "near-2", "far", "farther"])).toEqual(["near-1", "near-2"]);
  expect(chosen(["near-1", "near-2"], ["far", "farther"])).toEqual(["near-1", "near-2"]);
});

test("pick goes nowhere else without such a policy, and later requests begin with the first priority", () => {
  const mesh = balanced(NEAR_AND_FAR, {}, { retryPolicy: { retryOn: "connect-failure" } });
  const tried = { attempts: 2, triedSlots: [mesh.slotOf("near-1"), mesh.slotOf("near-2")] };
  expect([...hosts(50, (entropy) => mesh.pick(entropy, tried)).keys()].sort()).toEqual(["near-1", "near-2"]);
  const leaving = balanced(NEAR_AND_FAR, {}, { retryPolicy });
  const there = { attempts: 2, triedSlots: [leaving.slotOf("near-1"), leaving.slotOf("near-2")] };
  expect([...hosts(50, (entropy) => leaving.pick(entropy, there)).keys()]).toEqual(["far"]);
  expect([...hosts(50, (entropy) => leaving.pick(entropy)).keys()].sort()).toEqual(["near-1", "near-2"]);
});
