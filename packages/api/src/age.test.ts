import { expect, test } from "vitest";
import { ageOf, formatAge } from "./age.js";

const S = 1000;
const M = 60 * S;
const H = 60 * M;
const D = 24 * H;

test.each([
  [-5 * S, "0s"],
  [0, "0s"],
  [119 * S + 999, "119s"],
  [2 * M, "2m"],
  [9 * M + 59 * S, "9m59s"],
  [10 * M + 30 * S, "10m"],
  [179 * M, "179m"],
  [3 * H, "3h"],
  [7 * H + 5 * M, "7h5m"],
  [47 * H + 59 * M, "47h"],
  [2 * D + 3 * H, "2d3h"],
  [8 * D + 3 * H, "8d"],
  [400 * D, "400d"],
  [730 * D, "2y"],
  [800 * D, "2y70d"],
  [4000 * D, "10y"],
])("formatAge(%d) is %s, as kubectl writes it", (ms, text) => {
  expect(formatAge(ms)).toBe(text);
});

test("ageOf says <unknown> when there is no time", () => {
  expect(ageOf(undefined, 0)).toBe("<unknown>");
  expect(ageOf("soon", 0)).toBe("<unknown>");
});
