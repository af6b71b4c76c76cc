import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import {
  JwtAuthenticationSchema,
  type JwtProviderSchema,
  type JwtRequirementSchema,
} from "@tulle/xds/gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import { expect, test } from "vitest";

import type { AdmissionStep, DecisionView, EngineRequest, Facts, Plan, StepAdmission } from "../contract.js";
import type { JwtNeed, JwtVerdict } from "../facts/jwt.js";
import type { TraceEvent } from "../trace.js";
import { jwtKind } from "./jwt-filter.js";

type ProviderInit = MessageInitShape<typeof JwtProviderSchema>;
type RequirementInit = MessageInitShape<typeof JwtRequirementSchema>;

const A = "https://a.example";
const B = "https://b.example";

function provider(issuer: string, more: ProviderInit = {}): ProviderInit {
  return {
    issuer,
    jwksSourceSpecifier: { case: "localJwks", value: { specifier: { case: "inlineString", value: "{}" } } },
    payloadInMetadata: "payload",
    ...more,
  };
}

const named = (name: string): RequirementInit => ({ requiresType: { case: "providerName", value: name } });
const MISSING: RequirementInit = { requiresType: { case: "allowMissing", value: {} } };
const FAILED: RequirementInit = { requiresType: { case: "allowMissingOrFailed", value: {} } };
const any = (...requirements: RequirementInit[]): RequirementInit => ({
  requiresType: { case: "requiresAny", value: { requirements } },
});
const all = (...requirements: RequirementInit[]): RequirementInit => ({
  requiresType: { case: "requiresAll", value: { requirements } },
});

function compile(providers: Record<string, ProviderInit>, requires: RequirementInit): AdmissionStep {
  const config = create(JwtAuthenticationSchema, {
    providers,
    rules: [
      {
        match: { pathSpecifier: { case: "prefix", value: "/" } },
        requirementType: { case: "requires", value: requires },
      },
    ],
    bypassCorsPreflight: true,
  });
  return jwtKind.compile("f", anyPack(JwtAuthenticationSchema, config), "place")!;
}

/** As the control plane sends them. */
const ONE = (more?: ProviderInit) => compile({ a: provider(A, more) }, any(named("a"), MISSING));
const TWO = compile(
  { a: provider(A), b: provider(B) },
  all(any(named("a"), MISSING), any(named("b"), MISSING)),
);

function request(headers: readonly string[] = [], path = "/x", method = "GET"): EngineRequest {
  return { method, path, authority: "web", scheme: "http", headers: [...headers] };
}

/** A token that stands for an issuer and whether it is good: `a:good`. */
function verdictOf(rule: { issuer: string }, token: string): JwtVerdict {
  const [issuer, state] = token.split(":");
  if (`https://${issuer}.example` !== rule.issuer) return { status: "other-issuer" };
  if (state !== "good") return { status: "bad", reason: "Jwt is expired" };
  const payload = {
    iss: rule.issuer,
    sub: "alice",
    scope: "read write",
    nested: { role: "x" },
    list: [1],
    evil: "a\r\nb: c",
  };
  return { status: "good", payload, encodedPayload: "cGF5" };
}

const PLAN = { kind: "forward", provenance: { config: "", rule: "" } } as Plan;

function admit(step: AdmissionStep, asked: EngineRequest, events?: TraceEvent[]) {
  const trace = events && { add: (event: TraceEvent) => void events.push(event) };
  const view = { trace } as unknown as DecisionView;
  const facts: Facts = { request: asked, principal: undefined };
  const first = step.admit(view, PLAN, facts);
  if (first?.kind !== "need") return first;
  const { checks } = first.need as JwtNeed;
  const verdicts = checks.map(({ rule, token }) => verdictOf(rule, token));
  return step.admit(view, PLAN, { ...facts, fact: { kind: "jwt", verdicts } });
}

