import { expect, test } from "vitest";
import { readHttpRetry } from "./read-retries.js";

test("readHttpRetry reads retries by the rules of a VirtualService", () => {
  expect(readHttpRetry('{"attempts": 3, "retryOn": "5xx,503", "perTryTimeout": "2s"}', "policy")).toEqual({
    attempts: 3,
    retryOn: "5xx,503",
    perTryTimeout: "2s",
  });
});

test.each([
  ["attempts=3", "policy: expected JSON"],
  ['{"attempts": 3, "retryOn": "sometimes"}', "policy.retryOn: expected conditions"],
  ['{"tries": 3}', "policy.tries"],
  ["[]", "policy"],
])("readHttpRetry refuses %s", (text, message) => {
  expect(() => readHttpRetry(text, "policy")).toThrow(message);
});
