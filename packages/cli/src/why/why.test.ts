import type { RequestHop, RequestRecord, RequestStory } from "@tulle/api";
import { expect, test } from "vitest";

import { causeOf } from "./cause.js";
import { clusterInWords, ownerInWords } from "./names.js";
import { renderStory } from "./render-story.js";
import { flagsInWords } from "./response-flags.js";
import { tryInWords } from "./try-words.js";

const RECORD: RequestRecord = {
  requestId: "id-1",
  time: Date.UTC(2026, 2, 1, 12),
  durationMs: 12.5,
  direction: "outbound",
  kept: "failed",
  entropy: 7,
  snapshot: 3,
  versions: {},
  request: {
    method: "GET",
    authority: "reviews:9080",
    path: "/reviews/1",
    scheme: "http",
    protocol: "HTTP/1.1",
    headers: [],
    omittedHeaders: 0,
  },
  local: "127.0.0.1:1",
  remote: "127.0.0.1:2",
  principal: "",
  serverName: "",
  listener: "reviews:9080",
  route: "reviews/http[1]",
  owner: {
    config: "/apis/networking.istio.io/v1/namespaces/default/virtual-service/reviews",
    rule: "http[1]",
  },
  cluster: "outbound|9080|v2|reviews.default.svc.cluster.local",
  tries: [
    {
      endpoint: "10.0.0.7:15006",
      at: 0.1,
      ms: 1.5,
      outcome: "connect-failure",
      status: 0,
      detail: "ECONNREFUSED",
    },
    { endpoint: "10.0.0.8:15006", at: 26, ms: 4, outcome: "answered", status: 503, detail: "" },
  ],
  attempts: 2,
  response: { status: 503, flags: "URX", details: "via_upstream", grpcStatus: -1, transportFailure: "" },
};

function hop(depth: number, service: string, record: Partial<RequestRecord>, more = {}): RequestHop {
  const id = `sidecar~127.0.0.1~${service}-1.default~default.svc.cluster.local`;
  const identity = `spiffe://cluster.local/ns/default/sa/${service}`;
  return {
    depth,
    proxy: { id, service, namespace: "default", identity, version: "0.1.0" },
    record: { ...RECORD, ...record },
    ...more,
  };
}

function story(...hops: readonly RequestHop[]): RequestStory {
  return { requestId: "id-1", hops, asked: 2, silent: [] };
}

const REFUSED: Partial<RequestRecord> = {
  direction: "inbound",
  principal: "spiffe://cluster.local/ns/default/sa/front",
  owner: { config: "", rule: "" },
  route: "default",
  cluster: "inbound|9080||reviews.default.svc.cluster.local",
  tries: [
    {
      endpoint: "127.0.0.1:3000",
      at: 0,
      ms: 1,
      outcome: "connect-failure",
      status: 0,
      detail: "ECONNREFUSED",
    },
  ],
  attempts: 1,
  response: {
    status: 503,
    flags: "UF",
    details: "upstream_reset_before_response_started{remote_connection_failure|ECONNREFUSED}",
    grpcStatus: -1,
    transportFailure: "ECONNREFUSED",
  },
};

test("renderStory tells what happened at each hop, the cause, and what to do", () => {
  const explanation = {
    version: 1,
    route: { timeoutMs: 200, retry: { attempts: 1, on: ["connect-failure", "5xx"] } },
    steps: [
      {
        step: "route",
        events: [
          {
            subject: "reviews/http[0]",
            verdict: "passed-over",
            reason: 'header "version" is absent, not "v9"',
            owner: { kind: "VirtualService", namespace: "default", name: "reviews", rule: "http[0]" },
          },
          { subject: "reviews/http[1]", verdict: "chosen", reason: "it takes every request" },
        ],
      },
    ],
  };
  const front = hop(0, "front", {}, { explanation, explainedWith: "now" });
  expect(renderStory(story(front, hop(1, "reviews", REFUSED)), false)).toBe(`\
Request id-1: GET reviews:9080/reviews/1
answered 503 (URX) after 12.5 ms at 2026-03-01T12:00:00.000Z

front calls, in front-1.default: answered 503 (URX) after 12.5 ms
  route    VirtualService default/reviews http[1], to reviews.default.svc.cluster.local port 9080, subset v2
  why      route reviews/http[1]: it takes every request
  why      not route reviews/http[0]: header "version" is absent, not "v9" [VirtualService default/reviews http[0]]
           (by the configuration of now: that of then is not held any more)
  limits   timeout 200 ms; up to 1 more try, on connect-failure, 5xx
  try 1    10.0.0.7:15006 at 0.1 ms: no connection (ECONNREFUSED), 1.5 ms
  try 2    10.0.0.8:15006 at 26 ms: answered 503, 4 ms
  flag     URX: all retries were used up

  reviews is called, in reviews-1.default: answered 503 (UF) after 12.5 ms
    from     spiffe://cluster.local/ns/default/sa/front
    route    default, to the application (reviews.default.svc.cluster.local port 9080)
    try 1    127.0.0.1:3000 at 0 ms: no connection (ECONNREFUSED), 1 ms
    flag     UF: it could not connect to the instance
    details  upstream_reset_before_response_started{remote_connection_failure|ECONNREFUSED}

Cause:   the sidecar of reviews could not connect to its application at 127.0.0.1:3000: no connection (ECONNREFUSED)
Next:    check that the application of reviews runs and listens on 127.0.0.1:3000
`);
});

