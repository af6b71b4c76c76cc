import type { MessageInitShape } from "@bufbuild/protobuf";
import { ResultCount, ResultTime } from "../load/result-table.js";
import { HealthStatus } from "@tulle/xds/gen/envoy/config/core/v3/health_check_pb.js";
import type { RouteSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_components_pb.js";
import { expect, test } from "vitest";
import { UNHEALTHY_EJECTED } from "../contract.js";
import { entropyOf } from "../entropy.js";
import { createLoadTable } from "../load/load-table.js";
import { pick } from "../pick/pick.js";
import { route } from "../route/route.js";
import type { HttpChain } from "../snapshot/contract.js";
import { createSnapshotSource } from "../snapshot/snapshot-source.js";
import { apiListener, edsCluster, endpoints, request, routes, routeTo } from "../testing/resources.js";
import type { EndpointInit } from "../testing/resources.js";
import type { Question } from "./contract.js";
import { explain } from "./explain.js";

type RouteInit = MessageInitShape<typeof RouteSchema>;

const ANY = { pathSpecifier: { case: "prefix", value: "/" } } as const;

const OWNED = {
  metadata: {
    filterMetadata: {
      istio: { config: "/apis/networking.istio.io/v1/namespaces/shop/virtual-service/reviews" },
      "tulle.dev": { rule: "http[1]" },
    },
  },
} as const;

const CANARY: RouteInit = {
  ...routeTo("b"),
  name: "canary",
  match: {
    ...ANY,
    headers: [{ name: "version", headerMatchSpecifier: { case: "exactMatch", value: "v2" } }],
  },
};

const SPLIT: RouteInit = {
  ...OWNED,
  name: "split",
  match: ANY,
  action: {
    case: "route",
    value: {
      clusterSpecifier: {
        case: "weightedClusters",
        value: {
          clusters: [
            { name: "a", weight: 90 },
            { name: "b", weight: 10 },
          ],
        },
      },
      prefixRewrite: "/v1/",
      hostRewriteSpecifier: { case: "hostRewriteLiteral", value: "inner" },
      retryPolicy: { retryOn: "503,reset", numRetries: 2 },
    },
  },
};

/** The listener `reviews` over these routes and the clusters `a` and `b`. */
function mesh(list: RouteInit[], ofA: EndpointInit[] = [{ address: "10.0.0.1" }, { address: "10.0.0.2" }]) {
  const load = createLoadTable();
  const source = createSnapshotSource({ load });
  const rejections = source.apply([
    apiListener("reviews", "r"),
    routes("r", list),
    edsCluster("a"),
    endpoints("a", ofA),
    edsCluster("b"),
    endpoints("b", []),
  ]);
  expect(rejections).toEqual([]);
  const snapshot = source.current;
  return {
    load,
    snapshot,
    explain: (headers: string[] = [], more: Partial<Question> = {}) =>
      explain(
        { snapshot, load, now: 0 },
        { direction: "outbound", request: request({ authority: "reviews", path: "/x", headers }), ...more },
      ),
  };
}

test("explain names the rule that a request takes, why those before it do not, and where they are written", () => {
  const made = mesh([CANARY, SPLIT]).explain(["version", "v1"], {
    locate: ({ kind, name, rule }) => `${kind}/${name}.yaml#${rule}`,
  });
  expect(made.steps.find(({ step }) => step === "route")?.events).toEqual([
    expect.objectContaining({
      subject: "canary",
      verdict: "passed-over",
      reason: 'header "version" is "v1", not "v2"',
    }),
    expect.objectContaining({ subject: "split", verdict: "chosen", reason: "it takes every request" }),
  ]);
  expect(made.route).toMatchObject({
    name: "split",
    owner: {
      apiVersion: "networking.istio.io/v1",
      kind: "VirtualService",
      namespace: "shop",
      name: "reviews",
      rule: "http[1]",
      source: "VirtualService/reviews.yaml#http[1]",
    },
  });
  expect(made.upstream).toEqual({ authority: "inner", path: "/v1/x" });
});

test("explain gives the exact chances of a split and follows the likeliest, or the request id's", () => {
  const at = mesh([SPLIT]);
  expect(at.explain().split).toMatchObject([
    { cluster: "a", probability: 0.9, chosen: true },
    { cluster: "b", probability: 0.1, chosen: false },
  ]);
  const chain = at.snapshot.outbound("reviews") as HttpChain;
  for (let number = 0; number < 50; number++) {
    const id = `id-${number}`;
    const view = { snapshot: at.snapshot, load: at.load, now: 0, entropy: entropyOf(id) };
    const routed = route(view, chain, request({ authority: "reviews", path: "/x" }));
    const made = at.explain(["x-request-id", id]);
    expect(made.request.requestId).toBe(id);
    expect(routed).toMatchObject({ cluster: { name: made.cluster?.name } });
    if (routed.kind !== "forward") throw new Error("expected a plan");
    const picked = pick(view, routed, { attempts: 0, triedSlots: [] });
    expect(made.endpoints.find(({ chosen }) => chosen)?.address).toBe(
      "kind" in picked ? undefined : picked.key,
    );
  }
});

test("explain lists endpoints with health, load and share, and says when none can take the request", () => {
  const at = mesh(
    [routeTo("a")],
    [{ address: "10.0.0.1" }, { address: "10.0.0.2", health: HealthStatus.UNHEALTHY }],
  );
  const slot = at.snapshot.cluster("a")!.endpoints[0]!.slot;
  at.load.begin(at.snapshot.cluster("a")!.slot, slot);
  expect(at.explain().endpoints).toMatchObject([
    { address: "10.0.0.1:80", health: ["healthy"], inFlight: 1, share: 1, chosen: true },
    { address: "10.0.0.2:80", health: ["unhealthy"], inFlight: 0, share: 0, chosen: false },
  ]);
  at.load.setUnhealthy(slot, UNHEALTHY_EJECTED, true);
  at.load.results.set(ResultCount.REASON, slot, 1);
  at.load.results.set(ResultCount.EJECTIONS, slot, 3);
  at.load.results.setTime(ResultTime.EJECTED_AT, slot, 5000);
  at.load.results.setTime(ResultTime.EJECTED_UNTIL, slot, 35_000);
  expect(at.explain().endpoints[0]).toMatchObject({
    health: ["ejected"],
    ejection: { reason: "consecutive_5xx", atMs: 5000, untilMs: 35_000, ejections: 3 },
  });
  expect(mesh([routeTo("b")]).explain().result).toEqual({ kind: "no-endpoint", status: 503, flag: "UH" });
});

test("explain says which failures are retried for this very request", () => {
  const at = mesh([SPLIT]);
  const retried = (method: string) =>
    at
      .explain([], { request: request({ authority: "reviews", method }) })
      .route?.retry?.outcomes.filter((one) => one.retried)
      .map(({ outcome }) => outcome);
  expect(retried("GET")).toEqual(["connection refused", "reset after the request was sent", "503"]);
  expect(retried("POST")).toEqual(["connection refused", "503"]);
});

test("explain leaves the load table as it was", () => {
  const at = mesh([SPLIT]);
  const { slot } = at.snapshot.cluster("a")!;
  const before = at.load.nextTurn(slot);
  at.explain();
  expect([at.load.nextTurn(slot), at.load.clusterInFlight(slot)]).toEqual([before, 0]);
});

test("explain answers for what the mesh does not know, and for what no rule takes", () => {
  const at = mesh([CANARY]);
  expect(at.explain().result).toEqual({ kind: "no-route", status: 404, flag: "NR" });
  const unknown = at.explain([], { request: request({ authority: "nowhere" }) });
  expect(unknown.result.kind).toBe("not-ready");
});

test("explain is JSON through and through", () => {
  const made = mesh([CANARY, SPLIT]).explain(["version", "v1"]);
  expect(JSON.parse(JSON.stringify(made))).toEqual(made);
});

test("explain says that a key chose among clusters, whatever the request id", () => {
  const keyed: RouteInit = {
    match: ANY,
    metadata: { filterMetadata: { "tulle.dev": { split: "hash" } } },
    action: {
      case: "route",
      value: {
        hashPolicy: [{ policySpecifier: { case: "header", value: { headerName: "user" } } }],
        clusterSpecifier: {
          case: "weightedClusters",
          value: {
            clusters: [
              { name: "a", weight: 50 },
              { name: "b", weight: 50 },
            ],
          },
        },
      },
    },
  };
  const at = mesh([keyed]);
  const chosen = (id: string, user: string) =>
    at.explain(["x-request-id", id, "user", user]).split.find((share) => share.chosen);
  for (const user of ["ann", "ben", "cleo"]) {
    expect(chosen("1", user)).toMatchObject({ by: "key", probability: 0.5 });
    for (const id of ["2", "3", "4"]) expect(chosen(id, user)?.cluster).toBe(chosen("1", user)?.cluster);
  }
  expect(at.explain(["x-request-id", "1"]).split[0]).toMatchObject({ by: "chance" });
});
