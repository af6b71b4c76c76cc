import { create } from "@bufbuild/protobuf";
import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { RetryPolicySchema } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { OmitHostMetadataConfigSchema } from "@tulle/xds/gen/envoy/extensions/retry/host/omit_host_metadata/v3/omit_host_metadata_config_pb.js";
import { PreviousPrioritiesConfigSchema } from "@tulle/xds/gen/envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config_pb.js";
import { expect, test } from "vitest";
import { packed } from "../testing/resources.js";
import { RETRY_ON_5XX, RETRY_ON_CONNECT_FAILURE, RETRY_ON_RETRIABLE_STATUS_CODES } from "./retry-on.js";
import { compileRetryPolicy } from "./retry-policy.js";

function compile(init: MessageInitShape<typeof RetryPolicySchema>) {
  return compileRetryPolicy("retry_policy", create(RetryPolicySchema, init));
}

test("compileRetryPolicy has Envoy's defaults", () => {
  expect(compile({ retryOn: "5xx, connect-failure" })).toEqual({
    attempts: 1,
    perTryTimeoutMs: 0,
    perTryIdleTimeoutMs: 0,
    on: RETRY_ON_5XX | RETRY_ON_CONNECT_FAILURE,
    onAnyMethod: 0,
    looksAtEveryAnswer: false,
    statusCodes: [],
    backoffBaseMs: 25,
    backoffMaxMs: 250,
    hostReselections: 0,
    avoidsTried: false,
    triesPerPriority: 0,
    requests: [],
    answers: [],
    resets: undefined,
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
    avoidsTried: true,
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
  [
    { retryOn: "5xx", retryPriority: { name: "mine" } },
    'retry_policy.retry_priority.name: "mine" is not supported',
  ],
  [
    { retryOn: "5xx", rateLimitedRetryBackOff: {} },
    "retry_policy.rate_limited_retry_back_off.reset_headers: must not be empty",
  ],
] as [MessageInitShape<typeof RetryPolicySchema>, string][])(
  "compileRetryPolicy refuses #%#",
  (init, message) => {
    expect(() => compile(init)).toThrow(message);
  },
);

test("compileRetryPolicy looks at every answer only where one below 400 can be one to throw away", () => {
  expect(compile({ retryOn: "retriable-headers" })?.looksAtEveryAnswer).toBe(false);
  const headers = { retriableHeaders: [{ name: "x" }] };
  expect(compile({ retryOn: "retriable-headers", ...headers })?.looksAtEveryAnswer).toBe(true);
  expect(compile({ retryOn: "5xx", ...headers })?.looksAtEveryAnswer).toBe(false);
  expect(compile({ retryOn: "503,302" })?.looksAtEveryAnswer).toBe(true);
});

test("compileRetryPolicy leaves a priority after as many tries as the policy says, two where it does not", () => {
  const name = "envoy.retry_priorities.previous_priorities";
  expect(compile({ retryOn: "5xx", retryPriority: { name } })?.triesPerPriority).toBe(2);
  const config = packed(PreviousPrioritiesConfigSchema, { updateFrequency: 3 });
  const retryPriority = { name, configType: { case: "typedConfig", value: config } } as const;
  expect(compile({ retryOn: "5xx", retryPriority })?.triesPerPriority).toBe(3);
});

test("compileRetryPolicy takes the labels of endpoints that retries do without", () => {
  const omitted = (lb: JsonObject) =>
    packed(OmitHostMetadataConfigSchema, { metadataMatch: { filterMetadata: { "envoy.lb": lb } } });
  const predicate = (name: string, value?: Any) => ({
    name: `envoy.retry_host_predicates.${name}`,
    ...(value !== undefined && { configType: { case: "typedConfig" as const, value } }),
  });
  expect(
    compile({
      retryOn: "5xx",
      retryHostPredicate: [
        predicate("omit_canary_hosts"),
        predicate("omit_host_metadata", omitted({ zone: "a" })),
        predicate("omit_host_metadata", omitted({})),
      ],
      hostSelectionRetryMaxAttempts: 3n,
    }),
  ).toMatchObject({
    hostReselections: 3,
    avoidsTried: false,
    omitsHosts: [{ canary: true }, { zone: "a" }],
  });
  expect(() => compile({ retryOn: "5xx", retryHostPredicate: [predicate("omit_host_metadata")] })).toThrow(
    "retry_policy.retry_host_predicate[0].typed_config: must be set",
  );
});
