import { ADMISSION_GROUP, findKind, fromWire, objectKey, type Kind, type MeshObject } from "@tulle/api";
import { expect, test } from "vitest";

import { denialText, PolicyReviewer, warningText } from "./reviewer.js";
import type { AdmissionWrite } from "./write.js";

const routes = findKind("networking.istio.io", "VirtualService")!;
const configMapKind = findKind("", "ConfigMap")!;
const namespaceKind = findKind("", "Namespace")!;

function objectOf(kind: Kind, name: string, rest: object, metadata: object = {}): MeshObject {
  const wire = {
    apiVersion: `${kind.group}/v1`.replace(/^\//, ""),
    kind: kind.kind,
    metadata: { name, ...metadata },
    ...rest,
  };
  const checked = kind.check(wire as never);
  if (!checked.ok) throw new Error(JSON.stringify(checked.violations));
  const { apiVersion, kind: kindName, metadata: own } = fromWire(wire as never);
  return {
    apiVersion,
    kind: kindName,
    metadata: own,
    spec: checked.spec,
    ...(checked.extra === undefined ? {} : { extra: checked.extra }),
  };
}

const policyKind = findKind(ADMISSION_GROUP, "ValidatingAdmissionPolicy")!;
const bindingKind = findKind(ADMISSION_GROUP, "ValidatingAdmissionPolicyBinding")!;
const RULE = { apiGroups: ["networking.istio.io"], apiVersions: ["v1"], operations: ["CREATE", "UPDATE"] };
const ALL = { apiGroups: ["*"], apiVersions: ["*"], operations: ["*"], resources: ["*"] };

const policy = (validations: readonly object[], more: object = {}, name = "p"): MeshObject =>
  objectOf(policyKind, name, {
    spec: {
      matchConstraints: { resourceRules: [{ ...RULE, resources: ["virtualservices"] }] },
      validations,
      ...more,
    },
  });
const binding = (more: object = {}, name = "b"): MeshObject =>
  objectOf(bindingKind, name, { spec: { policyName: "p", validationActions: ["Deny"], ...more } });
const route = (spec: object = {}, metadata: object = {}): MeshObject =>
  objectOf(
    routes,
    "reviews",
    { spec: { hosts: ["reviews"], http: [{ route: [{ destination: { host: "reviews" } }] }], ...spec } },
    { namespace: "shop", ...metadata },
  );

const shop = objectOf(namespaceKind, "shop", {}, { labels: { tier: "gold" } });

function reviewer(...stored: readonly MeshObject[]): PolicyReviewer {
  return new PolicyReviewer({
    objects: (group, kind) =>
      [shop, ...stored].filter((one) => objectKey(one).group === group && one.kind === kind),
  });
}

const write = (object: MeshObject | undefined, more: Partial<AdmissionWrite> = {}): AdmissionWrite => ({
  operation: "CREATE",
  kind: routes,
  version: "v1",
  object,
  oldObject: undefined,
  user: { username: "token:ci", groups: ["tulle:operator"] },
  dryRun: false,
  ...more,
});

async function denied(
  stored: readonly MeshObject[],
  one: AdmissionWrite = write(route()),
): Promise<string[]> {
  return (await reviewer(...stored).review(one)).denied.map(({ message }) => message);
}

const NEVER = [{ expression: "false", message: "no" }];

test("a write is refused by every validation that is false, with what it says", async () => {
  const validations = [
    { expression: "size(object.spec.http) > 5" },
    { expression: "object.metadata.name != 'reviews'", message: "not this name", reason: "Forbidden" },
    { expression: "false", message: "unused", messageExpression: "'never ' + object.metadata.name" },
    { expression: "false", message: "used", messageExpression: "object.missing" },
    { expression: "true" },
  ];
  const { denied: found } = await reviewer(policy(validations), binding()).review(write(route()));
  expect(found.map(({ message, reason }) => [message, reason])).toEqual([
    ["failed expression: size(object.spec.http) > 5", "Invalid"],
    ["not this name", "Forbidden"],
    ["never reviews", "Invalid"],
    ["used", "Invalid"],
  ]);
  expect(denialText(found[1]!)).toBe(
    "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: not this name",
  );
});

test("validationActions say what becomes of it", async () => {
  const actions = async (...validationActions: readonly string[]) => {
    const {
      denied: d,
      warned,
      audited,
    } = await reviewer(policy(NEVER), binding({ validationActions })).review(write(route()));
    return [d.length, warned.length, audited.length];
  };
  expect(await actions("Deny")).toEqual([1, 0, 0]);
  expect(await actions("Warn", "Audit")).toEqual([0, 1, 1]);
  const { warned } = await reviewer(policy(NEVER), binding({ validationActions: ["Warn"] })).review(
    write(route()),
  );
  expect(warned.map(warningText)).toEqual([
    "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': no",
  ]);
});

test("without a binding, or with one for another policy, nothing is asked", async () => {
  expect(await denied([policy(NEVER)])).toEqual([]);
  expect(await denied([policy(NEVER), binding({ policyName: "other" })])).toEqual([]);
  expect(await denied([policy(NEVER), binding()])).toEqual(["no"]);
});

test("expressions see object, oldObject, request, namespaceObject and variables", async () => {
  const validations = [
    "object.apiVersion == 'networking.istio.io/v1' && object.kind == 'VirtualService'",
    "oldObject.spec.hosts == ['old'] && object.spec.hosts == ['reviews']",
    "request.operation == 'UPDATE' && request.userInfo.username == 'token:ci' && 'tulle:operator' in request.userInfo.groups",
    "request.name == 'reviews' && request.namespace == 'shop' && !request.dryRun",
    "request.kind.kind == 'VirtualService' && request.resource.resource == 'virtualservices'",
    "namespaceObject.metadata.labels.tier == 'gold'",
    "variables.hosts == 1 && variables.more == 2",
  ].map((expression) => ({ expression }));
  const variables = [
    { name: "hosts", expression: "size(object.spec.hosts)" },
    { name: "more", expression: "variables.hosts + 1" },
  ];
  const stored = [policy(validations, { variables }), binding()];
  const update = write(route(), { operation: "UPDATE", oldObject: route({ hosts: ["old"] }) });
  expect(await denied(stored, update)).toEqual([]);
});

test.each<[string, object, Partial<AdmissionWrite>, boolean]>([
  ["another group", { resourceRules: [{ ...ALL, apiGroups: [""] }] }, {}, false],
  ["another resource", { resourceRules: [{ ...ALL, resources: ["gateways"] }] }, {}, false],
  ["*/*", { resourceRules: [{ ...ALL, resources: ["*/*"] }] }, {}, true],
  ["another operation", { resourceRules: [{ ...ALL, operations: ["DELETE"] }] }, {}, false],
  [
    "a delete",
    { resourceRules: [{ ...ALL, operations: ["DELETE"] }] },
    { operation: "DELETE", object: undefined, oldObject: route() },
    true,
  ],
  ["an equivalent version", { resourceRules: [{ ...ALL, apiVersions: ["v1beta1"] }] }, {}, true],
  [
    "an exact version",
    { resourceRules: [{ ...ALL, apiVersions: ["v1beta1"] }], matchPolicy: "Exact" },
    {},
    false,
  ],
  ["a scope", { resourceRules: [{ ...ALL, scope: "Cluster" }] }, {}, false],
  ["a name", { resourceRules: [{ ...ALL, resourceNames: ["reviews"] }] }, {}, true],
  ["another name", { resourceRules: [{ ...ALL, resourceNames: ["ratings"] }] }, {}, false],
  [
    "an exclusion",
    { resourceRules: [ALL], excludeResourceRules: [{ ...ALL, resources: ["virtualservices"] }] },
    {},
    false,
  ],
  ["a namespace", { resourceRules: [ALL], namespaceSelector: { matchLabels: { tier: "gold" } } }, {}, true],
  [
    "another namespace",
    {
      resourceRules: [ALL],
      namespaceSelector: { matchExpressions: [{ key: "tier", operator: "NotIn", values: ["gold"] }] },
    },
    {},
    false,
  ],
  [
    "labels",
    { resourceRules: [ALL], objectSelector: { matchLabels: { a: "b" } } },
    { object: route({}, { labels: { a: "b" } }) },
    true,
  ],
  [
    "labels before",
    { resourceRules: [ALL], objectSelector: { matchLabels: { a: "b" } } },
    { oldObject: route({}, { labels: { a: "b" } }) },
    true,
  ],
  ["other labels", { resourceRules: [ALL], objectSelector: { matchLabels: { a: "b" } } }, {}, false],
])("matchConstraints and matchResources by %s", async (_what, match, more, fits) => {
  const one = write(route(), more);
  const expected = fits ? ["no"] : [];
  expect(await denied([policy(NEVER, { matchConstraints: match }), binding()], one)).toEqual(expected);
  const everything = policy(NEVER, { matchConstraints: { resourceRules: [ALL] } });
  expect(await denied([everything, binding({ matchResources: match })], one)).toEqual(expected);
});

test("matchConditions: one that is false passes the write, one that cannot be told is failurePolicy's", async () => {
  const by = (failurePolicy: string, ...expressions: readonly string[]) =>
    denied([
      policy(NEVER, {
        failurePolicy,
        matchConditions: expressions.map((expression, index) => ({ name: `c${index}`, expression })),
      }),
      binding(),
    ]);
  expect(await by("Fail", "true", "object.spec.hosts[0] == 'reviews'")).toEqual(["no"]);
  expect(await by("Fail", "object.missing", "false")).toEqual([]);
  expect(await by("Fail", "true", "object.missing")).toEqual([
    expect.stringContaining("the condition c1 cannot be evaluated"),
  ]);
  expect(await by("Ignore", "true", "object.missing")).toEqual([]);
});

test("what cannot be evaluated is refused, or ignored where the policy says so", async () => {
  const broken = [{ expression: "object.missing == 1" }, { expression: "1" }];
  expect(await denied([policy(broken), binding()])).toEqual([
    expect.stringContaining("cannot be evaluated"),
    expect.stringContaining("neither true nor false"),
  ]);
  expect(await denied([policy(broken, { failurePolicy: "Ignore" }), binding()])).toEqual([]);
});

test("params: each object by itself, and what holds when there is none", async () => {
  const params = (name: string, max: string, namespace = "shop") =>
    objectOf(configMapKind, name, { data: { max } }, { namespace, labels: { for: "p" } });
  const limited = policy(
    [
      {
        expression: "size(object.spec.hosts) <= int(params.data.max)",
        messageExpression: "'at most ' + params.data.max",
      },
    ],
    { paramKind: { apiVersion: "v1", kind: "ConfigMap" } },
  );
  const by = (paramRef: object, ...stored: readonly MeshObject[]) =>
    denied(
      [limited, binding({ paramRef: { parameterNotFoundAction: "Deny", ...paramRef } }), ...stored],
      write(route({ hosts: ["a", "b"] })),
    );
  expect(await by({ name: "max" }, params("max", "1"))).toEqual(["at most 1"]);
  expect(await by({ name: "max" }, params("max", "2"))).toEqual([]);
  expect(
    await by({ selector: { matchLabels: { for: "p" } } }, params("a", "1"), params("b", "0")),
  ).toHaveLength(2);
  expect(await by({ name: "max", namespace: "ops" }, params("max", "1"))).toEqual([
    expect.stringContaining("no object that the paramRef names"),
  ]);
  expect(await by({ name: "max", parameterNotFoundAction: "Allow" })).toEqual([]);
  expect(
    await denied([policy(NEVER), binding({ paramRef: { name: "a", parameterNotFoundAction: "Allow" } })]),
  ).toEqual([expect.stringContaining("has no paramKind")]);
});

test("of a policy everything that is wrong is told before it is stored", async () => {
  const bad = policy(
    [{ expression: "objekt == 1", messageExpression: "(" }, { expression: "params == null" }],
    {
      paramKind: { apiVersion: "apps/v1", kind: "Deployment" },
      matchConditions: [{ name: "c", expression: "variables.v" }],
      variables: [{ name: "v", expression: "variables.v" }],
    },
  );
  expect((await reviewer().violationsOf(bad)).map(({ path }) => path)).toEqual([
    "spec.paramKind",
    "spec.matchConditions[0].expression",
    "spec.variables[0].expression",
    "spec.validations[0].expression",
    "spec.validations[0].messageExpression",
  ]);
  expect(await reviewer().violationsOf(policy(NEVER))).toEqual([]);
  expect(await reviewer().violationsOf(route())).toEqual([]);
  // It got in past the check: it refuses.
  expect(await denied([bad, binding()])).toEqual([expect.stringContaining("the policy cannot be used")]);
});

test("rules are not for rules: nobody locks themselves out", async () => {
  const all = policy(NEVER, { matchConstraints: { resourceRules: [ALL] } });
  const one = write(binding(), { kind: bindingKind });
  expect(await denied([all, binding()], one)).toEqual([]);
});

test("many policies for one write share what they may cost", async () => {
  const list = Array.from({ length: 300 }, (_, index) => `h${index}.example.com`);
  const slow = policy([
    { expression: "object.spec.hosts.all(a, object.spec.hosts.all(b, object.spec.hosts.all(c, a != '')))" },
  ]);
  const bindings = Array.from({ length: 40 }, (_, index) => binding({}, `b${index}`));
  const started = performance.now();
  const found = await denied([slow, ...bindings], write(route({ hosts: list })));
  expect(found).toHaveLength(40);
  expect(found[39]).toContain("costs too much");
  expect(performance.now() - started).toBeLessThan(8_000);
});
