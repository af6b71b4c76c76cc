import { ROUTE_TYPE } from "@tulle/xds";
import { expect, test } from "vitest";
import { clientOf, type Decision } from "../../testdata/decide.js";
import { assignment, CLIENT, instance, made, mesh, routesOf } from "../../testdata/mesh.js";
import type { ClientView } from "../contract.js";

const NAME = "reviews.default.svc.cluster.local:9080";
const SHOP = ["v1", "v2"].map((version) => instance({ service: "reviews", version, servicePort: 9080 }));
const OTHERS = [
  instance({ service: "ratings", servicePort: 9080 }),
  instance({ service: "vault", namespace: "bank", servicePort: 9080 }),
];
const ENTRY = `---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside}
spec: {hosts: [api.example.com], ports: [{number: 443, name: http, protocol: HTTP}], resolution: DNS}
`;

interface Written {
  readonly name?: string;
  readonly namespace?: string;
  readonly targetRef?: string;
  readonly to?: string;
}

function policy(rules: string, options: Written = {}): string {
  const {
    name = "reviews",
    namespace = "default",
    targetRef,
    to = "{kind: MeshService, name: reviews}",
  } = options;
  const target = targetRef === undefined ? "" : `targetRef: ${targetRef}, `;
  return `---
apiVersion: kuma.io/v1alpha1
kind: MeshHTTPRoute
metadata: {name: ${name}, namespace: ${namespace}}
spec: {${target}to: [{targetRef: ${to}, rules: ${rules}}]}
`;
}

function backend(fields: string, weight = 1): string {
  return `{kind: MeshService, ${fields}, weight: ${weight}}`;
}

/** One rule with one match that sends to ratings. */
function toRatings(match: string): string {
  return `[{matches: [${match}], default: {backendRefs: [${backend("name: ratings")}]}}]`;
}

function decide(
  yaml: string,
  request: Parameters<ReturnType<typeof clientOf>["decide"]>[0] = {},
  view: ClientView = CLIENT,
): Decision {
  return clientOf(mesh([...SHOP, ...OTHERS], yaml), view, "reviews:9080").decide(request);
}

const RATINGS = "ratings.default:9080";
const REVIEWS = "reviews.default:9080";

test.each([
  ["{path: {type: Exact, value: /a}}", { path: "/a" }, { path: "/a/b" }],
  ["{path: {type: PathPrefix, value: /a}}", { path: "/a/b" }, { path: "/ab" }],
  ["{path: {type: RegularExpression, value: '/a.*z'}}", { path: "/abcz" }, { path: "/abc" }],
  ["{method: POST}", { method: "POST" }, { method: "GET" }],
  ["{queryParams: [{type: Exact, name: q, value: '1'}]}", { path: "/?q=1" }, { path: "/?q=12" }],
  [
    "{queryParams: [{type: RegularExpression, name: q, value: '1.*'}]}",
    { path: "/?q=12" },
    { path: "/?q=2" },
  ],
  ["{headers: [{name: x, value: a}]}", { headers: ["x", "a"] }, { headers: ["x", "ab"] }],
  ["{headers: [{type: Prefix, name: x, value: a}]}", { headers: ["x", "ab"] }, { headers: ["x", "ba"] }],
  [
    "{headers: [{type: RegularExpression, name: x, value: 'a+'}]}",
    { headers: ["x", "aa"] },
    { headers: ["x", "b"] },
  ],
  ["{headers: [{type: Present, name: x}]}", { headers: ["x", ""] }, {}],
  ["{headers: [{type: Absent, name: x}]}", {}, { headers: ["x", "1"] }],
  ["{path: {type: PathPrefix, value: /a}, method: PUT}", { path: "/a", method: "PUT" }, { path: "/a" }],
])("a match %s; what no rule matches goes to the service that was called", (match, fits, fitsNot) => {
  const yaml = policy(toRatings(match));
  expect(decide(yaml, fits).backend).toBe(RATINGS);
  expect(decide(yaml, fitsNot)).toMatchObject({ backend: REVIEWS, route: "default" });
});

test("of several matches any holds", () => {
  const yaml = policy(toRatings("{method: PUT}, {path: {type: Exact, value: /a}}"));
  expect([decide(yaml, { method: "PUT" }), decide(yaml, { path: "/a" })]).toMatchObject([
    { backend: RATINGS },
    { backend: RATINGS },
  ]);
});

