import { expect, test } from "vitest";

import { rescue, type Failure, type FailureFacts } from "./rescue.js";

const facts: FailureFacts = {
  authority: "reviews:9080",
  cluster: "outbound|9080||reviews.default.svc.cluster.local",
  endpoint: "127.0.0.1:9080",
  reason: 'bad "thing" {x}',
  attempts: 3,
  timeoutMs: 250,
  requestDone: true,
  bodyNotKept: false,
};

test.each<[Failure, number, string, number]>([
  ["no-route", 404, "NR", 12],
  ["unknown-service", 404, "NR", 14],
  ["not-ready", 503, "NC", 14],
  ["too-many-waiting", 503, "UO", 14],
  ["no-healthy-upstream", 503, "UH", 14],
  ["endpoint-wait-timeout", 503, "UH", 14],
  ["endpoint-wait-full", 503, "UO", 14],
  ["fail-fast", 503, "UH", 14],
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
  ["per-try-idle-timeout", 504, "UT", 4],
  ["max-duration", 504, "DT", 4],
  ["request-too-slow", 408, "-", 4],
  ["upstream-remote-reset", 503, "UR", 14],
  ["upstream-refused", 503, "UR", 14],
  ["response-reset", 503, "UR", 14],
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

test.each<[Failure, string]>([
  ["request-timeout", "response_timeout"],
  ["per-try-timeout", "upstream_per_try_timeout"],
  ["per-try-idle-timeout", "upstream_per_try_idle_timeout"],
  ["idle-timeout", "stream_idle_timeout"],
  ["max-duration", "max_duration_timeout"],
  ["request-too-slow", "request_overall_timeout"],
  ["no-healthy-upstream", "no_healthy_upstream"],
  ["no-route", "route_not_found"],
  ["upstream-reset", "upstream_reset_before_response_started{connection_termination}"],
  ["upstream-remote-reset", "upstream_reset_before_response_started{remote_reset}"],
  ["upstream-refused", "upstream_reset_before_response_started{remote_refused_stream_reset}"],
  ["connect-timeout", "upstream_reset_before_response_started{connection_timeout}"],
  ["response-cut", "upstream_reset_after_response_started{connection_termination}"],
  ["response-reset", "upstream_reset_after_response_started{remote_reset}"],
])("rescue calls %s what Envoy calls it: %s", (failure, details) => {
  expect(rescue(failure, facts).details).toBe(details);
});

test("rescue says 408 instead of 504 where the request itself has not come whole", () => {
  const before = { ...facts, requestDone: false };
  expect(rescue("idle-timeout", before).status).toBe(408);
  expect(rescue("max-duration", before).status).toBe(408);
  expect(rescue("request-timeout", before).status).toBe(504);
});

test("rescue says that a body was too large to be sent again", () => {
  expect(rescue("upstream-reset", { ...facts, bodyNotKept: true }).body).toMatch(/request\.maxReplayBytes/);
});
