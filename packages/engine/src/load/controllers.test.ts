import { expect, test } from "vitest";
import type { GradientSettings } from "./gradient-controller.js";
import { Controllers, MAX_CONTROLLERS } from "./controllers.js";

const SETTINGS: GradientSettings = {
  percentile: 0.5,
  updateIntervalMs: 100,
  maxLimit: 10,
  minRttIntervalMs: 1000,
  jitter: 0,
  minRttRequests: 1,
  minLimit: 1,
  buffer: 0,
};

test("a key has one controller, until too many others have come", () => {
  const controllers = new Controllers(1);
  const first = controllers.gradient("0", "a", SETTINGS);
  expect(controllers.gradient("0", "a", SETTINGS)).toBe(first);
  for (let key = 1; key <= MAX_CONTROLLERS; key++) controllers.gradient(String(key), "b", SETTINGS);
  expect([...controllers.gradients()]).toHaveLength(MAX_CONTROLLERS);
  expect(controllers.gradient("0", "a", SETTINGS)).not.toBe(first);
  expect(controllers.gradient(String(MAX_CONTROLLERS), "b", SETTINGS).name).toBe("b");
});
