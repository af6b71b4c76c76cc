import { expect, test } from "vitest";
import { SuccessWindow, type SuccessSettings } from "./success-window.js";

const SETTINGS: SuccessSettings = {
  windowSeconds: 5,
  threshold: 0.9,
  aggression: 1,
  minRequestsPerSecond: 0,
  maxProbability: 0.8,
  isSuccess: ({ status }) => status < 500,
};

function windowOf(settings: Partial<SuccessSettings> = {}) {
  const window = new SuccessWindow("a", { ...SETTINGS, ...settings });
  const end = (now: number, status: number, times = 1): void => {
    for (let time = 0; time < times; time++)
      window.onEnd(now, { durationMs: 1, status, grpc: false, grpcStatus: 0, cut: false });
  };
  return { window, end };
}

test("nothing is held back above the threshold; below it, more the more fail", () => {
  const { window, end } = windowOf();
  expect(window.refusalProbability(0)).toBe(0);
  end(0, 200, 90);
  end(0, 503, 10);
  expect(window.refusalProbability(0)).toBe(0);
  end(0, 503, 80);
  // 180 requests, 90 successes: (180 - 90 / 0.9) / 181
  expect(window.refusalProbability(10)).toBeCloseTo(80 / 181, 9);
  end(0, 503, 100_000);
  expect(window.refusalProbability(10)).toBe(0.8);
});

test("aggression holds back more for the same failures", () => {
  const { window, end } = windowOf({ aggression: 2 });
  end(0, 200, 90);
  end(0, 503, 90);
  expect(window.refusalProbability(0)).toBeCloseTo(Math.sqrt(80 / 181), 9);
});

test("what is older than the window is forgotten, second by second", () => {
  const { window, end } = windowOf();
  end(500, 503, 10);
  end(3500, 200, 5);
  expect(window.counts(4900)).toEqual({ requests: 15, successes: 5, perSecond: 15 / 4 });
  expect(window.counts(5000)).toEqual({ requests: 5, successes: 5, perSecond: 5 / 2 });
  expect(window.counts(60_000)).toEqual({ requests: 0, successes: 0, perSecond: 0 });
  end(5000, 503);
  expect(window.counts(5000).requests).toBe(6);
});

test("at a low rate nothing is held back", () => {
  const { window, end } = windowOf({ minRequestsPerSecond: 10 });
  end(0, 503, 9);
  expect(window.refusalProbability(0)).toBe(0);
  end(0, 503, 1);
  expect(window.refusalProbability(0)).toBeGreaterThan(0.7);
});
