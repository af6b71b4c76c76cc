import { expect, test } from "vitest";

import type { Sample } from "./load.js";
import { SplitCounter } from "./split.js";

function sample(version: string, asked = false, sentAt = 0): Sample {
  return { status: 200, version, instance: "", asked, latencyMs: 1, sentAt, error: "" };
}

function feed(counter: SplitCounter, requests: number, share: number, sentAt = 0): void {
  for (let n = 0; n < requests; n++) counter.count(sample(n < requests * share ? "v2" : "v1", false, sentAt));
}

test("SplitCounter measures the share of v2 among visitors without the header", () => {
  const counter = new SplitCounter(0.1);
  feed(counter, 1000, 0.11);
  counter.count(sample("v2", true));
  counter.count(sample("v1", true));
  expect(counter.report()).toMatchObject({ measured: 0.11, requests: 1000, within: true });
  expect(counter).toMatchObject({ asked: 2, askedAndGotV1: 1 });
});

test("SplitCounter begins again when the weights change, and gives the change a second", () => {
  const counter = new SplitCounter(0.1);
  feed(counter, 1000, 0.1, 0);
  counter.expect(0.5, 5000);
  feed(counter, 100, 0.1, 5500);
  feed(counter, 1000, 0.5, 6000);
  expect(counter.report()).toMatchObject({ expected: 0.5, measured: 0.5, requests: 1000, within: true });
});

test("SplitCounter does not forget a split that was off", () => {
  const counter = new SplitCounter(0.1);
  feed(counter, 1000, 0.3);
  counter.expect(0.5, 5000);
  feed(counter, 1000, 0.5, 6000);
  expect(counter.report()).toMatchObject({ expected: 0.1, measured: 0.3, within: false });
});
