import { expect, test } from "vitest";
import { virtualServiceKind } from "./kind.js";

const to = (subset: string, weight?: number) => ({
  destination: { host: "reviews", subset },
  ...(weight === undefined ? {} : { weight }),
});

function check(spec: Record<string, unknown>) {
  return virtualServiceKind.check({
    apiVersion: "networking.istio.io/v1",
    kind: "VirtualService",
    metadata: {},
    spec,
  });
}

function http(route: Record<string, unknown>) {
  return check({ hosts: ["reviews"], http: [{ route: [to("v1")], ...route }] });
}

function violations(checked: ReturnType<typeof check>): string[] {
  return checked.ok ? [] : checked.violations.map(({ path, message }) => `${path}: ${message}`);
}

test("check accepts every documented field and keeps it", () => {
  const spec = {
    hosts: ["reviews", "*.example.com", "10.0.0.1"],
    gateways: ["mesh", "ns/edge"],
    exportTo: [".", "shop"],
    http: [
      {
        name: "canary",
        match: [
          {
            name: "m",
            uri: { prefix: "/v1" },
            scheme: { exact: "https" },
            method: { regex: "GET|HEAD" },
            authority: { exact: "reviews" },
            headers: { "x-user": { exact: "" }, cookie: {}, "@request.cookies.beta": { exact: "on" } },
            withoutHeaders: { "x-skip": {} },
            queryParams: { q: { regex: "\\d+" } },
            port: 9080,
            sourceLabels: { app: "web" },
            sourceNamespace: "shop",
            gateways: ["mesh"],
            ignoreUriCase: true,
            statPrefix: "canary",
          },
        ],
        route: [
          {
            ...to("v1", 90),
            headers: { request: { set: { ":authority": "x" }, add: { a: "b" }, remove: ["c"] } },
          },
          {
            destination: { host: "reviews", port: { number: 80 } },
            weight: 10,
            headers: { response: { set: { d: "e" } } },
          },
        ],
        rewrite: { uriRegexRewrite: { match: "^/a/(.*)", rewrite: "/b/\\1" }, authority: "other" },
        timeout: "1m30s",
        retries: {
          attempts: 3,
          perTryTimeout: "2s",
          retryOn: "5xx,connect-failure, 503",
          retryRemoteLocalities: true,
          retryIgnorePreviousHosts: false,
          backoff: "25ms",
        },
        fault: {
          delay: { fixedDelay: "5s", percentage: { value: 0.1 } },
          abort: { grpcStatus: "UNAVAILABLE", percentage: { value: 100 } },
        },
        mirrors: [{ destination: { host: "shadow" }, percentage: { value: 50 } }],
        corsPolicy: {
          allowOrigins: [{ exact: "https://a.example" }],
          allowMethods: ["GET"],
          allowHeaders: ["x-a"],
          exposeHeaders: ["x-b"],
          maxAge: "24h",
          allowCredentials: false,
          unmatchedPreflights: "IGNORE",
        },
        headers: { request: { remove: ["x-internal"] } },
      },
      { redirect: { uri: "/new", derivePort: "FROM_REQUEST_PORT", redirectCode: 308, scheme: "https" } },
      { directResponse: { status: 503, body: { string: "closed" } } },
      { directResponse: { status: 200, body: { bytes: "aGk=" } } },
      { delegate: { name: "other", namespace: "shop" } },
    ],
    tls: [{ match: [{ sniHosts: ["a.example.com"], port: 443 }], route: [to("v1")] }],
    tcp: [{ match: [{ destinationSubnets: ["10.0.0.0/8"], sourceSubnet: "fd00::/8" }], route: [to("v1")] }],
  };
  const checked = check(spec);
  expect(violations(checked)).toEqual([]);
  expect(checked).toMatchObject({ ok: true, spec, warnings: [] });
});

test("check reports all violations at once, also beside a misspelt field", () => {
  const checked = check({
    hosts: ["reviews", "-bad"],
    htttp: [],
    http: [{ timout: "5s", timeout: 5, route: [{ weight: -1 }], redirect: { uri: "/" } }],
  });
  expect(violations(checked).sort()).toEqual([
    'spec.hosts[1]: expected a host name such as "reviews", or a wildcard such as "*.example.com", got "-bad"',
    "spec.http[0].route[0].destination: is required: expected an object",
    "spec.http[0].route[0].weight: expected a weight from 0 to 1000000, got -1",
    'spec.http[0].timeout: expected a string (a duration such as "5s"; "0s" means none), got the number 5',
    "spec.http[0].timout: is not a known field; did you mean timeout?",
    "spec.http[0]: must have exactly one of route, redirect, directResponse, delegate; it has route and redirect",
    "spec.htttp: is not a known field; did you mean http?",
  ]);
});

