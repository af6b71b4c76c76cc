import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import { LISTENER_TYPE, RUNTIME_TYPE, ROUTE_TYPE } from "@tulle/xds";
import { ListenerSchema } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { RouteConfigurationSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_pb.js";
import {
  CorsPolicySchema,
  CorsSchema,
} from "@tulle/xds/gen/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import { HTTPFaultSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import { LocalRateLimitSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.js";
import { RuntimeSchema } from "@tulle/xds/gen/envoy/service/runtime/v3/rtds_pb.js";
import { expect, test } from "vitest";

import { AdmissionProgress } from "../admit/admission-progress.js";
import { admit } from "../admit/admit.js";
import type { EngineRequest, Plan } from "../contract.js";
import { createLoadTable } from "../load/load-table.js";
import { route } from "../route/route.js";
import { Recorder } from "../explain/recorder.js";
import {
  change,
  edsCluster,
  endpoints,
  gone,
  manager,
  packed,
  request,
  ROUTER,
} from "../testing/resources.js";
import type { HttpChain } from "./contract.js";
import { RUNTIME_LAYER } from "./runtime-layer.js";
import { createSnapshotSource } from "./snapshot-source.js";

const ANY = { pathSpecifier: { case: "prefix", value: "/" } } as const;
const layer = (values: JsonObject, version = "1") =>
  change(RUNTIME_TYPE, RUNTIME_LAYER, RuntimeSchema, { name: RUNTIME_LAYER, layer: values }, version);

/** One route to `a` and a second one to `b`. */
function meshOf(first: object, filters: readonly (readonly [string, ReturnType<typeof packed>])[] = []) {
  const load = createLoadTable();
  const source = createSnapshotSource({ load });
  const http = manager({
    httpFilters: [
      ...filters.map(([name, value]) => ({ name, configType: { case: "typedConfig" as const, value } })),
      ROUTER,
    ],
    routeSpecifier: { case: "rds", value: { routeConfigName: "r" } },
  });
  const to = (cluster: string) => ({
    case: "route" as const,
    value: { clusterSpecifier: { case: "cluster" as const, value: cluster } },
  });
  const table = {
    name: "r",
    virtualHosts: [
      {
        name: "all",
        domains: ["*"],
        routes: [
          { name: "first", match: ANY, action: to("a"), ...first },
          { name: "second", match: ANY, action: to("b") },
        ],
      },
    ],
  } as MessageInitShape<typeof RouteConfigurationSchema>;
  const listener = change(LISTENER_TYPE, "l", ListenerSchema, {
    name: "l",
    apiListener: { apiListener: http },
  });
  const routes = change(ROUTE_TYPE, "r", RouteConfigurationSchema, table);
  const rejections = source.apply([
    listener,
    routes,
    ...["a", "b"].flatMap((name) => [edsCluster(name), endpoints(name, [{ address: "10.0.0.1" }])]),
  ]);
  expect(rejections).toEqual([]);
  const viewOf = (entropy: number) => ({ snapshot: source.current, load, now: 0, entropy });
  const chain = () => source.current.outbound("l") as HttpChain;
  const planFor = (entropy: number, init: Partial<EngineRequest> = {}): Plan =>
    route(viewOf(entropy), chain(), request(init)) as Plan;
  return {
    source,
    viewOf,
    chain,
    planFor,
    wanted: () => [...(source.wanted(["l"]).get(RUNTIME_TYPE) ?? [])],
    /** Of ten thousand requests, how many percent. */
    percent: (holds: (entropy: number) => boolean): number => {
      let count = 0;
      for (let each = 0; each < 10_000; each++) if (holds(Math.imul(each, 0x9e3779b1) >>> 0)) count++;
      return count / 100;
    },
    admission: (entropy: number, init: Partial<EngineRequest> = {}) => {
      const view = viewOf(entropy);
      const asked = request(init);
      const plan = route(view, chain(), asked) as Plan;
      return admit(view, chain(), plan, { request: asked } as never, new AdmissionProgress()).kind;
    },
  };
}

const keyed = (numerator: number) => ({
  match: { ...ANY, runtimeFraction: { defaultValue: { numerator }, runtimeKey: "flags.new" } },
});

test("a route's share is its key's value, live, and the default without one", () => {
  const { source, planFor, percent, wanted } = meshOf(keyed(10));
  const share = () => percent((entropy) => planFor(entropy).cluster.name === "a");
  expect(wanted()).toEqual([RUNTIME_LAYER]);
  expect(Math.abs(share() - 10)).toBeLessThan(1);
  const before = source.current.outbound("l");
  const taken = (entropy: number) => planFor(entropy).cluster.name === "a";
  const atTen = Array.from({ length: 500 }, (_, each) => taken(Math.imul(each, 0x9e3779b1) >>> 0));
  for (const [values, expected] of [
    [{ "flags.new": 50 }, 50],
    [{ flags: { new: 25 } }, 25],
    [{ "flags.new": { numerator: 5, denominator: "TEN_THOUSAND" } }, 0.05],
    [{ "flags.new": { numerator: 1 } }, 1],
    [{ "flags.new": 0 }, 0],
    [{ "flags.new": 100 }, 100],
    [{ "flags.new": 400 }, 100],
    [{ "flags.new": "text", other: 70 }, 10],
    [{ "flags.new": 0.5 }, 10],
    [{}, 10],
  ] as const) {
    expect(source.apply([layer(values as JsonObject, JSON.stringify(values))])).toEqual([]);
    expect(Math.abs(share() - expected)).toBeLessThan(1);
  }
  // The routes are the same: nothing was compiled again.
  expect(source.current.outbound("l")).toBe(before);
  // Who was among few is among more.
  source.apply([layer({ "flags.new": 60 }, "more")]);
  atTen.forEach((was, each) => was && expect(taken(Math.imul(each, 0x9e3779b1) >>> 0)).toBe(true));
  source.apply([gone(RUNTIME_TYPE, RUNTIME_LAYER)]);
  expect(Math.abs(share() - 10)).toBeLessThan(1);
});

test("a layer that cannot be read is refused, and the last good one holds", () => {
  const { source, planFor, percent } = meshOf(keyed(10));
  source.apply([layer({ "flags.new": 100 })]);
  for (const bad of [
    { "flags.new": { numerator: 1, denominator: "SEVEN" } },
    { "flags.new": { numerator: "1" } },
    { "flags.new": { numerator: -1 } },
  ])
    expect(source.apply([layer(bad, "2")])).toMatchObject([{ name: RUNTIME_LAYER }]);
  expect(percent((entropy) => planFor(entropy).cluster.name === "a")).toBe(100);
});

test("nobody asks for the layer where no key is named", () => {
  expect(meshOf({}).wanted()).toEqual([]);
  expect(meshOf({ match: { ...ANY, runtimeFraction: { defaultValue: { numerator: 1 } } } }).wanted()).toEqual(
    [],
  );
});

test("mirrors, faults, rate limits and CORS go by their keys", () => {
  const policy = (numerator: number) => ({ defaultValue: { numerator }, runtimeKey: "k" });
  const forward = {
    case: "route" as const,
    value: {
      clusterSpecifier: { case: "cluster" as const, value: "a" },
      requestMirrorPolicies: [{ cluster: "b", runtimeFraction: policy(0) }],
    },
  };
  const mirrored = meshOf({ action: forward });
  expect(mirrored.wanted()).toEqual([RUNTIME_LAYER]);
  const copies = () => {
    const { source, planFor, percent } = mirrored;
    const [mirror] = planFor(0).mirrors ?? [];
    return [
      percent((entropy) => mirror!.takes(entropy, source.current)),
      mirror!.probability(source.current),
    ];
  };
  expect(copies()).toEqual([0, 0]);
  mirrored.source.apply([layer({ k: 100 })]);
  expect(copies()).toEqual([100, 1]);

  const abort = { errorType: { case: "httpStatus" as const, value: 503 }, percentage: { numerator: 0 } };
  const faulty = meshOf({}, [["fault", packed(HTTPFaultSchema, { abortPercentRuntime: "k", abort })]]);
  expect(faulty.wanted()).toEqual([RUNTIME_LAYER]);
  const aborted = () => faulty.percent((entropy) => faulty.admission(entropy) === "reply");
  expect(aborted()).toBe(0);
  faulty.source.apply([layer({ k: 30 })]);
  expect(Math.abs(aborted() - 30)).toBeLessThan(2);

  const limit = {
    statPrefix: "limit",
    tokenBucket: { maxTokens: 1, tokensPerFill: 1, fillInterval: { seconds: 3600n } },
    filterEnabled: { defaultValue: { numerator: 100 } },
    filterEnforced: policy(0),
  };
  const limited = meshOf({}, [["rl", packed(LocalRateLimitSchema, limit)]]);
  expect(limited.wanted()).toEqual([RUNTIME_LAYER]);
  expect([limited.admission(1), limited.admission(2)]).toEqual(["continue", "continue"]);
  limited.source.apply([layer({ k: 100 })]);
  expect(limited.admission(3)).toBe("reply");

  const cors = packed(CorsPolicySchema, {
    filterEnabled: policy(0),
    allowOriginStringMatch: [{ matchPattern: { case: "exact" as const, value: "*" } }],
  });
  const shared = meshOf({ typedPerFilterConfig: { cors } }, [["cors", packed(CorsSchema)]]);
  expect(shared.wanted()).toEqual([RUNTIME_LAYER]);
  const preflight = {
    method: "OPTIONS",
    headers: ["origin", "https://a", "access-control-request-method", "GET"],
  };
  expect(shared.admission(1, preflight)).toBe("continue");
  shared.source.apply([layer({ k: 100 })]);
  expect(shared.admission(1, preflight)).toBe("reply");
});

test("an explanation says which value was used", () => {
  const { source, viewOf, chain } = meshOf(keyed(0));
  const reasons = () => {
    const trace = new Recorder();
    route({ ...viewOf(7), trace }, chain(), request());
    return trace.of("route").map(({ reason, facts }) => [reason, facts?.["probability"]]);
  };
  expect(reasons()[0]).toEqual([
    "by its request id it is not of the 0 % of requests that this is for (runtime key flags.new is not set: the default)",
    0,
  ]);
  source.apply([layer({ "flags.new": 100 })]);
  expect(reasons()[0]).toEqual(["100 % of requests, by their request ids (runtime key flags.new)", 1]);
});