test("renderStory says when the decision comes out otherwise than it did", () => {
  const owner = { kind: "VirtualService", namespace: "default", name: "reviews", rule: "http[1]" };
  const events = [{ subject: "r", verdict: "chosen", reason: "it takes every request", owner }];
  const told = (name: string): string => {
    const explanation = { version: 1, cluster: { name }, steps: [{ step: "route", events }] };
    return renderStory(story(hop(0, "front", {}, { explanation, explainedWith: "then" })), false);
  };
  expect(told("outbound|9080|v1|reviews.default.svc.cluster.local")).toContain(
    "(decided again it goes to reviews.default.svc.cluster.local port 9080, subset v1:",
  );
  expect(told(RECORD.cluster)).not.toContain("decided again");
});

test("renderStory lets nothing that others wrote move the cursor", () => {
  const evil = { ...RECORD.request, path: "/\u001b[2J" };
  expect(renderStory(story(hop(0, "a", { request: evil })), false)).not.toContain("\u001b");
});

test("a timeout is the cause, not that whoever was waited for was left", () => {
  const late = { ...RECORD.response, status: 504, flags: "UT", details: "response_timeout" };
  const left = { ...RECORD.response, status: 0, flags: "DC", details: "downstream_remote_disconnect" };
  const cause = causeOf(
    story(hop(0, "front", { response: late }), hop(1, "reviews", { ...REFUSED, response: left })),
  );
  expect(cause?.text).toContain("the sidecar of front got no answer from 10.0.0.8:15006");
  expect(cause?.next).toContain("VirtualService default/reviews http[1]");
});

test.each([
  ["UH", "knows no healthy instance"],
  ["UO", "had reached a limit"],
  ["NR", "has no route for GET reviews:9080/reviews/1"],
  ["NC", "had no configuration of reviews:9080"],
  ["UC", "closed the connection"],
  ["DC", "went away"],
  ["UAEX", "refused the request"],
])("flag %s is told as a cause", (flags, text) => {
  expect(causeOf(story(hop(0, "a", { response: { ...RECORD.response, flags } })))?.text).toContain(text);
});

test.each([
  ["overload", "was overloaded"],
  ["reached_concurrency_limit", "as its application is found to take"],
  ["denied_by_admission_control", "failed lately"],
  ["no_healthy_upstream{endpoint_wait_timeout}", "was ready in the time that requests wait for one"],
  ["no_healthy_upstream{fail_fast}", "others had waited for one in vain"],
  ["overflow{waiting_for_endpoint}", "as many requests waited for one as may"],
])("details %s are told as a cause", (details, text) => {
  const response = { ...RECORD.response, status: 503, flags: "", details };
  expect(causeOf(story(hop(0, "a", { response })))?.text).toContain(text);
});

test.each([
  ["ext_authz_denied", "ext_authz grpc opa", "asked ext_authz grpc opa, which refused"],
  [
    "ext_authz_error",
    "ext_authz grpc opa: no answer within 250 ms",
    "could not ask whether the request may pass",
  ],
  ["ext_authz_invalid", "ext_authz grpc opa: x", "cannot be carried out"],
  ["request_rate_limited", "rate limit service rls", "beyond a limit"],
  [
    "rate_limiter_error",
    "rate limit service rls: no connection",
    "could not ask whether the request is within",
  ],
])("details %s name who was asked", (details, transportFailure, text) => {
  const response = { ...RECORD.response, status: 403, flags: "UAEX", details, transportFailure };
  const cause = causeOf(story(hop(0, "a", { response })));
  expect(cause?.text).toContain(text);
  expect(cause?.text).toContain(transportFailure);
});

test("a name that nobody has is told apart from a request that no route takes", () => {
  const nowhere = { listener: "", response: { ...RECORD.response, flags: "NR" } };
  expect(causeOf(story(hop(0, "a", nowhere)))?.text).toBe(
    "the sidecar of a knows no HTTP service reviews:9080",
  );
});

test("a success has no cause", () => {
  expect(causeOf(story(hop(0, "a", { kept: "sampled" })))).toBeUndefined();
});

test("names, flags and tries are told in words, and those that are not known as they are", () => {
  expect(ownerInWords({ config: "", rule: "" })).toBe("");
  expect(clusterInWords("PassthroughCluster")).toBe("PassthroughCluster");
  expect(flagsInWords("UF,XX")).toEqual([
    "UF: it could not connect to the instance",
    "XX: see Envoy's list of response flags",
  ]);
  expect(tryInWords({ ...RECORD.tries[0]!, outcome: "closed", status: 200, detail: "" })).toBe(
    "the connection was closed after 200 had begun",
  );
  expect(tryInWords({ ...RECORD.tries[0]!, outcome: "toString", detail: "" })).toBe("toString");
});