test.each<[string, Record<string, unknown>, string]>([
  ["no rule of any protocol", { hosts: ["a"] }, "spec: must have at least one of http, tls, tcp"],
  [
    "a repeated host",
    { hosts: ["a", "A"], http: [{ redirect: { uri: "/" } }] },
    'spec.hosts[1]: repeats "A"',
  ],
  ["* for sidecars", { hosts: ["*"], http: [{ redirect: { uri: "/" } }] }, 'spec.hosts[0]: cannot be "*"'],
  [
    "a delegate that delegates",
    { http: [{ delegate: { name: "a" } }] },
    "spec.http[0].delegate: cannot be in a delegate",
  ],
  [
    "server names outside hosts",
    { hosts: ["a.example"], tls: [{ match: [{ sniHosts: ["b.example"] }], route: [to("v1")] }] },
    "spec.tls[0].match[0].sniHosts[0]: is not covered",
  ],
  ["tcp without route", { hosts: ["a"], tcp: [{}] }, "spec.tcp[0].route: is required: expected a list"],
  [
    "* beside namespaces",
    { hosts: ["a"], http: [{ redirect: { uri: "/" } }], exportTo: ["*", "a"] },
    "spec.exportTo: must hold nothing else",
  ],
])("check refuses %s", (_what, spec, expected) => {
  expect(violations(check(spec)).join("\n")).toContain(expected);
});

test.each<[string, Record<string, unknown>, string]>([
  [
    "two comparisons",
    { match: [{ uri: { exact: "/", prefix: "/" } }] },
    "match[0].uri: must have exactly one of",
  ],
  [
    "no comparison",
    { match: [{ uri: {} }] },
    "match[0].uri: must have exactly one of exact, prefix, regex; it has none",
  ],
  [
    "a long regex",
    { match: [{ uri: { regex: "a".repeat(1025) } }] },
    "match[0].uri.regex: expected 1 to 1024 characters",
  ],
  [
    "a null header match",
    { match: [{ headers: { version: null } }] },
    "match[0].headers.version: expected an object, got null",
  ],
  [
    "a bad header name",
    { match: [{ headers: { "a b": {} } }] },
    'match[0].headers["a b"]: expected a header name',
  ],
  [
    "cookie without a name",
    { match: [{ headers: { "@request.cookies.": {} } }] },
    'match[0].headers["@request.cookies."]: expected a header name',
  ],
  ["port 0", { match: [{ port: 0 }] }, "match[0].port: expected a port number from 1 to 65535, got 0"],
  ["port 65536", { match: [{ port: 65_536 }] }, "match[0].port: expected a port number"],
  [
    "weights of 0",
    { route: [to("v1", 0), to("v2", 0)] },
    "route: must have weights whose sum is greater than 0",
  ],
  ["an empty route", { route: [] }, "route: must have at least one destination"],
  [
    "a wildcard destination",
    { route: [{ destination: { host: "*.a" } }] },
    "route[0].destination.host: expected a host name",
  ],
  [
    "a sub-millisecond delay",
    { fault: { delay: { fixedDelay: "10us" } } },
    "fault.delay.fixedDelay: expected a duration",
  ],
  ["a delay without duration", { fault: { delay: {} } }, "fault.delay.fixedDelay: is required"],
  [
    "an exponential delay",
    { fault: { delay: { fixedDelay: "1s", exponentialDelay: "1s" } } },
    "is not supported",
  ],
  ["an empty fault", { fault: {} }, "fault: must have at least one of delay, abort"],
  [
    "two abort statuses",
    { fault: { abort: { httpStatus: 500, grpcStatus: "OK" } } },
    "fault.abort: must have exactly one",
  ],
  [
    "an unknown gRPC status",
    { fault: { abort: { grpcStatus: "17" } } },
    "fault.abort.grpcStatus: expected the name",
  ],
  [
    "101 %",
    { mirror: { host: "a" }, mirrorPercentage: { value: 101 } },
    "mirrorPercentage.value: expected a percentage",
  ],
  ["mirror and mirrors", { mirror: { host: "a" }, mirrors: [] }, "cannot have mirror and mirrors together"],
  [
    "an unknown retry condition",
    { retries: { retryOn: "5xx,sometimes" } },
    "retries.retryOn: expected conditions",
  ],
  [
    "settings of retries that are off",
    { retries: { attempts: 0, retryOn: "5xx" } },
    "retries.retryOn: has no effect",
  ],
  [
    "fractional maxAge",
    { corsPolicy: { maxAge: "1500ms" } },
    "corsPolicy.maxAge: expected a duration of whole seconds",
  ],
  [
    "both rewrites",
    { rewrite: { uri: "/", uriRegexRewrite: { match: "a", rewrite: "b" } } },
    "rewrite: cannot have",
  ],
  ["removing host", { headers: { request: { remove: ["Host"] } } }, "headers.request.remove[0]: expected"],
  [
    "a line break in a header",
    { headers: { response: { set: { a: "b\r\nc" } } } },
    "headers.response.set.a: expected a header",
  ],
])("check refuses a route with %s", (_what, route, expected) => {
  expect(violations(http(route)).join("\n")).toContain(expected);
});

