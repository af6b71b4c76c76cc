import type { EngineRequest } from "@tulle/engine";
import { expect, test } from "vitest";
import { clientOf, type Decision } from "../../testdata/decide.js";
import { OTHER_CLIENT, REVIEWS, routeYaml, shop, SHOP_CLIENT, to } from "../../testdata/gateway-api.js";
import { mesh } from "../../testdata/mesh.js";
import type { ClientView } from "../contract.js";

// What Gateway API's mesh profile asks of an implementation, case by case, as the engine decides it.

type Case = readonly [request: Partial<EngineRequest>, expected: Decision];

interface Profile {
  readonly feature: string;
  readonly yaml: string;
  readonly view?: ClientView;
  readonly authority?: string;
  readonly cases: readonly Case[];
}

const at = (path: string, init: Partial<EngineRequest> = {}): Partial<EngineRequest> => ({ path, ...init });
const headers = (...list: string[]): Partial<EngineRequest> => ({ headers: list });
const goes = (service: string, more: Decision = {}): Decision => ({
  backend: `${service}.shop:9080`,
  ...more,
});
const fails = (status: number): Decision => ({ status });
const redirects = (status: number, location: string): Decision => ({ status, location });
const one = (rule: string): string => routeYaml(`[{backendRefs: [${to("reviews-v1")}], ${rule}}]`);
const redirect = (fields: string, path = "/"): string =>
  routeYaml(
    `[{matches: [{path: {value: ${path}}}], filters: [{type: RequestRedirect, requestRedirect: {${fields}}}]}]`,
  );
const rewrite = (path: string, fields: string): string =>
  one(`matches: [{path: {value: ${path}}}], filters: [{type: URLRewrite, urlRewrite: {${fields}}}]`);
const replacePrefix = (prefix: string): string =>
  `path: {type: ReplacePrefixMatch, replacePrefixMatch: "${prefix}"}`;