const bearer = (token: string): string[] => ["Authorization", `Bearer ${token}`];
const statusOf = (said: StepAdmission | undefined): number => (said?.kind === "reply" ? said.status : 0);

test.each<[string, AdmissionStep, string[], number]>([
  ["no token", ONE(), [], 0],
  ["a good token", ONE(), bearer("a:good"), 0],
  ["a good token in another case", ONE(), ["authorization", "bearer a:good"], 0],
  ["a bad token", ONE(), bearer("a:old"), 401],
  ["a token of somebody else", ONE(), bearer("c:good"), 401],
  ["a token that is none", ONE(), bearer("%%%"), 401],
  ["another scheme", ONE(), ["authorization", "Basic eDp5"], 0],
  ["two tokens in one field", ONE(), ["authorization", "Bearer a:good,Bearer a:good"], 401],
  ["two fields, one good", ONE(), [...bearer("a:good"), ...bearer("a:old")], 401],
  ["two fields, both good", ONE(), [...bearer("a:good"), ...bearer("a:good:2")], 401],
  ["the same twice", ONE(), [...bearer("a:good"), ...bearer("a:good")], 0],
  ["one of two issuers", TWO, bearer("b:good"), 0],
  ["one of two issuers, bad", TWO, bearer("b:old"), 401],
  ["neither of two issuers", TWO, bearer("c:good"), 401],
  ["no token for two issuers", TWO, [], 0],
  ["no token where one is required", compile({ a: provider(A) }, named("a")), [], 401],
  [
    "a bad token where that is allowed",
    compile({ a: provider(A) }, any(named("a"), FAILED)),
    bearer("a:old"),
    0,
  ],
  [
    "one of two that are both required",
    compile({ a: provider(A), b: provider(B) }, all(named("a"), named("b"))),
    bearer("a:good"),
    401,
  ],
])("%s", (_what, step, headers, status) => {
  expect(statusOf(admit(step, request(headers)))).toBe(status);
});

test("a preflight needs no token", () => {
  const headers = ["Origin", "https://x", "Access-Control-Request-Method", "GET"];
  const strict = compile({ a: provider(A) }, named("a"));
  expect(admit(strict, request(headers, "/", "OPTIONS"))).toBeUndefined();
  expect(statusOf(admit(strict, request([], "/", "OPTIONS")))).toBe(401);
});

test("a good token becomes metadata and fields, and goes no further itself", () => {
  const step = ONE({
    forwardPayloadHeader: "X-Payload",
    padForwardPayloadHeader: true,
    claimToHeaders: [
      { headerName: "X-Sub", claimName: "sub" },
      { headerName: "x-role", claimName: "nested.role" },
      { headerName: "x-evil", claimName: "evil" },
      { headerName: "x-list", claimName: "list" },
      { headerName: "x-proto", claimName: "__proto__.toString" },
    ],
    normalizePayloadInMetadata: { spaceDelimitedClaims: ["scope"] },
    clearRouteCache: true,
  });
  const remove = ["x-payload", "x-sub", "x-role", "x-evil", "x-list", "x-proto"].map((name) => ({
    op: "remove",
    name,
  }));
  expect(admit(step, request(bearer("a:good")))).toEqual({
    kind: "mutate",
    request: [
      ...remove,
      { op: "remove", name: "authorization" },
      { op: "set", name: "x-payload", value: "cGF5" },
      { op: "set", name: "x-sub", value: "alice" },
      { op: "set", name: "x-role", value: "x" },
    ],
    metadata: {
      namespace: "envoy.filters.http.jwt_authn",
      value: { payload: expect.objectContaining({ iss: A, scope: ["read", "write"] }) },
    },
    reroute: true,
  });
  // What a client sends under these names is never believed, with a token or without.
  expect(admit(step, request(["x-sub", "root"]))).toEqual({ kind: "mutate", request: remove });
});

