import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { HeaderValueOptionSchema } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import { HeaderMutationRulesSchema } from "@tulle/xds/gen/envoy/config/common/mutation_rules/v3/mutation_rules_pb.js";
import { CheckResponseSchema } from "@tulle/xds/gen/envoy/service/auth/v3/external_auth_pb.js";
import {
  RateLimitResponseSchema,
  type RateLimitResponse_Code,
} from "@tulle/xds/gen/envoy/service/ratelimit/v3/rls_pb.js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { HeaderMutation } from "../contract.js";
import { changeQuery } from "./change-query.js";
import { factOfCheck } from "./check-answer.js";
import { factOfHttpAnswer } from "./http-answer.js";
import { compileMutationRules, DEFAULT_MUTATION_RULES } from "./mutation-rules.js";
import { factOfRateLimit } from "./rate-limit-answer.js";

const NAMES = [
  "x-user",
  "Host",
  ":path",
  ":authority",
  "Connection",
  "transfer-encoding",
  "Content-Length",
  "te",
];
const name = fc.oneof(fc.constantFrom(...NAMES, "x-envoy-peer-metadata", "x-tulle-upgrade", ""), fc.string());
const value = fc.oneof(
  fc.string(),
  fc.string({ unit: "binary" }),
  fc.constantFrom("a\r\nb: c", "\0", " x\t", "\u010a"),
);
const option = fc.record({
  header: fc.record({ key: name, value, rawValue: fc.oneof(fc.constant(new Uint8Array()), fc.uint8Array()) }),
  appendAction: fc.integer({ min: 0, max: 4 }),
});
type Options = MessageInitShape<typeof HeaderValueOptionSchema>[];

