import { expect, test } from "vitest";
import { httpRouteKind } from "./kind.js";

const PARENT = { kind: "Service", group: "", name: "reviews" };
const BACKEND = { name: "reviews-v2", port: 9080 };

function check(spec: Record<string, unknown>) {
  return httpRouteKind.check({ spec: { parentRefs: [PARENT], ...spec } });
}

/** A route with one rule. */
function rule(fields: Record<string, unknown>) {
  return check({ rules: [{ backendRefs: [BACKEND], ...fields }] });
}

const times = (count: number, item: object) => Array.from({ length: count }, () => item);

function violations(checked: ReturnType<typeof check>): string[] {
  return checked.ok ? [] : checked.violations.map(({ path, message }) => `${path}: ${message}`);
}

const filter = (type: string, fields: Record<string, unknown>) => ({ filters: [{ type, ...fields }] });
const redirect = (requestRedirect: Record<string, unknown>) => ({
  backendRefs: [],
  ...filter("RequestRedirect", { requestRedirect }),
});
const rewrite = (urlRewrite: Record<string, unknown>) => filter("URLRewrite", { urlRewrite });
const requests = (requestHeaderModifier: Record<string, unknown>) =>
  filter("RequestHeaderModifier", { requestHeaderModifier });

test("check accepts every documented field and keeps it", () => {
  const spec = {
    parentRefs: [
      { group: "", kind: "Service", name: "reviews", port: 9080 },
      { group: "", kind: "Service", name: "reviews", port: 9081 },
      { group: "", kind: "Service", name: "ratings", namespace: "shop", sectionName: "http" },
      { group: "networking.istio.io", kind: "ServiceEntry", name: "payments" },
      { group: "networking.istio.io", kind: "Hostname", name: "api.example.com" },
    ],
    rules: [
      {
        name: "canary",
        matches: [
          {
            path: { type: "Exact", value: "/a/%7Eb" },
            headers: [
              { name: "x-user", value: "ann" },
              { type: "RegularExpression", name: "x-group", value: "a|b" },
            ],
            queryParams: [{ name: "q", value: "1" }],
            method: "GET",
          },
          { path: { type: "RegularExpression", value: "/v[0-9]+/.*" } },
          {},
        ],
        filters: [
          {
            type: "RequestHeaderModifier",
            requestHeaderModifier: { set: [{ name: "a", value: "b" }], remove: ["c"] },
          },
          { type: "ResponseHeaderModifier", responseHeaderModifier: { add: [{ name: "d", value: "e f" }] } },
          { type: "RequestMirror", requestMirror: { backendRef: BACKEND, percent: 10 } },
          { type: "RequestMirror", requestMirror: { backendRef: BACKEND, fraction: { numerator: 1 } } },
          {
            type: "ExternalAuth",
            externalAuth: {
              protocol: "HTTP",
              backendRef: BACKEND,
              http: { path: "/check", allowedHeaders: ["x-a"], allowedResponseHeaders: ["x-b"] },
              forwardBody: { maxSize: 100 },
            },
          },
          {
            type: "CORS",
            cors: {
              allowOrigins: ["https://*.example.com", "http://a.example:8080"],
              allowCredentials: true,
              allowMethods: ["GET"],
              allowHeaders: ["x-a"],
              exposeHeaders: ["*"],
              maxAge: 60,
            },
          },
          { type: "ExtensionRef", extensionRef: { group: "example.com", kind: "Filter", name: "f" } },
        ],
        backendRefs: [
          {
            ...BACKEND,
            group: "",
            kind: "Service",
            namespace: "shop",
            weight: 0,
            filters: [{ type: "URLRewrite", urlRewrite: { hostname: "b.example" } }],
          },
          { group: "networking.istio.io", kind: "Hostname", name: "api.example.com", weight: 1_000_000 },
        ],
        timeouts: { request: "1m30s", backendRequest: "500ms" },
        retry: { codes: [500, 503], attempts: 3, backoff: "100ms" },
        sessionPersistence: {
          sessionName: "s",
          type: "Cookie",
          absoluteTimeout: "1h",
          idleTimeout: "5m",
          cookieConfig: { lifetimeType: "Permanent" },
        },
      },
      {
        matches: [{ path: { value: "/old" } }],
        filters: [
          {
            type: "RequestRedirect",
            requestRedirect: {
              scheme: "https",
              hostname: "www.example.com",
              path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/new" },
              port: 8443,
              statusCode: 308,
            },
          },
        ],
      },
      {
        filters: [
          {
            type: "URLRewrite",
            urlRewrite: { path: { type: "ReplacePrefixMatch", replacePrefixMatch: "" } },
          },
        ],
      },
    ],
  };
  const checked = httpRouteKind.check({ spec });
  expect(violations(checked)).toEqual([]);
  expect(checked).toMatchObject({ ok: true, spec, warnings: [] });
});

