import { systemClock, type Clock } from "@tulle/base";
import { beforeEach, expect, test } from "vitest";

import { LateTurns } from "./late-turns.js";

const LIMIT_MS = 5;
let nowMs: number;
let beganMs: number;
let turns: LateTurns;

beforeEach(() => {
  nowMs = 0;
  beganMs = 0;
  const clock: Clock = { ...systemClock, monotonic: () => nowMs };
  turns = new LateTurns(clock, { ...clock, monotonic: () => beganMs }, LIMIT_MS);
});

/** A turn in which requests come one `stepMs` after the other. Of those that are taken on all are answered. */
function turn(requests: number, stepMs: number): { taken: number; refused: number } {
  beganMs = nowMs;
  let taken = 0;
  for (let request = 0; request < requests; request++) {
    if (!turns.isTooMuch()) taken++;
    nowMs += stepMs;
  }
  nowMs += 0.1;
  return { taken, refused: requests - taken };
}

test("turns that are not late refuse nothing, nor does a single one that is", () => {
  for (let time = 0; time < 50; time++) expect(turn(40, 0.1).refused).toBe(0);
  expect(turn(200, 0.1).refused).toBe(0);
  nowMs += 1000;
  expect(turn(200, 0.1).refused).toBe(0);
});

test("of turns one after the other that are late, the second refuses what comes after the limit", () => {
  expect(turn(200, 0.1).refused).toBe(0);
  const { taken, refused } = turn(200, 0.1);
  expect(taken).toBeGreaterThanOrEqual(LIMIT_MS / 0.1);
  expect(taken).toBeLessThanOrEqual(LIMIT_MS / 0.1 + 16);
  expect(refused).toBe(200 - taken);
  expect(turns.saidTooMuch).toBe(true);
  beganMs = nowMs;
  expect(turns.saidTooMuch).toBe(false);
});

test("fewer and fewer may wait while turns are late, never too few, and more again after", () => {
  for (let request = 0; request < 1000; request++) turns.onSent();
  turn(200, 0.1);
  turn(200, 0.1);
  beganMs = nowMs;
  expect(turns.isTooMuch()).toBe(true);
  for (let request = 0; request < 101; request++) turns.onAnswered();
  expect(turns.isTooMuch()).toBe(false);
  for (let time = 0; time < 100; time++) turn(200, 0.1);
  for (let request = 899; request > 64; request--) turns.onAnswered();
  beganMs = nowMs;
  expect(turns.isTooMuch()).toBe(true);
  turns.onAnswered();
  expect(turns.isTooMuch()).toBe(false);
  // A hundred calm turns later nobody is limited any more.
  for (let time = 0; time < 120; time++) turn(1, 0.1);
  for (let request = 0; request < 20_000; request++) turns.onSent();
  beganMs = nowMs;
  expect(turns.isTooMuch()).toBe(false);
});