/** What may go out: a field's name and value, and none that routes or frames. */
function expectSafe(mutations: readonly HeaderMutation[]): void {
  for (const mutation of mutations) {
    expect(mutation.name).toMatch(/^[!#$%&'*+\-.^_`|~0-9a-z]+$/);
    expect(mutation.name).not.toMatch(
      /^(host|connection|transfer-encoding|content-length|te|upgrade|keep-alive|trailer|x-envoy-.*|x-tulle-.*)$/,
    );
    if (mutation.op === "remove") continue;
    expect(mutation.value).not.toMatch(/^[\t ]|[\t ]$/);
    for (const character of mutation.value) {
      const code = character.charCodeAt(0);
      expect(code === 0x09 || (code >= 0x20 && code <= 0xff && code !== 0x7f)).toBe(true);
    }
  }
}

describe("whatever a service answers", () => {
  test("CheckResponse: only what a message can carry goes out, and never a pass for what it refuses", () => {
    fc.assert(
      fc.property(
        fc.array(option),
        fc.array(option),
        fc.array(name),
        fc.boolean(),
        fc.integer(),
        (headers, toClient, headersToRemove, ok, status) => {
          const fact = factOfCheck(
            create(CheckResponseSchema, {
              status: { code: ok ? 0 : 7 },
              httpResponse: ok
                ? {
                    case: "okResponse",
                    value: {
                      headers: headers as Options,
                      responseHeadersToAdd: toClient as Options,
                      headersToRemove,
                    },
                  }
                : {
                    case: "deniedResponse",
                    value: { headers: headers as Options, status: { code: status } },
                  },
            }),
            DEFAULT_MUTATION_RULES,
          );
          if (!fact.allowed) {
            expect(fact.status).toBeGreaterThanOrEqual(200);
            expect(fact.status).toBeLessThan(600);
            for (let index = 0; index < fact.headers.length; index += 2)
              expectSafe([{ op: "set", name: fact.headers[index]!, value: fact.headers[index + 1]! }]);
            return;
          }
          expect(ok).toBe(true);
          expectSafe([...fact.request, ...fact.response]);
        },
      ),
    );
  });

  test("a denied response refuses, whatever the status beside it says", () => {
    for (const code of [0, 7]) {
      const response = create(CheckResponseSchema, {
        status: { code },
        httpResponse: { case: "deniedResponse", value: {} },
      });
      expect(factOfCheck(response, DEFAULT_MUTATION_RULES)).toMatchObject({ allowed: false, status: 403 });
    }
    const contradiction = create(CheckResponseSchema, {
      status: { code: 7 },
      httpResponse: { case: "okResponse", value: {} },
    });
    expect(factOfCheck(contradiction, DEFAULT_MUTATION_RULES)).toMatchObject({ allowed: false });
  });

  test("an HTTP answer: only 200 lets pass, 5xx is no answer", () => {
    const every = (): boolean => true;
    const rules = {
      toUpstream: every,
      toUpstreamBeside: undefined,
      toClient: undefined,
      toClientOnAllow: every,
      toMetadata: every,
    };
    for (let status = 100; status < 700; status++) {
      const headers = ["Host", "evil", "x-user", "a", "Transfer-Encoding", "chunked", "X-User", "b"];
      const fact = factOfHttpAnswer(status, headers, "", rules, DEFAULT_MUTATION_RULES);
      if (status >= 500) expect(fact).toMatchObject({ kind: "failed", reason: "refused" });
      else if (status !== 200) expect(fact).toMatchObject({ allowed: false });
      else {
        expect(fact).toMatchObject({
          allowed: true,
          request: [
            { op: "set", name: "x-user", value: "a" },
            { op: "append", name: "x-user", value: "b" },
          ],
          refusedMutations: 2,
        });
      }
    }
  });

  test("RateLimitResponse: only what a message can carry goes out", () => {
    fc.assert(
      fc.property(
        fc.array(option),
        fc.array(option),
        fc.constantFrom(0, 1, 2, 3),
        fc.string(),
        (request, toClient, code, text) => {
          const fact = factOfRateLimit(
            create(RateLimitResponseSchema, {
              overallCode: code as RateLimitResponse_Code,
              requestHeadersToAdd: request.map(({ header }) => header),
              responseHeadersToAdd: toClient.map(({ header }) => header),
              statuses: [{ currentLimit: { requestsPerUnit: 1, unit: 1, name: text }, limitRemaining: 0 }],
            }),
          );
          if (fact.kind === "failed") return;
          expect([1, 2]).toContain(code);
          expectSafe([...fact.request, ...fact.response]);
          expectSafe([{ op: "set", name: fact.limits[0]!, value: fact.limits[1]! }]);
        },
      ),
    );
  });
});

test("a service may be allowed more or less, but never what routes and frames", () => {
  const rules = (init: MessageInitShape<typeof HeaderMutationRulesSchema>) =>
    compileMutationRules("rules", create(HeaderMutationRulesSchema, init));
  expect(rules({}).allows("x-envoy-a")).toBe(false);
  expect(rules({ allowEnvoy: true }).allows("x-envoy-a")).toBe(true);
  expect(rules({ disallowAll: true }).allows("x-a")).toBe(false);
  expect(rules({ disallowAll: true, allowExpression: { regex: "x-.*" } }).allows("x-a")).toBe(true);
  expect(rules({ disallowExpression: { regex: "x-.*" } }).allows("x-a")).toBe(false);
  const all = rules({ allowEnvoy: true, allowExpression: { regex: ".*" } });
  for (const fixed of ["host", ":path", "content-length", "connection", "x-tulle-upgrade"])
    expect([fixed, all.allows(fixed)]).toEqual([fixed, false]);
});

test.each([
  ["/a?b=1&c=2&b=3", { set: [], remove: ["b"] }, "/a?c=2"],
  ["/a?%62=1&b", { set: [], remove: ["b"] }, "/a"],
  ["/a", { set: [["x y", "1&2"]], remove: [] }, "/a?x%20y=1%262"],
  ["/a?x+y=1&%zz=2", { set: [["x y", "2"]], remove: [] }, "/a?%zz=2&x%20y=2"],
  ["/a?b#c", { set: [], remove: ["b"] }, "/a?b#c"],
] as const)("the query of %s with %j is %s", (path, change, expected) => {
  expect(changeQuery(path, change)).toBe(expected);
});