test.each<[filters: string, decision: Decision]>([
  [
    "{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: '1'}], add: [{name: b, value: '2'}], remove: [c]}}",
    { backend: REVIEWS, requestHeaders: ["set a=1", "append b=2", "remove c"] },
  ],
  [
    "{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: a, value: '1'}]}}",
    { backend: REVIEWS, responseHeaders: ["set a=1"] },
  ],
  [
    "{type: RequestRedirect, requestRedirect: {scheme: https, hostname: example.com, port: 8443, statusCode: 301, path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}}",
    { status: 301, location: "https://example.com:8443/new/x" },
  ],
  [
    "{type: URLRewrite, urlRewrite: {hostname: example.com, path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}}",
    { backend: REVIEWS, path: "/new/x", authority: "example.com" },
  ],
  [
    "{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /all}}}",
    { backend: REVIEWS, path: "/all" },
  ],
  [
    "{type: URLRewrite, urlRewrite: {hostToBackendHostname: true}}",
    { backend: REVIEWS, authority: "reviews.default.svc.cluster.local" },
  ],
])("a filter %s", (filter, decision) => {
  const yaml = policy(
    `[{matches: [{path: {type: PathPrefix, value: /old}}, {path: {type: PathPrefix, value: /older}}], default: {filters: [${filter}]}}]`,
  );
  const expected = Object.entries(decision).map(([key, value]) => [
    key,
    Array.isArray(value) ? expect.arrayContaining(value) : value,
  ]);
  expect(decide(yaml, { path: "/old/x" })).toMatchObject(Object.fromEntries(expected));
  // A prefix is replaced whichever of the matches held.
  if (decision.path === "/new/x") expect(decide(yaml, { path: "/older/x" }).path).toBe("/new/x");
});

test("requests are mirrored in a share, whole or decimal", () => {
  const mirror = (fields: string) => `{type: RequestMirror, requestMirror: {${fields}}}`;
  const filters = [
    mirror("backendRef: {kind: MeshService, name: ratings}"),
    mirror("percentage: 20, backendRef: {kind: MeshService, name: ratings}"),
    mirror("percentage: '0.5', backendRef: {kind: MeshServiceSubset, name: reviews, tags: {version: v2}}"),
  ];
  const yaml = policy(`[{matches: [{}], default: {filters: [${filters.join(", ")}]}}]`);
  const [route] = routesOf(mesh([...SHOP, ...OTHERS], yaml), CLIENT, NAME);
  const mirrors = route?.action.case === "route" ? route.action.value.requestMirrorPolicies : [];
  expect(
    mirrors.map(({ cluster, runtimeFraction }) => [cluster, runtimeFraction?.defaultValue?.numerator]),
  ).toEqual([
    ["outbound|9080||ratings.default.svc.cluster.local", 1_000_000],
    ["outbound|9080||ratings.default.svc.cluster.local", 200_000],
    ["outbound|9080|version=v2|reviews.default.svc.cluster.local", 5000],
  ]);
});

test.each([
  [backend("name: ratings"), { backend: RATINGS }],
  [backend("name: ratings, port: 9080"), { backend: RATINGS }],
  [backend("name: vault, namespace: bank"), { backend: "vault.bank:9080" }],
  [backend("name: vault_bank_svc_9080"), { backend: "vault.bank:9080" }],
  [
    backend("labels: {kuma.io/display-name: vault, k8s.kuma.io/namespace: bank}"),
    { backend: "vault.bank:9080" },
  ],
  [
    backend("labels: {kuma.io/display-name: reviews, version: v2}"),
    { backend: REVIEWS, subset: "version=v2" },
  ],
  [
    "{kind: MeshServiceSubset, name: reviews, tags: {version: v1, a: b}}",
    { backend: REVIEWS, subset: "a=b,version=v1" },
  ],
  ["{kind: MeshMultiZoneService, name: ratings}", { backend: RATINGS }],
  ["{kind: MeshExternalService, name: outside, port: 443}", { backend: "api.example.com:443" }],
])("the backend %s", (reference, decision) => {
  const yaml = policy(`[{matches: [{}], default: {backendRefs: [${reference}]}}]`) + ENTRY;
  expect(decide(yaml)).toMatchObject(decision);
});