const PROFILES: readonly Profile[] = [
  {
    feature: "a service without routes answers itself",
    yaml: "",
    cases: [[at("/"), goes("reviews")]],
  },
  {
    feature: "paths and headers are matched, the most specific first; nothing else is routed",
    yaml: routeYaml(`[
      {matches: [{path: {value: /v1}}], backendRefs: [${to("reviews-v1")}]},
      {matches: [{headers: [{name: version, value: two}]}], backendRefs: [${to("reviews-v2")}]},
      {matches: [{path: {value: /v2}}, {path: {type: Exact, value: /exact}}], backendRefs: [${to("reviews-v2")}]},
    ]`),
    cases: [
      [at("/v1"), goes("reviews-v1")],
      [at("/v1/"), goes("reviews-v1")],
      [at("/v1/a?b=c"), goes("reviews-v1")],
      [at("/v10"), fails(404)],
      [at("/V1"), fails(404)],
      [at("/", headers("version", "two")), goes("reviews-v2")],
      [at("/v1", headers("version", "two")), goes("reviews-v1")],
      [at("/v2/x"), goes("reviews-v2")],
      [at("/exact"), goes("reviews-v2")],
      [at("/exact/"), fails(404)],
      [at("/", headers("version", "TWO")), fails(404)],
      [at("/"), fails(404)],
    ],
  },
  {
    feature: "one header of a name counts, whatever its case; all conditions must hold",
    yaml: one(
      `matches: [{headers: [{name: X-A, value: "1"}, {type: RegularExpression, name: x-b, value: "b+"}]}]`,
    ),
    cases: [
      [headers("x-a", "1", "x-b", "bb"), goes("reviews-v1")],
      [headers("x-a", "1"), fails(404)],
      [headers("x-a", "1", "x-b", "bc"), fails(404)],
      [headers("x-a", "1", "x-b", "abb"), fails(404)],
    ],
  },
  {
    feature: "query parameters are matched",
    yaml: routeYaml(`[
      {matches: [{queryParams: [{name: a, value: "1"}]}], backendRefs: [${to("reviews-v1")}]},
      {matches: [{queryParams: [{name: a, value: "1"}, {name: b, value: "2"}]}], backendRefs: [${to("reviews-v2")}]},
      {matches: [{queryParams: [{type: RegularExpression, name: c, value: "x.*"}]}], backendRefs: [${to("reviews-v2")}]},
    ]`),
    cases: [
      [at("/?a=1"), goes("reviews-v1")],
      [at("/?x=y&a=1"), goes("reviews-v1")],
      [at("/?a=1&b=2"), goes("reviews-v2")],
      [at("/?c=xyz"), goes("reviews-v2")],
      [at("/?a=11"), fails(404)],
      [at("/?A=1"), fails(404)],
    ],
  },
  {
    feature: "methods are matched, and count more than headers",
    yaml: routeYaml(`[
      {matches: [{headers: [{name: v, value: a}]}], backendRefs: [${to("reviews-v1")}]},
      {matches: [{method: POST}], backendRefs: [${to("reviews-v2")}]},
    ]`),
    cases: [
      [{ method: "POST", ...headers("v", "a") }, goes("reviews-v2")],
      [headers("v", "a"), goes("reviews-v1")],
      [{ method: "PATCH" }, fails(404)],
    ],
  },
  {
    feature: "regular expressions match the whole path, before prefixes and after exact paths",
    yaml: routeYaml(`[
      {backendRefs: [${to("reviews")}]},
      {matches: [{path: {type: RegularExpression, value: "/items/[0-9]+"}}], backendRefs: [${to("reviews-v1")}]},
      {matches: [{path: {type: Exact, value: /items/7}}], backendRefs: [${to("reviews-v2")}]},
      {matches: [{path: {type: RegularExpression, value: "/items/[0-9]+|/items/new"}}], backendRefs: [${to("reviews-v2")}]},
    ]`),
    cases: [
      [at("/items/new"), goes("reviews-v2")],
      [at("/items/12?q"), goes("reviews-v2")],
      [at("/items/7"), goes("reviews-v2")],
      [at("/items/12/x"), goes("reviews")],
    ],
  },
  {
    feature:
      "rules of several routes are one list; the older route wins a tie, then the first by name, then the first rule",
    yaml:
      routeYaml(`[{matches: [{path: {value: /a}}], backendRefs: [${to("reviews-v2")}]}]`, {
        name: "young",
        createdAt: "2026-01-02T00:00:00Z",
      }) +
      routeYaml(
        `[{matches: [{path: {value: /a}}], backendRefs: [${to("reviews-v1")}]}, {matches: [{path: {value: /a}}], backendRefs: [${to("reviews")}]}]`,
        { name: "old", createdAt: "2026-01-01T00:00:00Z" },
      ) +
      routeYaml(`[{matches: [{path: {value: /a/b}}], backendRefs: [${to("reviews-v2")}]}]`, {
        name: "youngest",
        createdAt: "2026-01-03T00:00:00Z",
      }),
    cases: [
      [at("/a"), goes("reviews-v1", { route: "old/rules[0]" })],
      [at("/a/b/c"), goes("reviews-v2", { route: "youngest/rules[0]" })],
    ],
  },
  {
    feature: "a route bound to one port leaves the others alone",
    yaml: routeYaml(`[{backendRefs: [${to("reviews-v1")}]}]`, {
      parent: "{kind: Service, group: '', name: reviews, port: 9080}",
    }),
    cases: [[at("/"), goes("reviews-v1")]],
  },
  {
    feature: "a route bound to another port has no effect",
    yaml: routeYaml(`[{backendRefs: [${to("reviews-v1")}]}]`, {
      parent: "{kind: Service, group: '', name: reviews, port: 9080}",
    }),
    authority: "reviews.shop:9090",
    cases: [[at("/"), { backend: "reviews.shop:9090", route: "default" }]],
  },
  {
    feature: "a parent's section is a port's name",
    yaml: routeYaml(`[{backendRefs: [${to("reviews-v1")}]}]`, {
      parent: "{kind: Service, group: '', name: reviews, sectionName: http-9090}",
    }),
    authority: "reviews.shop:9090",
    cases: [[at("/"), goes("reviews-v1")]],
  },
  {
    feature: "a route of the service's namespace holds for callers of every namespace",
    yaml: routeYaml(`[{backendRefs: [${to("reviews-v1")}]}]`),
    view: OTHER_CLIENT,
    cases: [[at("/"), goes("reviews-v1")]],
  },
  {
    feature: "a route of the caller's namespace holds for its callers, in the place of the service's own",
    yaml:
      routeYaml(`[{matches: [{path: {value: /a}}], backendRefs: [${to("reviews-v1")}]}]`) +
      routeYaml(`[{backendRefs: [${to("reviews-v2", "namespace: shop")}]}]`, { namespace: "other" }),
    view: OTHER_CLIENT,
    cases: [[at("/a"), goes("reviews-v2")]],
  },
  {
    feature: "a route of another namespace than the caller's and the service's holds for nobody here",
    yaml: routeYaml(`[{backendRefs: [${to("reviews-v2", "namespace: shop")}]}]`, { namespace: "other" }),
    view: SHOP_CLIENT,
    cases: [[at("/"), goes("reviews", { route: "default" })]],
  },
  {
    feature: "only callers of the frontend are routed: backends answer themselves",
    yaml: routeYaml(`[{backendRefs: [${to("reviews-v1")}]}]`),
    authority: "reviews-v1.shop:9080",
    cases: [[at("/"), goes("reviews-v1", { route: "default" })]],
  },
  {
    feature: "a service that nobody has registered exists by the routes that name it and a port",
    yaml: routeYaml(`[{backendRefs: [${to("reviews-v1")}]}]`, {
      parent: "{kind: Service, group: '', name: front, port: 80}",
    }),
    view: OTHER_CLIENT,
    authority: "front.shop",
    cases: [[at("/"), goes("reviews-v1")]],
  },
  {
    feature: "a backend that nobody has registered fails",
    yaml: routeYaml(`[{backendRefs: [${to("nobody")}]}]`),
    cases: [[at("/"), fails(500)]],
  },
  {
    feature: "a port that the backend does not have fails",
    yaml: routeYaml("[{backendRefs: [{name: reviews-v1, port: 1}]}]"),
    cases: [[at("/"), fails(500)]],
  },
  {
    feature: "a backend of an unknown kind fails",
    yaml: routeYaml("[{backendRefs: [{group: a.example, kind: Bucket, name: b}]}]"),
    cases: [[at("/"), fails(500)]],
  },
  {
    feature: "a rule without backends fails, and so does one whose weights are all 0",
    yaml: routeYaml(`[
      {matches: [{path: {value: /none}}]},
      {matches: [{path: {value: /zero}}], backendRefs: [${to("reviews-v1", "weight: 0")}]},
    ]`),
    cases: [
      [at("/none"), fails(500)],
      [at("/zero"), fails(500)],
    ],
  },
  {
    feature: "a backend of weight 0 gets nothing",
    yaml: routeYaml(`[{backendRefs: [${to("reviews-v1", "weight: 0")}, ${to("reviews-v2", "weight: 1")}]}]`),
    cases: [[at("/"), goes("reviews-v2")]],
  },
  {
    feature: "headers of requests and responses change",
    yaml: one(`filters: [
      {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-Set, value: "50%"}], add: [{name: x-add, value: a}], remove: [x-gone]}},
      {type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: x-r, value: b}], remove: [server]}},
    ]`),
    cases: [
      [
        at("/"),
        goes("reviews-v1", {
          requestHeaders: ["remove x-gone", "set x-set=50%", "append x-add=a"],
          responseHeaders: ["remove server", "set x-r=b"],
        }),
      ],
    ],
  },
  {
    feature: "headers change for one of several backends, and its host",
    yaml: routeYaml(`[{backendRefs: [
      ${to("reviews-v1", "weight: 0")},
      ${to(
        "reviews-v2",
        `filters: [
        {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x, value: b}]}},
        {type: URLRewrite, urlRewrite: {hostname: v2.example}}]`,
      )},
    ], filters: [{type: RequestHeaderModifier, requestHeaderModifier: {add: [{name: y, value: r}]}}]}]`),
    cases: [
      [at("/"), goes("reviews-v2", { authority: "v2.example", requestHeaders: ["append y=r", "set x=b"] })],
    ],
  },
  {
    feature: "the path of a rule's only backend is rewritten",
    yaml: routeYaml(
      `[{matches: [{path: {value: /a}}], backendRefs: [${to("reviews-v1", `filters: [{type: URLRewrite, urlRewrite: {${replacePrefix("/b")}}}]`)}]}]`,
    ),
    cases: [[at("/a/x"), goes("reviews-v1", { path: "/b/x" })]],
  },
  {
    feature: "the host is rewritten",
    yaml: rewrite("/", "hostname: a.example"),
    cases: [[at("/x"), goes("reviews-v1", { authority: "a.example" })]],
  },
  {
    feature: "the whole path is rewritten",
    yaml: rewrite("/a", 'path: {type: ReplaceFullPath, replaceFullPath: "/b\\\\1"}'),
    cases: [[at("/a/x?q=1"), goes("reviews-v1", { path: "/b\\1?q=1" })]],
  },
  ...(
    [
      ["/foo", "/xyz", "/foo/bar", "/xyz/bar"],
      ["/foo", "/xyz/", "/foo/bar", "/xyz/bar"],
      ["/foo/", "/xyz", "/foo/bar", "/xyz/bar"],
      ["/foo/", "/xyz/", "/foo/bar", "/xyz/bar"],
      ["/foo", "/xyz", "/foo", "/xyz"],
      ["/foo", "/xyz", "/foo/", "/xyz/"],
      ["/foo", "", "/foo/bar", "/bar"],
      ["/foo", "", "/foo/", "/"],
      ["/foo", "", "/foo", "/"],
      ["/foo", "/", "/foo/", "/"],
      ["/foo", "/", "/foo", "/"],
      ["/foo", "/", "/foo/a.b?c=/foo", "/a.b?c=/foo"],
      ["/a.b", "/", "/a.b/c", "/c"],
      ["/", "/xyz", "/bar", "/xyz/bar"],
      ["/", "/xyz", "/", "/xyz/"],
    ] as const
  ).flatMap(([prefix, replacement, from, rewritten]): Profile[] => [
    {
      feature: `${prefix} rewritten to "${replacement}" makes ${rewritten} of ${from}`,
      yaml: rewrite(prefix, replacePrefix(replacement)),
      cases: [[at(from), goes("reviews-v1", { path: rewritten })]],
    },
    {
      feature: `${prefix} redirected to "${replacement}" makes ${rewritten} of ${from}`,
      yaml: redirect(replacePrefix(replacement), prefix),
      cases: [[at(from), redirects(302, `http://${REVIEWS}${rewritten}`)]],
    },
  ]),
  {
    feature: "a prefix that is replaced by itself stays",
    yaml: rewrite("/foo", replacePrefix("/foo/")),
    cases: [[at("/foo/x"), goes("reviews-v1")]],
  },
  ...([301, 302, 303, 307, 308] as const).map((statusCode) => ({
    feature: `a redirect has status ${statusCode}`,
    yaml: redirect(`hostname: a.example, statusCode: ${statusCode}`),
    cases: [[at("/x?y"), redirects(statusCode, "http://a.example:9080/x?y")]] as const,
  })),
  {
    feature: "a new scheme brings its own port",
    yaml: redirect("scheme: https"),
    cases: [[at("/x"), redirects(302, "https://reviews.shop/x")]],
  },
  {
    feature: "a scheme, a host and a port make the place; a scheme's own port is left out",
    yaml: routeYaml(
      `[${[
        ["/a", "scheme: https, hostname: a.example"],
        ["/b", "scheme: https, hostname: a.example, port: 8443"],
        ["/c", "scheme: http, port: 80"],
        ["/d", "port: 8080"],
        ["/e", "hostname: a.example, port: 80"],
      ]
        .map(
          ([path, fields]) =>
            `{matches: [{path: {value: ${path}}}], filters: [{type: RequestRedirect, requestRedirect: {${fields}}}]}`,
        )
        .join(", ")}]`,
    ),
    cases: [
      [at("/a"), redirects(302, "https://a.example/a")],
      [at("/b"), redirects(302, "https://a.example:8443/b")],
      [at("/c"), redirects(302, "http://reviews.shop/c")],
      [at("/d"), redirects(302, "http://reviews.shop:8080/d")],
      [at("/e"), redirects(302, "http://a.example/e")],
    ],
  },
  {
    feature: "a redirect replaces the whole path",
    yaml: redirect("path: {type: ReplaceFullPath, replaceFullPath: /new}", "/old"),
    cases: [[at("/old/x?q=1"), redirects(302, `http://${REVIEWS}/new?q=1`)]],
  },
  {
    feature: "a filter that is not known fails its rule and no other",
    yaml: routeYaml(`[
      {matches: [{path: {value: /a}}], filters: [{type: ExtensionRef, extensionRef: {group: a.example, kind: F, name: f}}], backendRefs: [${to("reviews-v1")}]},
      {backendRefs: [${to("reviews-v2")}]},
    ]`),
    cases: [
      [at("/a"), fails(500)],
      [at("/b"), goes("reviews-v2")],
    ],
  },
  {
    feature: "a rule's name is its route's",
    yaml: one("name: canary"),
    cases: [[at("/"), goes("reviews-v1", { route: "canary" })]],
  },
];

