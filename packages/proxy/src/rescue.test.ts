import { expect, test } from "vitest";

import { rescue, type Failure, type FailureFacts } from "./rescue.js";

const facts: FailureFacts = {
  authority: "reviews:9080",
  cluster: "outbound|9080||reviews.default.svc.cluster.local",
  endpoint: "127.0.0.1:9080",
  reason: 'bad "thing" {x}',
  attempts: 3,
  timeoutMs: 250,
};

test.each<[Failure, number, string]>([
  ["no-route", 404, "NR"],
  ["unknown-service", 404, "NR"],
  ["not-ready", 503, "NC"],
  ["too-many-waiting", 503, "UO"],
  ["no-healthy-upstream", 503, "UH"],
  ["overflow", 503, "UO"],
  ["connect-failure", 503, "UF"],
  ["connect-timeout", 503, "UF"],
  ["upstream-reset", 503, "UC"],
  ["upstream-protocol-error", 502, "UPE"],
  ["request-timeout", 504, "UT"],
  ["per-try-timeout", 504, "UT"],
  ["idle-timeout", 504, "SI"],
])("rescue answers %s with %i and flag %s, and says what it is about", (failure, status, flag) => {
  const made = rescue(failure, facts);
  expect(made.status).toBe(status);
  expect(made.flag).toBe(flag);
  expect(made.body).toMatch(/reviews|250 ms/);
  expect(made.body.endsWith("\n")).toBe(true);
  expect(made.details).not.toMatch(/[\s"]/);
});