test.each<[string, Record<string, unknown>, string]>([
  ["a relative path", { matches: [{ path: { value: "a" } }] }, 'path.value: must begin with "/"'],
  ["//", { matches: [{ path: { value: "/a//b" } }] }, 'path.value: must not hold "//"'],
  ["/./", { matches: [{ path: { type: "Exact", value: "/a/./b" } }] }, 'must not hold "/./"'],
  ["/../", { matches: [{ path: { value: "/a/../b" } }] }, 'must not hold "/../"'],
  ["%2f", { matches: [{ path: { value: "/a%2fb" } }] }, 'must not hold "%2f"'],
  ["%2F", { matches: [{ path: { value: "/a%2Fb" } }] }, 'must not hold "%2F"'],
  ["#", { matches: [{ path: { value: "/a#b" } }] }, 'must not hold "#"'],
  ["a dot at the end", { matches: [{ path: { value: "/a/." } }] }, 'must not end with "/."'],
  ["two dots at the end", { matches: [{ path: { value: "/a/.." } }] }, 'must not end with "/.."'],
  ["a path with a space", { matches: [{ path: { value: "/a b" } }] }, "path.value: expected letters"],
  ["a long path", { matches: [{ path: { value: `/${"a".repeat(1024)}` } }] }, "at most 1024 characters"],
  [
    "an unknown type of path",
    { matches: [{ path: { type: "Prefix" } }] },
    "expected one of Exact, PathPrefix",
  ],
  ["a method in lower case", { matches: [{ method: "get" }] }, "matches[0].method: expected one of GET"],
  [
    "one header twice",
    {
      matches: [
        {
          headers: [
            { name: "X-A", value: "1" },
            { name: "x-a", value: "2" },
          ],
        },
      ],
    },
    'headers[1].name: repeats "x-a"',
  ],
  ["a pseudo header", { matches: [{ headers: [{ name: ":path", value: "/" }] }] }, "expected a header name"],
  ["an empty value", { matches: [{ queryParams: [{ name: "q", value: "" }] }] }, "expected 1 to 1024"],
  ["65 matches", { matches: times(65, {}) }, "rules[0].matches: must have at most 64 items"],
  ["17 backends", { backendRefs: times(17, BACKEND) }, "rules[0].backendRefs: must have at most 16 items"],
  [
    "a Service without port",
    { backendRefs: [{ name: "a" }] },
    "backendRefs[0].port: is required for a Service",
  ],
  [
    "a weight above the bound",
    { backendRefs: [{ ...BACKEND, weight: 1_000_001 }] },
    "weight: expected a weight",
  ],
  ["a filter without its field", filter("URLRewrite", {}), "filters[0].urlRewrite: is required for a filter"],
  [
    "a filter with another's field",
    filter("RequestHeaderModifier", { requestHeaderModifier: {}, cors: {} }),
    "filters[0].cors: belongs to a filter of type CORS",
  ],
  ["an unknown filter", filter("Authorize", {}), "filters[0].type: expected one of RequestHeaderModifier"],
  [
    "a check without its protocol's settings",
    filter("ExternalAuth", { externalAuth: { protocol: "GRPC", backendRef: BACKEND } }),
    "filters[0].externalAuth.grpc: is required with protocol GRPC",
  ],
  [
    "a check with another protocol's settings",
    filter("ExternalAuth", { externalAuth: { protocol: "GRPC", grpc: {}, http: {}, backendRef: BACKEND } }),
    "filters[0].externalAuth.http: is for protocol HTTP only",
  ],
  [
    "a check below no path",
    filter("ExternalAuth", { externalAuth: { protocol: "HTTP", http: { path: "x" }, backendRef: BACKEND } }),
    "filters[0].externalAuth.http.path: expected a path",
  ],
  [
    "a filter twice",
    { filters: [...rewrite({ hostname: "a" }).filters, ...rewrite({ hostname: "b" }).filters] },
    "filters[1]: repeats the filter URLRewrite",
  ],
  [
    "redirect and rewrite",
    { backendRefs: [], filters: [...redirect({}).filters, ...rewrite({}).filters] },
    "filters: cannot have both a RequestRedirect and a URLRewrite",
  ],
  [
    "a redirect with backends",
    { ...redirect({}), backendRefs: [BACKEND] },
    "filters[0]: cannot stand in a rule",
  ],
  [
    "a replaced prefix without one",
    {
      matches: [{ path: { type: "Exact", value: "/a" } }],
      ...rewrite({ path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/b" } }),
    },
    "urlRewrite.path.replacePrefixMatch: needs a rule with exactly one match, of type PathPrefix",
  ],
  [
    "a replaced prefix of two",
    {
      matches: [{}, {}],
      ...redirect({ path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/b" } }),
    },
    "requestRedirect.path.replacePrefixMatch: needs a rule with exactly one match",
  ],
  [
    "a replaced prefix of a backend",
    {
      matches: [{}, {}],
      backendRefs: [
        { ...BACKEND, ...rewrite({ path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/b" } }) },
      ],
    },
    "backendRefs[0].filters[0].urlRewrite.path.replacePrefixMatch: needs a rule",
  ],
  [
    "a path change without its value",
    rewrite({ path: { type: "ReplaceFullPath", replacePrefixMatch: "/b" } }),
    "urlRewrite.path.replaceFullPath: is required for a filter of type ReplaceFullPath",
  ],
  [
    "a wildcard to redirect to",
    redirect({ hostname: "*.a.example" }),
    "hostname: expected a lower-case host",
  ],
  [
    "an IP address to redirect to",
    redirect({ hostname: "10.0.0.1" }),
    "hostname: expected a lower-case host",
  ],
  ["redirect code 304", redirect({ statusCode: 304 }), "statusCode: expected one of 301, 302, 303, 307, 308"],
  ["the scheme ftp", redirect({ scheme: "ftp" }), "scheme: expected one of http, https"],
  ["a change of host", requests({ set: [{ name: "Host", value: "a" }] }), 'a header other than "host"'],
  [
    "two changes of one header",
    requests({ set: [{ name: "a", value: "b" }], remove: ["A"] }),
    'remove[0]: repeats "A" (set.0): a header takes one change',
  ],
  ["a line break in a header", requests({ add: [{ name: "a", value: "b\nc" }] }), "printable ASCII"],
  ["two spaces in a header", requests({ add: [{ name: "a", value: "b  c" }] }), "single spaces between them"],
  [
    "percent and fraction",
    filter("RequestMirror", {
      requestMirror: { backendRef: BACKEND, percent: 1, fraction: { numerator: 1 } },
    }),
    "requestMirror: cannot have percent and fraction together",
  ],
  [
    "more than the whole",
    filter("RequestMirror", {
      requestMirror: { backendRef: BACKEND, fraction: { numerator: 3, denominator: 2 } },
    }),
    "fraction.numerator: cannot be greater than the denominator",
  ],
  [
    "* among origins",
    filter("CORS", { cors: { allowOrigins: ["*", "https://a.example"] } }),
    "cors.allowOrigins: must hold nothing else",
  ],
  [
    "an origin with a path",
    filter("CORS", { cors: { allowOrigins: ["https://a/b"] } }),
    "expected an origin",
  ],
  [
    "a fractional duration",
    { timeouts: { request: "1.5s" } },
    "timeouts.request: expected a duration of whole",
  ],
  ["microseconds", { timeouts: { request: "10us" } }, "timeouts.request: expected a duration"],
  [
    "a try longer than all",
    { timeouts: { request: "1s", backendRequest: "2s" } },
    "timeouts.backendRequest: cannot be longer than request (1s)",
  ],
  ["retry of a 200", { retry: { codes: [200] } }, "retry.codes[0]: expected a status code from 400 to 599"],
  [
    "a permanent cookie without end",
    { sessionPersistence: { cookieConfig: { lifetimeType: "Permanent" } } },
    "sessionPersistence.absoluteTimeout: is required for a permanent cookie",
  ],
  ["a session name with a space", { sessionPersistence: { sessionName: "a b" } }, "sessionName: expected"],
  [
    "a misspelt field",
    { backendRef: [] },
    "rules[0].backendRef: is not a known field; did you mean backendRefs?",
  ],
])("check refuses a rule with %s", (_what, fields, expected) => {
  expect(violations(rule(fields)).join("\n")).toContain(expected);
});

test("a try may take any time where the request may", () => {
  expect(rule({ timeouts: { request: "0s", backendRequest: "2s" } }).ok).toBe(true);
});

test.each<[string, Record<string, unknown>, string]>([
  ["17 rules", { rules: times(17, {}) }, "spec.rules: must have at most 16 items"],
  ["no rule", { rules: [] }, "spec.rules: must have at least one item"],
  [
    "129 matches",
    { rules: [{ matches: times(64, {}) }, { matches: times(64, {}) }, {}] },
    "have 129 matches together",
  ],
  [
    "two rules of one name",
    { rules: [{ name: "a" }, { name: "a" }] },
    "rules[1].name: repeats rules[0].name",
  ],
  ["one parent twice", { parentRefs: [PARENT, PARENT] }, "spec.parentRefs[1]: repeats a parent"],
  [
    "one parent with port and without",
    { parentRefs: [PARENT, { ...PARENT, port: 80 }] },
    "spec.parentRefs[1]: must give sectionName and port like parentRefs[0]",
  ],
  ["33 parents", { parentRefs: times(33, PARENT) }, "spec.parentRefs: must have at most 32 items"],
  [
    "an IP address as host",
    { hostnames: ["10.0.0.1"] },
    "spec.hostnames[0]: expected a lower-case host name",
  ],
  ["a wildcard in the middle", { hostnames: ["a.*.example"] }, "spec.hostnames[0]: expected a lower-case"],
])("check refuses a route with %s", (_what, spec, expected) => {
  expect(violations(check(spec)).join("\n")).toContain(expected);
});

test("check warns of what the mesh does not serve", () => {
  const warnings = (spec: Record<string, unknown>) => httpRouteKind.check({ spec }).warnings.join("\n");
  expect(warnings({})).toContain("bound to nothing");
  expect(warnings({ parentRefs: [{ name: "edge", kind: "Mesh" }] })).toContain(
    "spec.parentRefs[0] is a gateway.networking.k8s.io/Mesh, which no proxy of this mesh serves",
  );
  expect(warnings({ parentRefs: [PARENT], hostnames: ["a.example"] })).toContain(
    "spec.hostnames has no effect",
  );
});

test("columns show the hosts of a route", () => {
  const object = {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: {
      name: "x",
      namespace: "default",
      uid: "",
      resourceVersion: "1",
      generation: 1,
      creationTimestamp: "2026-01-01T00:00:00Z",
    },
    spec: { hostnames: ["a.example"] },
  };
  const now = Date.parse("2026-01-01T00:05:00Z");
  expect(httpRouteKind.columns.map((column) => [column.name, column.cell(object, now)])).toEqual([
    ["Hostnames", '["a.example"]'],
    ["Age", "5m"],
  ]);
});
