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

test.each<[Failure, number, string, number]>([
  ["no-route", 404, "NR", 12],
  ["unknown-service", 404, "NR", 14],
  ["not-ready", 503, "NC", 14],
  ["too-many-waiting", 503, "UO", 14],
  ["no-healthy-upstream", 503, "UH", 14],
  ["overflow", 503, "UO", 14],
  ["connect-failure", 503, "UF", 14],
  ["connect-timeout", 503, "UF", 14],
  ["upstream-reset", 503, "UC", 14],
  ["upstream-protocol-error", 502, "UPE", 14],
  ["response-cut", 503, "UC", 14],
  ["response-invalid", 502, "UPE", 14],
  ["request-timeout", 504, "UT", 4],
  ["per-try-timeout", 504, "UT", 4],
  ["idle-timeout", 504, "SI", 4],
])(
  "rescue answers %s with %i, flag %s and gRPC status %i, and says what it is about",
  (failure, status, flag, grpc) => {
    const made = rescue(failure, facts);
    expect(made.status).toBe(status);
    expect(made.flag).toBe(flag);
    expect(made.grpcStatus).toBe(grpc);
    expect(made.body).toMatch(/reviews|250 ms/);
    expect(made.body.endsWith("\n")).toBe(true);
    expect(made.details).not.toMatch(/[\s"]/);
  },
);