test("backends share requests by weight, and hosts are rewritten to theirs", () => {
  const refs = [
    backend("name: ratings", 3),
    backend("name: reviews", 1),
    backend("name: vault, namespace: bank", 0),
  ];
  const rewrite = "filters: [{type: URLRewrite, urlRewrite: {hostToBackendHostname: true}}], ";
  const at = mesh(
    [...SHOP, ...OTHERS],
    policy(`[{matches: [{}], default: {${rewrite}backendRefs: [${refs.join(", ")}]}}]`),
  );
  const client = clientOf(at, CLIENT, "reviews:9080");
  const seen = new Map<string, number>();
  for (let share = 0; share < 100; share++) {
    const { backend: to = "", authority = "" } = client.decide({}, Math.floor((share / 100) * 2 ** 32));
    seen.set(`${to} ${authority}`, (seen.get(`${to} ${authority}`) ?? 0) + 1);
  }
  expect(Object.fromEntries(seen)).toEqual({
    [`${RATINGS} ratings.default.svc.cluster.local`]: 75,
    [`${REVIEWS} reviews.default.svc.cluster.local`]: 25,
  });
});

test("a subset by labels selects its instances, without a word of DestinationRules", () => {
  const yaml = policy(
    "[{matches: [{}], default: {backendRefs: [{kind: MeshServiceSubset, name: reviews, tags: {version: v2}}]}}]",
  );
  expect(made(mesh(SHOP, yaml), CLIENT, ROUTE_TYPE, NAME).warnings).toEqual([]);
  const cluster = "outbound|9080|version=v2|reviews.default.svc.cluster.local";
  const { endpoints } = assignment(mesh(SHOP, yaml), CLIENT, cluster);
  expect(endpoints.flatMap(({ lbEndpoints }) => lbEndpoints)).toHaveLength(1);
});

test("the most specific match counts, however rules are ordered", () => {
  const to = (name: string, match: string) =>
    `{matches: [${match}], default: {filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: rule, value: ${name}}]}}]}}`;
  const path = (type: string, value: string) => `path: {type: ${type}, value: '${value}'}`;
  const yaml = policy(
    `[${[
      to("none", "{}"),
      to("regex", `{${path("RegularExpression", "/a/b/c/.*")}}`),
      to("short", `{${path("PathPrefix", "/a")}}`),
      to("long", `{${path("PathPrefix", "/a/b")}}`),
      to("header", `{${path("PathPrefix", "/a/b")}, headers: [{name: x, value: y}]}`),
      to("method", `{${path("PathPrefix", "/a/b")}, method: PUT}`),
      to("exact", `{${path("Exact", "/a/b")}}`),
    ].join(", ")}]`,
  );
  const rule = (request: Parameters<typeof decide>[1]) => decide(yaml, request).requestHeaders?.[0];
  expect(rule({ path: "/" })).toBe("set rule=none");
  expect(rule({ path: "/a" })).toBe("set rule=short");
  expect(rule({ path: "/a/b/c/d" })).toBe("set rule=long");
  expect(rule({ path: "/a/b/", headers: ["x", "y"] })).toBe("set rule=header");
  expect(rule({ path: "/a/b/", headers: ["x", "y"], method: "PUT" })).toBe("set rule=method");
  expect(rule({ path: "/a/b", headers: ["x", "y"], method: "PUT" })).toBe("set rule=exact");
});

const INBOUND = [{ service: "web", namespace: "default", servicePort: 80, appPort: 8080 }];

test.each<[target: string, holds: ClientView, holdsNot: ClientView]>([
  ["{kind: Dataplane, labels: {app: web}}", { ...CLIENT, labels: { app: "web" } }, CLIENT],
  ["{kind: MeshSubset, tags: {app: web}}", { ...CLIENT, labels: { app: "web" } }, CLIENT],
  ["{kind: MeshSubset, tags: {kuma.io/service: web}}", { ...CLIENT, inbound: INBOUND }, CLIENT],
  [
    "{kind: MeshSubset, tags: {kuma.io/zone: a}}",
    { ...CLIENT, labels: { "istio-locality": "eu.a" } },
    CLIENT,
  ],
  ["{kind: MeshService, name: web}", { ...CLIENT, inbound: INBOUND }, CLIENT],
  ["{kind: MeshService, name: web_default_svc_80}", { ...CLIENT, inbound: INBOUND }, CLIENT],
  [
    "{kind: MeshServiceSubset, name: web, tags: {version: v1}}",
    { ...CLIENT, inbound: INBOUND, labels: { version: "v1" } },
    { ...CLIENT, inbound: INBOUND },
  ],
])("a policy for %s holds for these proxies only", (targetRef, holds, holdsNot) => {
  const yaml = policy(toRatings("{}"), { targetRef });
  expect(decide(yaml, {}, holds).backend).toBe(RATINGS);
  expect(decide(yaml, {}, holdsNot).backend).toBe(REVIEWS);
});