test.each(PROFILES)("$feature", ({ yaml, view = SHOP_CLIENT, authority = REVIEWS, cases }) => {
  const client = clientOf(mesh(shop(), yaml), view, authority);
  for (const [request, expected] of cases) {
    expect(client.decide(request), JSON.stringify(request)).toMatchObject(expected);
  }
});

test("weights share requests out, and what has no backend fails for its share", () => {
  const yaml = routeYaml(
    `[{backendRefs: [${to("reviews-v1", "weight: 6")}, ${to("reviews-v2", "weight: 2")}, ${to("nobody", "weight: 2")}]}]`,
  );
  const client = clientOf(mesh(shop(), yaml), SHOP_CLIENT, REVIEWS);
  const counts = new Map<string, number>();
  const runs = 20_000;
  for (let run = 0; run < runs; run++) {
    const { backend, status } = client.decide({}, Math.imul(run, 0x9e3779b1) >>> 0);
    const key = backend ?? String(status);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const share = (key: string) => (counts.get(key) ?? 0) / runs;
  expect(share("reviews-v1.shop:9080")).toBeCloseTo(0.6, 1);
  expect(share("reviews-v2.shop:9080")).toBeCloseTo(0.2, 1);
  expect(share("500")).toBeCloseTo(0.2, 1);
  expect(counts.size).toBe(3);
});