test("check refuses a redirect with settings that need an upstream", () => {
  const checked = check({
    hosts: ["a"],
    http: [{ redirect: { uri: "/" }, rewrite: { uri: "/" }, retries: {} }],
  });
  expect(violations(checked)).toEqual([
    "spec.http[0].rewrite: cannot stand together with redirect",
    "spec.http[0].retries: cannot stand together with redirect",
  ]);
});

test("check rewrites deprecated fields and warns of each", () => {
  const checked = http({
    mirror: { host: "shadow" },
    mirror_percent: 20,
    websocketUpgrade: true,
    corsPolicy: { allowOrigin: ["https://a.example", "*"] },
    fault: { delay: { percent: 10, fixedDelay: "1s" }, abort: { percent: 5, httpStatus: 500 } },
    appendHeaders: { "x-a": "1" },
    removeResponseHeaders: ["x-b"],
  });
  expect(checked).toMatchObject({
    ok: true,
    spec: {
      http: [
        {
          mirrorPercentage: { value: 20 },
          corsPolicy: { allowOrigins: [{ exact: "https://a.example" }, { regex: ".*" }] },
          fault: { delay: { percentage: { value: 10 } }, abort: { percentage: { value: 5 } } },
          headers: { request: { add: { "x-a": "1" } }, response: { remove: ["x-b"] } },
        },
      ],
    },
  });
  expect(checked.warnings).toHaveLength(7);
});

test("check names the field that the user wrote when a deprecated one is invalid", () => {
  expect(violations(http({ mirror: { host: "a" }, mirror_percent: 500 }))).toEqual([
    "spec.http[0].mirror_percent: expected a percentage from 0 to 100, got 500",
  ]);
});

test("check takes the deprecated field when its successor is given too, as after a patch of a stored object", () => {
  const checked = http({ mirror: { host: "a" }, mirrorPercentage: { value: 1 }, mirrorPercent: 2 });
  expect(checked).toMatchObject({ ok: true, spec: { http: [{ mirrorPercentage: { value: 2 } }] } });
});

test("check warns of a delegate and of a destination that gets nothing", () => {
  const checked = check({ http: [{ route: [to("v1", 100), to("v2")] }] });
  expect(checked.warnings).toEqual([
    "spec.hosts is empty: this object is a delegate, used only where another VirtualService names it",
    "spec.http[0].route[1] has no weight: it gets no traffic",
  ]);
});

test("check lists at most 100 violations and says how many are left out", () => {
  const route = Array.from({ length: 300 }, () => ({ destination: { host: "-" } }));
  const checked = check({ hosts: ["a"], http: [{ route }] });
  const found = violations(checked);
  expect(found).toHaveLength(101);
  expect(found.at(-1)).toBe("spec: has 201 more violations, not listed");
});

test("check keeps a copy: changing the input later changes nothing", () => {
  const hosts = ["a"];
  const checked = check({ hosts, http: [{ redirect: { uri: "/" } }] });
  hosts.push("b");
  expect(checked).toMatchObject({ ok: true, spec: { hosts: ["a"] } });
});
