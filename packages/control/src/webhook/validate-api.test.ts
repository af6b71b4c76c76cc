import { PolicyReviewer } from "@tulle/admission";
import { Caller, KINDS, LOCAL_SUBJECT, type MeshObject } from "@tulle/api";
import { silentLogger } from "@tulle/base";
import { expect, test } from "vitest";

import { createAdmission } from "../admission/index.js";
import { objectOf, readerOf } from "../admission/testdata/objects.js";
import { createValidateApi } from "./validate-api.js";

const RULES = { group: "networking.istio.io", version: "v1", kind: "DestinationRule" };
const ROUTES = { ...RULES, kind: "VirtualService" };

interface Answer {
  readonly status: number;
  readonly body: any;
}

async function post(body: unknown, ...stored: readonly MeshObject[]): Promise<Answer> {
  const reader = readerOf(stored);
  const app = createValidateApi({
    reader,
    kinds: KINDS,
    admit: createAdmission({ reader, logger: silentLogger }),
    policies: new PolicyReviewer(reader),
    logger: silentLogger,
  });
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const answer = await app.request(
    "/validate",
    { method: "POST", body: text },
    { caller: new Caller(LOCAL_SUBJECT) },
  );
  return { status: answer.status, body: await answer.json() };
}

/** As a Kubernetes API server sends it. */
function review(request: object): object {
  return {
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    request: {
      uid: "705ab4f5-6393-11e8-b7cc-42010a800002",
      requestKind: RULES,
      resource: { group: "networking.istio.io", version: "v1", resource: "destinationrules" },
      name: "a",
      namespace: "default",
      userInfo: { username: "mary", groups: ["system:authenticated"] },
      options: { apiVersion: "meta.k8s.io/v1", kind: "CreateOptions" },
      operation: "CREATE",
      kind: RULES,
      oldObject: null,
      dryRun: false,
      ...request,
    },
  };
}

const wire = (kind: string, spec: object, metadata: object = {}): object => ({
  apiVersion: "networking.istio.io/v1",
  kind,
  metadata: {
    name: "a",
    namespace: "default",
    uid: "1",
    creationTimestamp: null,
    managedFields: [{ manager: "kubectl" }],
    ...metadata,
  },
  spec,
  status: { anything: true },
});

test("an object that is sound is allowed, under the question's uid", async () => {
  const { status, body } = await post(review({ object: wire("DestinationRule", { host: "reviews" }) }));
  expect(status).toBe(200);
  expect(body).toEqual({
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    response: { uid: "705ab4f5-6393-11e8-b7cc-42010a800002", allowed: true },
  });
});

test("all violations come with their paths", async () => {
  const spec = { hots: "reviews", trafficPolicy: { loadBalancer: { simple: "BEST" } } };
  const { body } = await post(review({ object: wire("DestinationRule", spec) }));
  expect(body.response).toMatchObject({
    allowed: false,
    status: { code: 422, reason: "Invalid", details: { name: "a", kind: "DestinationRule" } },
  });
  expect(body.response.status.details.causes.map(({ field }: { field: string }) => field).sort()).toEqual([
    "spec.host",
    "spec.hots",
    "spec.trafficPolicy.loadBalancer.simple",
  ]);
  expect(body.response.status.message).toContain("spec.hots: is not a known field; did you mean host");
});

const to = (regex: string) => [
  { match: [{ uri: { regex } }], route: [{ destination: { host: "reviews", port: { number: 80 } } }] },
];

test("what proxies would refuse, and what contradicts others, is refused", async () => {
  const bad = wire("VirtualService", { hosts: ["reviews"], http: to("[[:nope:]]") });
  const { body } = await post(review({ kind: ROUTES, object: bad }));
  expect(body.response.status.details.causes).toEqual([
    expect.objectContaining({
      field: "spec.http[0]",
      message: expect.stringContaining("proxies would refuse"),
    }),
  ]);
  const old = objectOf(
    "VirtualService",
    "old",
    "{hosts: [reviews], http: [{directResponse: {status: 200}}]}",
  );
  const second = wire("VirtualService", { hosts: ["reviews"], http: to("/a") });
  const conflict = await post(review({ kind: ROUTES, object: second }), old);
  expect(conflict.body.response.status.message).toContain("conflicts with VirtualService default/old");
  // What was so before is not held against an update.
  const update = await post(review({ kind: ROUTES, operation: "UPDATE", object: bad, oldObject: bad }));
  expect(update.body.response.allowed).toBe(true);
});

test("what analysis finds comes as warnings, with its code", async () => {
  const { body } = await post(review({ object: wire("DestinationRule", { host: "nowhere.example" }) }));
  expect(body.response).toMatchObject({
    allowed: true,
    warnings: [expect.stringMatching(/^IST0174 \(UnknownDestinationRuleHost\) spec\.host: /)],
  });
});

const POLICY = (group: string, action: string): readonly MeshObject[] =>
  [
    [
      "ValidatingAdmissionPolicy",
      "p",
      {
        matchConstraints: {
          resourceRules: [{ apiGroups: ["*"], apiVersions: ["*"], operations: ["*"], resources: ["*"] }],
        },
        validations: [
          { expression: `!('${group}' in request.userInfo.groups)`, messageExpression: "request.operation" },
        ],
      },
    ] as const,
    ["ValidatingAdmissionPolicyBinding", "b", { policyName: "p", validationActions: [action] }] as const,
  ].map(([kind, name, spec]) => ({
    apiVersion: "admissionregistration.k8s.io/v1",
    kind,
    metadata: {
      name,
      namespace: "",
      uid: name,
      resourceVersion: "1",
      generation: 1,
      creationTimestamp: "2026-01-01T00:00:00Z",
    },
    spec,
  }));

test("policies are asked about the writer that Kubernetes names, and about deletions", async () => {
  const object = wire("DestinationRule", { host: "reviews" });
  const denied = await post(review({ object }), ...POLICY("system:authenticated", "Deny"));
  expect(denied.body.response.status.message).toContain("denied request: CREATE");
  expect((await post(review({ object }), ...POLICY("others", "Deny"))).body.response.allowed).toBe(true);
  const warned = await post(review({ object }), ...POLICY("system:authenticated", "Warn"));
  expect(warned.body.response).toMatchObject({
    allowed: true,
    warnings: [expect.stringContaining("CREATE")],
  });
  const gone = { operation: "DELETE", object: null, oldObject: object };
  const kept = await post(review(gone), ...POLICY("system:authenticated", "Deny"));
  expect(kept.body.response.status.message).toContain("denied request: DELETE");
  expect((await post(review(gone))).body.response.allowed).toBe(true);
});

test("what Tulle does not know is allowed, and said", async () => {
  const kind = { group: "apps", version: "v1", kind: "Deployment" };
  const { body } = await post(review({ kind, object: { spec: {} } }));
  expect(body.response).toMatchObject({
    allowed: true,
    warnings: ["Tulle does not know Deployment of apps/v1: nothing was checked"],
  });
  const status = await post(review({ subResource: "status", operation: "UPDATE", object: { spec: 1 } }));
  expect(status.body.response).toMatchObject({ allowed: true });
});

test.each([
  "no json",
  "[]",
  "{}",
  review({ uid: 1 }),
  review({ operation: "READ" }),
  review({ object: undefined }),
  { ...review({ object: {} }), apiVersion: "admission.k8s.io/v1beta1" },
])("a question that cannot be read is refused (#%#)", async (body) => {
  const { status, body: answer } = await post(body);
  expect(status).toBe(400);
  expect(answer).toMatchObject({ kind: "Status", status: "Failure" });
});
