import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { RetryPolicySchema } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { expect, test } from "vitest";
import { RETRY_ON_5XX, RETRY_ON_CONNECT_FAILURE, RETRY_ON_RETRIABLE_STATUS_CODES } from "./retry-on.js";
import { compileRetryPolicy } from "./retry-policy.js";

function compile(init: MessageInitShape<typeof RetryPolicySchema>) {
  return compileRetryPolicy("retry_policy", create(RetryPolicySchema, init));
}

test("compileRetryPolicy has Envoy's defaults", () => {
  expect(compile({ retryOn: "5xx, connect-failure" })).toEqual({
    attempts: 1,
    perTryTimeoutMs: 0,
    on: RETRY_ON_5XX | RETRY_ON_CONNECT_FAILURE,
    statusCodes: [],
    backoffBaseMs: 25,
    backoffMaxMs: 250,
    hostReselections: 0,
    requests: [],
  });
});

test("compileRetryPolicy takes codes among the words, previous hosts and back-off", () => {
  const retry = compile({
    retryOn: "503,retriable-status-codes",
    numRetries: 5,
    retriableStatusCodes: [429, 503],
    retryHostPredicate: [{ name: "envoy.retry_host_predicates.previous_hosts" }],
    hostSelectionRetryMaxAttempts: 5n,
    retryBackOff: { baseInterval: { seconds: 1n }, maxInterval: { seconds: 2n } },
    perTryTimeout: { nanos: 500_000_000 },
  });
  expect(retry).toMatchObject({
    attempts: 5,
    on: RETRY_ON_RETRIABLE_STATUS_CODES,
    statusCodes: [429, 503],
    hostReselections: 5,
    backoffBaseMs: 1000,
    backoffMaxMs: 2000,
    perTryTimeoutMs: 500,
  });
});

test("compileRetryPolicy means no retries when there are none to make", () => {
  expect(compile({ retryOn: "5xx", numRetries: 0 })).toBeUndefined();
  expect(compile({ retryOn: "" })).toBeUndefined();
});

test.each([
  [{ retryOn: "sometimes" }, 'retry_policy.retry_on: "sometimes" is not a retry condition'],
  [
    { retryOn: "5xx", retryHostPredicate: [{ name: "mine" }] },
    'retry_policy.retry_host_predicate[0].name: "mine" is not supported',
  ],
  [
    { retryOn: "5xx", retryBackOff: {} },
    "retry_policy.retry_back_off.base_interval: must be greater than zero",
  ],
  [
    { retryOn: "5xx", perTryTimeout: { seconds: -1n } },
    "retry_policy.per_try_timeout: a duration must not be negative",
  ],
  [{ retryOn: "5xx", retriableHeaders: [{ name: "x" }] }, "retry_policy.retriable_headers: is not supported"],
] as [MessageInitShape<typeof RetryPolicySchema>, string][])(
  "compileRetryPolicy refuses #%#",
  (init, message) => {
    expect(() => compile(init)).toThrow(message);
  },
);
