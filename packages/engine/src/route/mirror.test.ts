import { expect, test } from "vitest";
import { shadowHost } from "./mirror.js";

test.each([
  ["reviews", "reviews-shadow"],
  ["reviews:9080", "reviews-shadow:9080"],
  ["[::1]", "[::1]-shadow"],
  ["[::1]:80", "[::1]-shadow:80"],
])("copies of requests to %s go to %s", (host, marked) => {
  expect(shadowHost(host)).toBe(marked);
});
