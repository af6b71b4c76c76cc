import { fromBinary, type JsonObject } from "@bufbuild/protobuf";
import { ROUTE_TYPE } from "@tulle/xds";
import { RouteConfigurationSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_pb.js";
import type { Route, RouteAction } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { expect, test } from "vitest";
import {
  CLIENT,
  clustersOf,
  GRPC_CLIENT,
  instance,
  made,
  mesh,
  routesOf,
  SETTINGS,
  type TestMesh,
} from "../../testdata/mesh.js";
import { DEFAULT_RETRY_ON } from "./retry.js";

const HOST = "reviews.default.svc.cluster.local";
const NAME = `${HOST}:9080`;
const SHOP = [
  instance({ service: "reviews", servicePort: 9080, version: "v1" }),
  instance({ service: "ratings", servicePort: 8000 }),
  instance({ service: "ratings", servicePort: 9080 }),
];
const TO_REVIEWS = "route: [{destination: {host: reviews}}]";

function at(http: string, more = "") {
  return mesh(
    SHOP,
    `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec: {hosts: [reviews], http: ${http}}
${more}`,
  );
}

function routes(http: string, view = CLIENT, more = ""): Route[] {
  return routesOf(at(http, more), view, NAME);
}

function warnings(http: string): readonly string[] {
  return made(at(http), CLIENT, ROUTE_TYPE, NAME).warnings;
}

function action(http: string): RouteAction {
  const [route] = routes(http);
  if (route?.action.case !== "route") throw new Error("the first route does not forward");
  return route.action.value;
}

test("routeConfiguration retries safely and has no timeout where no VirtualService says otherwise", () => {
  const [route] = routesOf(mesh(SHOP), CLIENT, NAME);
  expect(route?.name).toBe("default");
  expect(route?.action.value).toMatchObject({
    clusterSpecifier: { value: `outbound|9080||${HOST}` },
    timeout: { seconds: 0n, nanos: 0 },
    retryPolicy: {
      retryOn: DEFAULT_RETRY_ON,
      numRetries: 2,
      hostSelectionRetryMaxAttempts: 5n,
      retryHostPredicate: [{ name: "envoy.retry_host_predicates.previous_hosts" }],
    },
  });
});

test("ruleRoutes names routes after the rule, or after the object and the rule's place", () => {
  const named = routes(
    `[{name: mine, match: [{name: one, uri: {prefix: /a}}, {uri: {prefix: /b}}], ${TO_REVIEWS}}, {${TO_REVIEWS}}]`,
  );
  expect(named.map(({ name }) => name)).toEqual(["mine.one", "mine", "reviews/http[1]"]);
});

test("ruleRoutes has redirects followed where the object's annotation says so", () => {
  const annotated = (value: string) =>
    mesh(
      SHOP,
      `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, annotations: {tulle.dev/internal-redirects: "${value}"}}
spec: {hosts: [reviews], http: [{${TO_REVIEWS}}]}
`,
    );
  const [route] = routesOf(annotated("3"), CLIENT, NAME);
  expect(route?.action.value).toMatchObject({
    internalRedirectPolicy: {
      maxInternalRedirects: 3,
      redirectResponseCodes: [301, 302, 303, 307, 308],
      allowCrossSchemeRedirect: false,
    },
  });
  expect(action(`[{${TO_REVIEWS}}]`).internalRedirectPolicy).toBeUndefined();
  expect(made(annotated("0"), CLIENT, ROUTE_TYPE, NAME).warnings).toEqual([
    expect.stringContaining("tulle.dev/internal-redirects must be a number from 1 to 20"),
  ]);
  expect(made(annotated("3"), GRPC_CLIENT, ROUTE_TYPE, NAME).warnings).toEqual([
    expect.stringContaining("ignore internal redirects"),
  ]);
});

test("ruleRoutes keeps the case of a cookie's name, and no other header's", () => {
  const [route] = routes(
    `[{match: [{headers: {X-User: {}}, withoutHeaders: {"@request.cookies.Beta": {exact: "on"}}}], ${TO_REVIEWS}}]`,
  );
  expect(route?.match?.headers.map(({ name, invertMatch }) => [name, invertMatch])).toEqual([
    ["x-user", false],
    ["@request.cookies.Beta", true],
  ]);
});

test("ruleRoutes says which object and rule a route came from", () => {
  const [, route] = routes(`[{match: [{uri: {exact: /}}], ${TO_REVIEWS}}, {${TO_REVIEWS}}]`);
  expect(route?.metadata?.filterMetadata).toEqual({
    istio: { config: "/apis/networking.istio.io/v1/namespaces/default/virtual-service/reviews" },
    "tulle.dev": { rule: "http[1]" },
  });
});

test.each([
  ["port: 9080", 1],
  ["port: 80", 0],
  ["gateways: [mesh]", 1],
  ["gateways: [shop/front]", 0],
  ["sourceNamespace: default", 1],
  ["sourceNamespace: other", 0],
  ["sourceLabels: {app: web}", 1],
  ["sourceLabels: {app: batch}", 0],
])("ruleRoutes with the condition %s makes %i routes for this client", (condition, count) => {
  const view = { ...CLIENT, labels: { app: "web" } };
  expect(routes(`[{match: [{${condition}}], ${TO_REVIEWS}}]`, view)).toHaveLength(count);
});

test("ruleRoutes leaves out matches whose regular expression cannot run in linear time", () => {
  const http = `[{match: [{uri: {regex: "(a)\\\\1"}}, {headers: {x: {regex: "(?=a)"}}}], ${TO_REVIEWS}}, {${TO_REVIEWS}}]`;
  expect(routes(http).map(({ name }) => name)).toEqual(["reviews/http[1]"]);
  expect(warnings(http)).toEqual([
    expect.stringMatching(/http\[0\]\.match\[0\].*back-reference/),
    expect.stringMatching(/http\[0\]\.match\[1\].*looks ahead/),
  ]);
});

test("routeMatch asks for presence by an empty match and compares the host as a pseudo header", () => {
  const [route] = routes(
    `[{match: [{headers: {x-a: {}, Host: {exact: b}}, queryParams: {q: {}}, authority: {prefix: r}}], ${TO_REVIEWS}}]`,
  );
  expect(
    route?.match?.headers.map(({ name, headerMatchSpecifier }) => [name, headerMatchSpecifier.case]),
  ).toEqual([
    [":authority", "stringMatch"],
    [":authority", "stringMatch"],
    ["x-a", "presentMatch"],
  ]);
  expect(route?.match?.queryParameters[0]?.queryParameterMatchSpecifier.case).toBe("presentMatch");
});

test("targetOf takes a service's only port, the one that was named, or the listener's", () => {
  const cluster = (destination: string) =>
    clustersOf(routes(`[{route: [{destination: {${destination}}}]}]`))[0];
  expect(cluster("host: reviews")).toBe(`outbound|9080||${HOST}`);
  expect(cluster("host: ratings")).toBe("outbound|9080||ratings.default.svc.cluster.local");
  expect(cluster("host: ratings, port: {number: 8000}")).toBe(
    "outbound|8000||ratings.default.svc.cluster.local",
  );
});

test.each([
  ["host: nowhere", "nowhere.default.svc.cluster.local does not exist"],
  ["host: reviews, port: {number: 1}", "has no port 1"],
])("targetOf warns of the destination %s", (destination, warning) => {
  expect(warnings(`[{route: [{destination: {${destination}}}]}]`)).toEqual([
    expect.stringContaining(warning),
  ]);
});

test("forwardAction leaves out destinations of weight 0", () => {
  const { clusterSpecifier } = action(
    "[{route: [{destination: {host: reviews}, weight: 0}, {destination: {host: ratings}, weight: 5}]}]",
  );
  expect(clusterSpecifier.value).toMatchObject({
    clusters: [{ name: "outbound|9080||ratings.default.svc.cluster.local", weight: 5 }],
  });
});

test("forwardAction keeps headers of each weighted destination apart", () => {
  const { clusterSpecifier } = action(`[{route: [
    {destination: {host: reviews}, weight: 1, headers: {request: {set: {x-to: reviews, host: a.example}}}},
    {destination: {host: ratings}, weight: 1, headers: {response: {remove: [server]}}}]}]`);
  expect(clusterSpecifier.value).toMatchObject({
    clusters: [
      {
        requestHeadersToAdd: [{ header: { key: "x-to", value: "reviews" } }],
        hostRewriteSpecifier: { value: "a.example" },
      },
      { responseHeadersToRemove: ["server"] },
    ],
  });
});

test("retryPolicy is absent for no attempts and takes status codes from among the conditions", () => {
  expect(action(`[{retries: {attempts: 0}, ${TO_REVIEWS}}]`).retryPolicy).toBeUndefined();
  expect(
    action(
      `[{retries: {attempts: 1, retryOn: "gateway-error,503", retryIgnorePreviousHosts: false}, ${TO_REVIEWS}}]`,
    ).retryPolicy,
  ).toMatchObject({
    retryOn: "gateway-error,retriable-status-codes",
    retriableStatusCodes: [503],
    numRetries: 1,
    retryHostPredicate: [],
  });
});

test.each([
  ["{}", { numRetries: 2, retryOn: DEFAULT_RETRY_ON, hostSelectionRetryMaxAttempts: 5n }],
  ["{attempts: 4}", { numRetries: 4 }],
  ["{attempts: 1, perTryTimeout: 1.5s}", { perTryTimeout: { seconds: 1n, nanos: 500_000_000 } }],
  ['{attempts: 1, retryOn: "5xx, reset"}', { retryOn: "5xx,reset" }],
  [
    '{attempts: 1, retryOn: "503,409"}',
    { retryOn: "retriable-status-codes", retriableStatusCodes: [503, 409] },
  ],
  [
    "{attempts: 1, backoff: 50ms}",
    { retryBackOff: { baseInterval: { nanos: 50_000_000 }, maxInterval: {} } },
  ],
  [
    "{attempts: 1, retryIgnorePreviousHosts: false}",
    { retryHostPredicate: [], hostSelectionRetryMaxAttempts: 0n },
  ],
  [
    "{attempts: 1, retryRemoteLocalities: true}",
    { retryPriority: { name: "envoy.retry_priorities.previous_priorities" } },
  ],
])("retryPolicy of %s", (retries, expected) => {
  expect(action(`[{retries: ${retries}, ${TO_REVIEWS}}]`).retryPolicy).toMatchObject(expected);
});

test.each([
  ["10s", { seconds: 10n, nanos: 0 }],
  ["250ms", { seconds: 0n, nanos: 250_000_000 }],
  ["0s", { seconds: 0n, nanos: 0 }],
])("forwardAction has the timeout %s", (timeout, expected) => {
  expect(action(`[{timeout: ${timeout}, ${TO_REVIEWS}}]`).timeout).toMatchObject(expected);
});

function marksOf(metadata: string, retries = ""): JsonObject | undefined {
  const at = mesh(
    SHOP,
    `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, ${metadata}}
spec: {hosts: [reviews], http: [{${retries}${TO_REVIEWS}}]}`,
  );
  return routesOf(at, CLIENT, NAME)[0]?.metadata?.filterMetadata["tulle.dev"];
}

test("markRetries tells conditions that somebody wrote from the mesh's own, and what the annotation says", () => {
  const plain = { rule: "http[0]" };
  expect(marksOf("")).toEqual(plain);
  expect(marksOf("", "retries: {attempts: 3}, ")).toEqual(plain);
  expect(marksOf("", "retries: {attempts: 3, retryOn: unavailable}, ")).toEqual({
    ...plain,
    retryOnStated: true,
  });
  const annotation = (value: string) => `annotations: {tulle.dev/retry-non-idempotent: "${value}"}`;
  expect(marksOf(annotation("true"))).toEqual({ ...plain, retryNonIdempotent: true });
  expect(marksOf(annotation("false"))).toEqual(plain);
});

test("markHedge takes delay and number from annotations", () => {
  expect(marksOf("annotations: {tulle.dev/hedge-after: 50ms}")).toMatchObject({
    hedge: { afterMs: 50, max: 1 },
  });
  expect(marksOf('annotations: {tulle.dev/hedge-after: 1s, tulle.dev/hedge-max: "3"}')).toMatchObject({
    hedge: { afterMs: 1000, max: 3 },
  });
  expect(marksOf("annotations: {tulle.dev/hedge-after: soon}")).not.toHaveProperty("hedge");
  expect(marksOf('annotations: {tulle.dev/hedge-after: 1s, tulle.dev/hedge-max: "9"}')).not.toHaveProperty(
    "hedge",
  );
});

test("the mesh's own default for retries holds where a route says nothing of them", () => {
  const defaultHttpRetryPolicy = { attempts: 5, retryOn: "503" };
  const withDefault = (at: TestMesh): TestMesh => ({
    reader: { ...at.reader, settings: { ...SETTINGS, defaultHttpRetryPolicy } },
  });
  const policies = (at: TestMesh) =>
    routesOf(withDefault(at), CLIENT, NAME).map(
      ({ action: { value } }) => (value as RouteAction).retryPolicy?.numRetries,
    );
  expect(policies(mesh(SHOP))).toEqual([5]);
  expect(policies(at(`[{${TO_REVIEWS}}]`))).toEqual([5]);
  expect(policies(at(`[{retries: {attempts: 1}, ${TO_REVIEWS}}]`))).toEqual([1]);
  const [route] = routesOf(withDefault(mesh(SHOP)), CLIENT, NAME);
  expect(route?.metadata?.filterMetadata["tulle.dev"]).toEqual({ retryOnStated: true });
});

test("redirectAction keeps what the redirect does not name", () => {
  const [plain, rest] = routes(
    `[{match: [{uri: {prefix: /a}}], redirect: {authority: b.example}}, {redirect: {prefixRewrite: /b, scheme: https, port: 8443, redirectCode: 307}}]`,
  );
  expect(plain?.action.value).toMatchObject({
    hostRedirect: "b.example",
    pathRewriteSpecifier: { case: undefined },
  });
  expect(rest?.action.value).toMatchObject({
    schemeRewriteSpecifier: { value: "https" },
    portRedirect: 8443,
    pathRewriteSpecifier: { case: "prefixRewrite", value: "/b" },
    responseCode: 3,
  });
});

test("routeConfiguration lets clients take direct responses that are larger than what they take by default", () => {
  const limit = (http: string, view = CLIENT): number | undefined => {
    const resource = made(at(http), view, ROUTE_TYPE, NAME).resource;
    return resource && fromBinary(RouteConfigurationSchema, resource.bytes).maxDirectResponseBodySizeBytes;
  };
  const response = (string: string): string => `{directResponse: {status: 503, body: {string: "${string}"}}}`;
  expect(limit(`[${response("a".repeat(4096))}]`)).toBeUndefined();
  // Bytes are counted, not characters.
  expect(limit(`[${response("a".repeat(5000))}, ${response("é".repeat(3000))}]`)).toBe(6000);
  const bytes = Buffer.alloc(7000).toString("base64");
  expect(limit(`[{directResponse: {status: 200, body: {bytes: "${bytes}"}}}]`)).toBe(7000);
  expect(limit(`[${response("a".repeat(5000))}]`, GRPC_CLIENT)).toBeUndefined();
});

test("rulesOf puts a delegate's rules in place of the rule that delegates", () => {
  const delegate = `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: parts}
spec:
  http:
  - match: [{uri: {prefix: /shop/cart}}]
    directResponse: {status: 201}
  - match: [{uri: {prefix: /other}}]
    directResponse: {status: 202}
  - directResponse: {status: 203}
`;
  const http = `[{match: [{uri: {prefix: /shop}, headers: {x: {exact: y}}}], delegate: {name: parts}}, {${TO_REVIEWS}}]`;
  const found = routes(http, CLIENT, delegate);
  expect(
    found.map(({ name, match, action: { value } }) => [
      name,
      match?.pathSpecifier.value,
      match?.headers.length,
      Object(value).status,
    ]),
  ).toEqual([
    ["parts/http[0]", "/shop/cart", 1, 201],
    ["parts/http[2]", "/shop", 1, 203],
    ["reviews/http[1]", "/", 0, undefined],
  ]);
  const { owners, warnings: said } = made(at(http, delegate), CLIENT, ROUTE_TYPE, NAME);
  expect(owners).toContain("VirtualService/default/parts");
  expect(said).toEqual([expect.stringContaining("http[1]: its matches contradict")]);
});

test("rulesOf warns of a delegate that does not exist", () => {
  expect(warnings(`[{delegate: {name: parts}}, {${TO_REVIEWS}}]`)).toEqual([
    expect.stringContaining("the delegate default/parts does not exist"),
  ]);
});

test.each([
  ["hash", "x", []],
  ["hash", "", [expect.stringContaining("no destination has a consistentHash")]],
  ["sticky", "x", [expect.stringContaining('must be "hash"')]],
])(
  "a VirtualService annotated with tulle.dev/split: %s splits by hash where %j is hashed",
  (split, hashed, warned) => {
    const hash = hashed === "" ? "simple: RANDOM" : `consistentHash: {httpHeaderName: ${hashed}}`;
    const yaml = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, annotations: {tulle.dev/split: ${split}}}
spec:
  hosts: [reviews]
  http:
  - route:
    - {destination: {host: reviews, subset: v1}, weight: 50}
    - {destination: {host: reviews, subset: v2}, weight: 50}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  trafficPolicy: {loadBalancer: {${hash}}}
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
`;
    const at = mesh([instance({ service: "reviews", servicePort: 9080 })], yaml);
    const name = "reviews.default.svc.cluster.local:9080";
    const [route] = routesOf(at, CLIENT, name);
    const works = warned.length === 0;
    expect(route!.metadata?.filterMetadata["tulle.dev"]?.["split"]).toBe(works ? "hash" : undefined);
    expect(made(at, CLIENT, ROUTE_TYPE, name).warnings).toEqual(warned);
    const action = route!.action.value as { hashPolicy: unknown[] };
    expect(action.hashPolicy).toHaveLength(hashed === "" ? 0 : 1);
  },
);

test("an annotation gives an object's requests priority HIGH, and means nothing otherwise", () => {
  const at = (annotation: string) =>
    mesh(
      SHOP,
      `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, annotations: {tulle.dev/priority: ${annotation}}}
spec: {hosts: [reviews], http: [{${TO_REVIEWS}}]}`,
    );
  const priority = (annotation: string) => {
    const [route] = routesOf(at(annotation), CLIENT, NAME);
    return (route!.action.value as RouteAction).priority;
  };
  expect([priority("high"), priority("default"), priority("urgent")]).toEqual([1, 0, 0]);
  expect(made(at("urgent"), CLIENT, ROUTE_TYPE, NAME).warnings).toEqual([
    expect.stringContaining("tulle.dev/priority must be high or default"),
  ]);
});
