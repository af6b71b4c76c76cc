import type { MessageInitShape } from "@bufbuild/protobuf";
import { ROUTE_TYPE } from "@tulle/xds";
import { HeaderValueOption_HeaderAppendAction as AppendAction } from "@tulle/xds/gen/envoy/config/core/v3/base_pb.js";
import { RouteConfigurationSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_pb.js";
import { RedirectAction_RedirectResponseCode as RedirectCode } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import type { RouteSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { UriTemplateMatchConfigSchema } from "@tulle/xds/gen/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.js";
import { UriTemplateRewriteConfigSchema } from "@tulle/xds/gen/envoy/extensions/path/rewrite/uri_template/v3/uri_template_rewrite_pb.js";
import { expect, test } from "vitest";
import type { EngineRequest, Plan, ReplyPlan, Routed } from "../contract.js";
import type { HttpChain } from "../snapshot/contract.js";
import { createLoadTable } from "../load/load-table.js";
import { createSnapshotSource } from "../snapshot/snapshot-source.js";
import {
  apiListener,
  change,
  edsCluster,
  endpoints,
  packed,
  request,
  routes,
  routeTo,
} from "../testing/resources.js";
import type { ResourceChange } from "../snapshot/contract.js";
import { route } from "./route.js";

type RouteInit = MessageInitShape<typeof RouteSchema>;

/** Routes requests over one listener `l` with the table `r` and the clusters `a` and `b`. */
function router(table: ResourceChange) {
  const load = createLoadTable();
  const source = createSnapshotSource({ load });
  const clusters = ["a", "b"].flatMap((name) => [
    edsCluster(name),
    endpoints(name, [{ address: "10.0.0.1" }]),
  ]);
  const rejections = source.apply([apiListener("l", "r"), table, ...clusters]);
  return {
    source,
    rejections,
    route: (init: Partial<EngineRequest> = {}, entropy = 0): Routed => {
      const chain = source.current.outbound("l") as HttpChain;
      return route({ snapshot: source.current, load, now: 0, entropy }, chain, request(init));
    },
  };
}

function forward(init: RouteInit, requestInit: Partial<EngineRequest> = {}): Plan {
  const { rejections, route: decide } = router(routes("r", [init]));
  expect(rejections).toEqual([]);
  return decide(requestInit) as Plan;
}

function reply(init: RouteInit, requestInit: Partial<EngineRequest> = {}): [number, string[]] {
  const { rejections, route: decide } = router(routes("r", [init]));
  expect(rejections).toEqual([]);
  const plan = decide(requestInit) as ReplyPlan;
  return [plan.status, plan.headers(request(requestInit))];
}

const ANY = { pathSpecifier: { case: "prefix", value: "/" } } as const;

function weighted(...clusters: [name: string, weight: number][]) {
  const value = { clusters: clusters.map(([name, weight]) => ({ name, weight })) };
  return {
    name: "split",
    match: ANY,
    action: {
      case: "route" as const,
      value: { clusterSpecifier: { case: "weightedClusters" as const, value } },
    },
  } satisfies RouteInit;
}

test("route takes the first route whose conditions all hold", () => {
  const canary: RouteInit = {
    ...routeTo("b"),
    match: {
      ...ANY,
      headers: [{ name: "version", headerMatchSpecifier: { case: "exactMatch", value: "v2" } }],
    },
  };
  const { route: decide } = router(routes("r", [canary, routeTo("a")]));
  expect((decide({ headers: ["Version", "v2"] }) as Plan).cluster.name).toBe("b");
  expect((decide({ headers: ["version", "v1"] }) as Plan).cluster.name).toBe("a");
});

test("route says no-route when no virtual host or no route matches", () => {
  const table = change(ROUTE_TYPE, "r", RouteConfigurationSchema, {
    name: "r",
    virtualHosts: [
      {
        name: "x",
        domains: ["x:80"],
        routes: [{ ...routeTo("a"), match: { pathSpecifier: { case: "path", value: "/only" } } }],
      },
    ],
  });
  const { route: decide } = router(table);
  expect(decide({ authority: "y:80" }).kind).toBe("no-route");
  expect(decide({ authority: "x:80", path: "/other" }).kind).toBe("no-route");
  expect(decide({ authority: "x:80", path: "/only?q" }).kind).toBe("forward");
});

test("route splits by weight, and decides the same for the same entropy", () => {
  const { route: decide } = router(routes("r", [weighted(["a", 90], ["b", 10])]));
  let canary = 0;
  for (let entropy = 0; entropy < 20_000; entropy++) {
    const plan = decide({}, entropy) as Plan;
    expect(decide({}, entropy)).toBe(plan);
    if (plan.cluster.name === "b") canary++;
  }
  // 2,000 expected; four standard deviations are 170.
  expect(Math.abs(canary - 2000)).toBeLessThan(170);
});

test("route never takes a cluster of weight 0", () => {
  const { route: decide } = router(routes("r", [weighted(["a", 0], ["b", 1])]));
  for (let entropy = 0; entropy < 500; entropy++)
    expect((decide({}, entropy) as Plan).cluster.name).toBe("b");
});

test("route draws the fraction of a match independently of the split behind it", () => {
  const some: RouteInit = {
    ...weighted(["a", 50], ["b", 50]),
    match: { ...ANY, runtimeFraction: { defaultValue: { numerator: 50 } } },
  };
  const { route: decide } = router(
    routes("r", [some, { match: ANY, action: { case: "directResponse", value: { status: 404 } } }]),
  );
  const counts = { a: 0, b: 0, none: 0 };
  for (let entropy = 0; entropy < 20_000; entropy++) {
    const routed = decide({}, entropy);
    counts[routed.kind === "forward" ? (routed.cluster.name as "a" | "b") : "none"]++;
  }
  expect(Math.abs(counts.none - 10_000)).toBeLessThan(300);
  expect(Math.abs(counts.a - 5000)).toBeLessThan(300);
  expect(Math.abs(counts.b - 5000)).toBeLessThan(300);
});

test("route gives Envoy's defaults: 15 s, 5 min idle, no retries", () => {
  expect(forward(routeTo("a"))).toMatchObject({
    timeoutMs: 15_000,
    idleTimeoutMs: 300_000,
    retry: undefined,
    rewritePath: undefined,
  });
});

test("route keeps timeout and max_stream_duration apart, and tells no limit from none that is set", () => {
  const timeouts = (timeout: bigint, stream?: bigint) =>
    forward({
      match: ANY,
      action: {
        case: "route",
        value: {
          clusterSpecifier: { case: "cluster", value: "a" },
          timeout: { seconds: timeout },
          idleTimeout: { seconds: 0n },
          ...(stream === undefined ? {} : { maxStreamDuration: { maxStreamDuration: { seconds: stream } } }),
        },
      },
    });
  expect(timeouts(0n)).toMatchObject({ timeoutMs: 0, idleTimeoutMs: 0, maxDurationMs: undefined });
  expect(timeouts(5n, 3n)).toMatchObject({ timeoutMs: 5000, maxDurationMs: 3000 });
  expect(timeouts(5n, 0n)).toMatchObject({ timeoutMs: 5000, maxDurationMs: 0 });
});

test("route rewrites prefix, exact path, regex and host", () => {
  const rewrite = (match: RouteInit["match"], value: object, path: string) => {
    const action = {
      case: "route",
      value: { clusterSpecifier: { case: "cluster", value: "a" }, ...value },
    } as RouteInit["action"];
    return forward({ match: match!, action: action! }, { path }).rewritePath!(path);
  };
  expect(
    rewrite({ pathSpecifier: { case: "prefix", value: "/api" } }, { prefixRewrite: "/v1" }, "/api/x?y=/api"),
  ).toBe("/v1/x?y=/api");
  expect(
    rewrite({ pathSpecifier: { case: "path", value: "/api" } }, { prefixRewrite: "/v1/x" }, "/api?y"),
  ).toBe("/v1/x?y");
  const regexRewrite = { pattern: { regex: "^/(\\w+)" }, substitution: "/x-\\1" };
  expect(rewrite(ANY, { regexRewrite }, "/api/b?c=/d")).toBe("/x-api/b?c=/d");
  const host = {
    clusterSpecifier: { case: "cluster", value: "a" },
    hostRewriteSpecifier: { case: "hostRewriteLiteral", value: "h:1" },
  } as const;
  expect(forward({ match: ANY, action: { case: "route", value: host } }).rewriteAuthority).toBe("h:1");
});

test("route collects header mutations from the cluster outwards, removals first, and turned round when the specific wins", () => {
  const add = (key: string, value: string, appendAction = AppendAction.OVERWRITE_IF_EXISTS_OR_ADD) => ({
    header: { key, value },
    appendAction,
  });
  const plan = (specific: boolean) => {
    const cluster = { name: "a", weight: 1, requestHeadersToAdd: [add("X", "cluster")] };
    const init: RouteInit = {
      match: ANY,
      requestHeadersToAdd: [add("x", "route", AppendAction.APPEND_IF_EXISTS_OR_ADD)],
      requestHeadersToRemove: ["Y"],
      responseHeadersToAdd: [add("z", "100%%", AppendAction.ADD_IF_ABSENT)],
      action: {
        case: "route",
        value: { clusterSpecifier: { case: "weightedClusters", value: { clusters: [cluster] } } },
      },
    };
    const virtualHosts = [
      {
        name: "v",
        domains: ["*"],
        routes: [init],
        requestHeadersToAdd: [add("x", "host", AppendAction.OVERWRITE_IF_EXISTS)],
      },
    ];
    const config = { name: "r", virtualHosts, mostSpecificHeaderMutationsWins: specific };
    return router(change(ROUTE_TYPE, "r", RouteConfigurationSchema, config)).route() as Plan;
  };
  const clusterLevel = [{ op: "set", name: "x", value: "cluster" }];
  const routeLevel = [
    { op: "remove", name: "y" },
    { op: "append", name: "x", value: "route" },
  ];
  const hostLevel = [{ op: "set-if-present", name: "x", value: "host" }];
  expect(plan(false).requestHeaders).toEqual([...clusterLevel, ...routeLevel, ...hostLevel]);
  expect(plan(true).requestHeaders).toEqual([...hostLevel, ...routeLevel, ...clusterLevel]);
  expect(plan(false).responseHeaders).toEqual([{ op: "add-if-absent", name: "z", value: "100%" }]);
});

test("a header may give the number that is drawn among weighted clusters", () => {
  const init = weighted(["a", 90], ["b", 10]);
  const { value } = init.action.value.clusterSpecifier;
  const split = router(
    routes("r", [
      {
        ...init,
        action: {
          case: "route",
          value: {
            clusterSpecifier: {
              case: "weightedClusters",
              value: { ...value, randomValueSpecifier: { case: "headerName", value: "X-Draw" } },
            },
          },
        },
      },
    ]),
  );
  const drawn = (draw: string, entropy: number): string =>
    (split.route({ headers: ["x-draw", draw] }, entropy) as Plan).cluster.name;
  for (const entropy of [0, 1, 2 ** 31]) {
    for (const [draw, cluster] of [
      ["0", "a"],
      ["89", "a"],
      ["90", "b"],
      ["199", "b"],
      // 2^64 - 1, of which 15 are left.
      ["18446744073709551615", "a"],
      ["18446744073709551595", "b"],
    ] as const)
      expect([draw, drawn(draw, entropy)]).toEqual([draw, cluster]);
  }
  for (const wrong of ["", "-1", "1.5", "x", "18446744073709551616", "1,2"])
    expect(new Set(Array.from({ length: 200 }, (_, index) => drawn(wrong, index * 21_474_836)))).toEqual(
      new Set(["a", "b"]),
    );
  const traced: { reason: string }[] = [];
  const view = { snapshot: split.source.current, load: createLoadTable(), now: 0, entropy: 7 };
  const chain = split.source.current.outbound("l") as HttpChain;
  route(
    { ...view, trace: { add: (event) => traced.push(event) } },
    chain,
    request({ headers: ["x-draw", "95"] }),
  );
  expect(traced.map(({ reason }) => reason)).toContain(
    "10 % of requests: by its key this one draws 95 of 100, always",
  );
});

test("a path may be matched and rewritten by templates", () => {
  const init: RouteInit = {
    match: {
      pathSpecifier: {
        case: "pathMatchPolicy",
        value: {
          name: "t",
          typedConfig: packed(UriTemplateMatchConfigSchema, { pathTemplate: "/shops/{shop}/{rest=**}" }),
        },
      },
    },
    action: {
      case: "route",
      value: {
        clusterSpecifier: { case: "cluster", value: "a" },
        pathRewritePolicy: {
          name: "r",
          typedConfig: packed(UriTemplateRewriteConfigSchema, { pathTemplateRewrite: "/{rest}/of/{shop}" }),
        },
      },
    },
  };
  const plan = forward(init, { path: "/shops/7/carts/1?x=/y" });
  expect(plan.rewritePath?.("/shops/7/carts/1?x=/y")).toBe("/carts/1/of/7?x=/y");
  const { route: decide } = router(routes("r", [init]));
  expect(decide({ path: "/shop/7/a" }).kind).toBe("no-route");
  const prefix = { ...init, match: ANY };
  expect(router(routes("r", [prefix])).rejections).toEqual([
    expect.objectContaining({ message: expect.stringContaining("needs a path_match_policy") }),
  ]);
});

test("route names the object and rule that a route came from", () => {
  const metadata = { filterMetadata: { istio: { config: "/apis/x" }, "tulle.dev": { rule: "http[0]" } } };
  expect(forward({ ...routeTo("a"), name: "n", metadata })).toMatchObject({
    routeName: "n",
    provenance: { config: "/apis/x", rule: "http[0]" },
  });
});

test("route redirects with parts of the request replaced", () => {
  const redirect = (value: object, requestInit: Partial<EngineRequest> = {}) =>
    reply(
      { match: { pathSpecifier: { case: "prefix", value: "/a" } }, action: { case: "redirect", value } },
      { path: "/a/b?c", authority: "h:80", ...requestInit },
    );
  expect(redirect({ schemeRewriteSpecifier: { case: "httpsRedirect", value: true } })).toEqual([
    301,
    ["location", "https://h/a/b?c"],
  ]);
  expect(redirect({ hostRedirect: "x", responseCode: RedirectCode.TEMPORARY_REDIRECT })).toEqual([
    307,
    ["location", "http://x/a/b?c"],
  ]);
  const https = { schemeRewriteSpecifier: { case: "schemeRedirect", value: "https" } };
  expect(redirect({ ...https, portRedirect: 443 }, { authority: "h:9080" })).toEqual([
    301,
    ["location", "https://h/a/b?c"],
  ]);
  expect(redirect({ ...https, portRedirect: 80 })).toEqual([301, ["location", "https://h:80/a/b?c"]]);
  expect(redirect({ portRedirect: 80, hostRedirect: "x" })).toEqual([301, ["location", "http://x/a/b?c"]]);
  expect(redirect({ portRedirect: 8080, stripQuery: true })).toEqual([
    301,
    ["location", "http://h:8080/a/b"],
  ]);
  expect(redirect({ pathRewriteSpecifier: { case: "pathRedirect", value: "/z" } })).toEqual([
    301,
    ["location", "http://h:80/z?c"],
  ]);
  expect(redirect({ pathRewriteSpecifier: { case: "pathRedirect", value: "/z?q" } })).toEqual([
    301,
    ["location", "http://h:80/z?q"],
  ]);
  expect(redirect({ pathRewriteSpecifier: { case: "prefixRewrite", value: "/z" } })).toEqual([
    301,
    ["location", "http://h:80/z/b?c"],
  ]);
});

test("route answers plaintext requests to a host of TLS only with a redirect", () => {
  const config = {
    name: "r",
    virtualHosts: [{ name: "v", domains: ["*"], routes: [routeTo("a")], requireTls: 2 }],
  };
  const { route: decide } = router(change(ROUTE_TYPE, "r", RouteConfigurationSchema, config));
  expect(decide({ scheme: "https" }).kind).toBe("forward");
  expect((decide() as ReplyPlan).headers(request({ path: "/x" }))).toEqual(["location", "https://reviews/x"]);
});

test("route gives a fixed response", () => {
  const plan = router(
    routes("r", [
      {
        match: ANY,
        action: {
          case: "directResponse",
          value: { status: 418, body: { specifier: { case: "inlineString", value: "tea" } } },
        },
      },
    ]),
  ).route() as ReplyPlan;
  expect([plan.status, plan.body, plan.headers(request())]).toEqual([418, "tea", []]);
});

const HERE = "virtual_hosts[0].routes[0]";
test.each([
  [
    weighted(["a", 0], ["b", 0]),
    `${HERE}.route.weighted_clusters.clusters: the sum of the weights must be greater than zero`,
  ],
  [weighted(), `${HERE}.route.weighted_clusters.clusters: must not be empty`],
  [
    { match: ANY, action: { case: "route", value: {} } },
    `${HERE}.route: must set one of cluster, weighted_clusters`,
  ],
  [{ match: ANY }, `${HERE}: must set one of route, redirect, direct_response`],
  [{ action: routeTo("a").action }, `${HERE}.match: must be set`],
  [
    { ...routeTo("a"), match: { ...ANY, dynamicMetadata: [{ filter: "x" }] } },
    `${HERE}.match.dynamic_metadata[0].path: must not be empty`,
  ],
  [
    { match: ANY, action: { case: "directResponse", value: { status: 99 } } },
    `${HERE}.direct_response.status: must be between 200 and 599`,
  ],
  [
    { ...routeTo("a"), requestHeadersToRemove: ["a b"] },
    `${HERE}.request_headers_to_remove[0]: "a b" is not a header name`,
  ],
  [
    { ...routeTo("a"), requestHeadersToAdd: [{ header: { key: "a", value: "b\r\nc: d" } }] },
    `${HERE}.request_headers_to_add[0].header.value: must not hold NUL, CR or LF`,
  ],
  [
    { ...routeTo("a"), requestHeadersToAdd: [{ header: { key: "a", value: "%NEW(x)%" } }] },
    `${HERE}.request_headers_to_add[0].header.value: "%NEW(x)%": the command operator %NEW% is not known`,
  ],
] as [RouteInit, string][])("apply refuses a route that cannot be carried out (#%#)", (init, message) => {
  const { rejections } = router(routes("r", [init]));
  expect(rejections).toEqual([{ name: "r", message: expect.stringContaining(message) as string }]);
});

test("a request names its cluster in a header, among those that the proxy knows", () => {
  const byHeader: RouteInit = {
    match: { pathSpecifier: { case: "prefix", value: "/" } },
    action: {
      case: "route",
      value: { clusterSpecifier: { case: "clusterHeader", value: "X-Cluster" }, prefixRewrite: "/new" },
    },
  };
  const { rejections, route: decide } = router(routes("r", [byHeader]));
  expect(rejections).toEqual([]);
  const to = (headers: string[]) => decide({ headers }) as Plan;
  expect(to(["x-cluster", "a"]).cluster.endpoints).toHaveLength(1);
  expect(to(["X-Cluster", "b"]).cluster.name).toBe("b");
  expect(to(["x-cluster", "a"])).toBe(to(["x-cluster", "a"]));
  expect(to(["x-cluster", "a"]).rewritePath?.("/old")).toBe("/newold");
  for (const headers of [[], ["x-cluster", "c"], ["x-cluster", ""], ["x-cluster", "__proto__"]])
    expect([to(headers).cluster.name, to(headers).cluster.endpoints]).toEqual(["", []]);
  const bad = routes("r", [
    {
      match: { pathSpecifier: { case: "prefix", value: "/" } },
      action: { case: "route", value: { clusterSpecifier: { case: "clusterHeader", value: "a b" } } },
    },
  ]);
  expect(router(bad).rejections[0]?.message).toContain("cluster_header: must be the name of a header");
});

test("a route may ask for a client with a certificate", () => {
  const secured: RouteInit = {
    ...routeTo("a"),
    match: { pathSpecifier: { case: "prefix", value: "/" }, tlsContext: { presented: true } },
  };
  const { route: decide } = router(routes("r", [secured, routeTo("b")]));
  const cluster = (clientCertificate: boolean) => (decide({ clientCertificate }) as Plan).cluster.name;
  expect([cluster(true), cluster(false)]).toEqual(["a", "b"]);
});