test("a token is looked for where the provider says, and nowhere else", () => {
  const step = ONE({
    fromHeaders: [{ name: "X-Token", valuePrefix: "JWT " }, { name: "x-raw" }],
    fromParams: ["t"],
    fromCookies: ["c"],
    forward: true,
  });
  const found = (asked: EngineRequest) => statusOf(admit(step, asked)) === 401;
  expect(found(request(bearer("a:old")))).toBe(false);
  expect(found(request(["x-token", "JWT a:old"]))).toBe(true);
  expect(found(request(["x-token", "a:old"]))).toBe(false);
  expect(found(request(["x-raw", "a:old"]))).toBe(true);
  expect(found(request([], "/x?a=b&t=a%3Aold"))).toBe(true);
  expect(found(request([], "/x?%74=a:old"))).toBe(true);
  expect(found(request([], "/x?t=%zz"))).toBe(true);
  expect(found(request([], "/x?tt=a:old"))).toBe(false);
  expect(found(request(["cookie", 'b=1; c="a:old"']))).toBe(true);
  expect(found(request(["cookie", "c=a:good; c=a:old"]))).toBe(true);
  expect(admit(step, request(["x-raw", "a:good"]))).toMatchObject({ kind: "mutate", request: [] });
});

test("many tokens are refused before anybody verifies them", () => {
  const headers = Array.from({ length: 20 }, (_, index) => bearer(`a:good:${index}`)).flat();
  const view = {} as DecisionView;
  expect(ONE().admit(view, PLAN, { request: request(headers), principal: undefined })?.kind).toBe("reply");
});

test("whoever cannot say whether a token is good refuses it", () => {
  const facts: Facts = { request: request(bearer("a:good")), principal: undefined };
  const fact = { kind: "failed", reason: "overflow", detail: "" } as const;
  expect(statusOf(ONE().admit({} as DecisionView, PLAN, { ...facts, fact }))).toBe(401);
});

test("the refusal says what is wrong with the token, and nothing of it", () => {
  const events: TraceEvent[] = [];
  const said = admit(ONE(), request(bearer("a:secret"), '/p"x?q=1'), events);
  expect(said).toMatchObject({
    status: 401,
    body: "Jwt is expired",
    headers: [
      "www-authenticate",
      'Bearer realm="http://web/px", error="invalid_token"',
      "content-type",
      "text/plain",
    ],
    details: "jwt_authn_access_denied{Jwt_is_expired}",
    grpcStatus: 16,
  });
  expect(JSON.stringify([said, events])).not.toContain("secret");
  expect(events).toMatchObject([{ subject: "JWT", verdict: "chosen", reason: "refused: Jwt is expired" }]);
});

test.each<[string, ProviderInit]>([
  ["remote_jwks", { jwksSourceSpecifier: { case: "remoteJwks", value: {} } }],
  ["local_jwks", { jwksSourceSpecifier: { case: undefined } }],
  ["subjects", { subjects: {} }],
  ["header_in_metadata", { headerInMetadata: "h" }],
  ["from_headers[0].name", { fromHeaders: [{ name: "a b" }] }],
  ["claim_to_headers[0]", { claimToHeaders: [{ headerName: "x" }] }],
])("a provider with %s is refused", (field, more) => {
  expect(() => ONE(more)).toThrow(`f.providers["a"].${field}: `);
});

test("a requirement that names nobody, or nothing, is refused", () => {
  const wrong = (requires: RequirementInit) => () => compile({ a: provider(A) }, requires);
  expect(wrong(named("b"))).toThrow('"b" is not a provider');
  expect(wrong(named("toString"))).toThrow("is not a provider");
  expect(wrong(any())).toThrow("must not be empty");
  expect(wrong({ requiresType: { case: undefined } })).toThrow("must say what is required");
  let deep: RequirementInit = MISSING;
  for (let level = 0; level < 20; level++) deep = any(deep);
  expect(wrong(deep)).toThrow("more than 16 levels");
});