test.each<[namespace: string, to: string, client: string, holds: boolean]>([
  // Of the service's namespace: for all clients.
  ["default", "{kind: MeshService, name: reviews}", "default", true],
  ["default", "{kind: MeshService, name: reviews}", "other", true],
  // Of a client's namespace: for it alone.
  ["other", "{kind: MeshService, name: reviews, namespace: default}", "other", true],
  ["other", "{kind: MeshService, name: reviews, namespace: default}", "default", false],
  ["other", "{kind: MeshService, labels: {kuma.io/display-name: reviews}}", "other", true],
  ["other", "{kind: MeshService, name: reviews}", "other", false],
  // Of the mesh.
  ["kuma-system", "{kind: MeshService, name: reviews, namespace: default}", "other", true],
  ["istio-system", "{kind: MeshService, name: reviews_default_svc_9080}", "other", true],
  ["istio-system", "{kind: MeshService, name: reviews_default_svc_9081}", "other", false],
  ["default", "{kind: MeshService, name: reviews, sectionName: http-9080}", "default", true],
  ["default", "{kind: MeshService, name: reviews, sectionName: '9080'}", "default", true],
  ["default", "{kind: MeshService, name: reviews, sectionName: admin}", "default", false],
])("a policy of namespace %s to %s holds for clients of %s: %s", (namespace, to, client, holds) => {
  const yaml = policy(
    `[{matches: [{}], default: {backendRefs: [{kind: MeshService, name: ratings, namespace: default}]}}]`,
    { namespace, to },
  );
  const at = mesh([...SHOP, ...OTHERS], yaml);
  const { backend: found } = clientOf(at, { ...CLIENT, namespace: client }, "reviews.default:9080").decide();
  expect(found).toBe(holds ? RATINGS : REVIEWS);
});

test("rules with the same matches are one: each part is of the policy that counts most and has it", () => {
  const filters =
    "filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: by, value: NAME}]}}]";
  const of = (name: string, does: string, targetRef?: string) =>
    policy(`[{matches: [{}], default: {${does.replace("NAME", name)}}}]`, {
      name,
      ...(targetRef !== undefined && { targetRef }),
    });
  const yaml =
    of("b", filters) +
    of("a", `backendRefs: [${backend("name: ratings")}]`) +
    of("z", filters, "{kind: Dataplane, labels: {app: web}}");
  expect(decide(yaml)).toMatchObject({
    backend: RATINGS,
    requestHeaders: ["set by=b"],
    route: "a/to[0].rules[0]",
  });
  expect(decide(yaml, {}, { ...CLIENT, labels: { app: "web" } })).toMatchObject({
    backend: RATINGS,
    requestHeaders: ["set by=z"],
    route: "z/to[0].rules[0]",
  });
});

test("a route says which object and rule it came from", () => {
  const at = mesh([...SHOP, ...OTHERS], policy(toRatings("{}")));
  const [route, ...more] = routesOf(at, CLIENT, NAME);
  expect(more).toEqual([]);
  expect(route?.metadata?.filterMetadata).toEqual({
    istio: { config: "/apis/kuma.io/v1alpha1/namespaces/default/mesh-http-route/reviews" },
    "tulle.dev": { rule: "to[0].rules[0]" },
  });
  expect(made(at, CLIENT, ROUTE_TYPE, NAME)).toMatchObject({
    owners: ["MeshHTTPRoute/default/reviews"],
    warnings: [],
  });
});

const VIRTUAL_SERVICE = `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: first}
spec: {hosts: [reviews], http: [{route: [{destination: {host: reviews}}]}]}
`;
const HTTP_ROUTE = `---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: second}
spec: {parentRefs: [{kind: Service, group: '', name: reviews}], rules: [{backendRefs: [{name: reviews, port: 9080}]}]}
`;

test.each([
  ["VirtualService default/first rules the same host", VIRTUAL_SERVICE],
  ["HTTPRoute default/second is bound to the same port", HTTP_ROUTE],
])("%s: it holds, and the policy's status says so", (why, rival) => {
  const yaml = policy(toRatings("{}")) + rival;
  expect(decide(yaml).backend).toBe(REVIEWS);
  const { warnings, owners } = made(mesh([...SHOP, ...OTHERS], yaml), CLIENT, ROUTE_TYPE, NAME);
  expect(warnings).toEqual([`MeshHTTPRoute default/reviews to[0] has no effect on ${NAME}: ${why}`]);
  expect(owners).toContain("MeshHTTPRoute/default/reviews");
});
