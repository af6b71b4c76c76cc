import type { MessageInitShape } from "@bufbuild/protobuf";
import { LISTENER_TYPE, ROUTE_TYPE } from "@tulle/xds";
import { ListenerSchema } from "@tulle/xds/gen/envoy/config/listener/v3/listener_pb.js";
import { RouteConfigurationSchema } from "@tulle/xds/gen/envoy/config/route/v3/route_pb.js";
import { AdaptiveConcurrencySchema } from "@tulle/xds/gen/envoy/extensions/filters/http/adaptive_concurrency/v3/adaptive_concurrency_pb.js";
import { AdmissionControlSchema } from "@tulle/xds/gen/envoy/extensions/filters/http/admission_control/v3/admission_control_pb.js";
import { expect, test } from "vitest";
import type { AdmissionReply, Plan } from "../contract.js";
import { explain } from "../explain/index.js";
import { createLoadTable } from "../load/load-table.js";
import { route } from "../route/route.js";
import type { HttpChain } from "../snapshot/contract.js";
import { createSnapshotSource } from "../snapshot/snapshot-source.js";
import {
  change,
  edsCluster,
  endpoints,
  manager,
  packed,
  request,
  ROUTER,
  routeTo,
} from "../testing/resources.js";
import type { TraceEvent } from "../trace.js";
import { AdmissionProgress } from "./admission-progress.js";
import { admit } from "./admit.js";

type Concurrency = MessageInitShape<typeof AdaptiveConcurrencySchema>;
type Control = MessageInitShape<typeof AdmissionControlSchema>;

const GRADIENT = {
  concurrencyLimitParams: { concurrencyUpdateInterval: { nanos: 100_000_000 } },
  minRttCalcParams: { interval: { seconds: 60n }, minConcurrency: 2 },
};

function concurrency(value: object = GRADIENT, more: Concurrency = {}): Concurrency {
  return { concurrencyControllerConfig: { case: "gradientControllerConfig", value }, ...more };
}

const CRITERIA: Control = { evaluationCriteria: { case: "successCriteria", value: {} } };

/** A listener with one filter, of the chain or of the virtual host. */
function listening(config: ReturnType<typeof packed>, host?: ReturnType<typeof packed>) {
  const load = createLoadTable();
  const source = createSnapshotSource({ load });
  const http = manager({
    httpFilters: [{ name: "f", configType: { case: "typedConfig" as const, value: config } }, ROUTER],
    routeSpecifier: { case: "rds", value: { routeConfigName: "r" } },
  });
  const apply = (name: string) =>
    source.apply([
      change(LISTENER_TYPE, name, ListenerSchema, { name, apiListener: { apiListener: http } }),
      change(ROUTE_TYPE, "r", RouteConfigurationSchema, {
        name: "r",
        virtualHosts: [
          {
            name: "all",
            domains: ["*"],
            routes: [routeTo("a")],
            ...(host && { typedPerFilterConfig: { f: host } }),
          },
        ],
      }),
      edsCluster("a"),
      endpoints("a", [{ address: "10.0.0.1" }]),
    ]);
  const rejections = apply("l").map(({ message }) => message);
  const ask = ({ now = 1000, entropy = 1, listener = "l" } = {}) => {
    const events: TraceEvent[] = [];
    const view = {
      snapshot: source.current,
      load,
      now,
      entropy,
      trace: { add: (event: TraceEvent) => events.push(event) },
    };
    const chain = source.current.outbound(listener) as HttpChain;
    const asked = request({});
    const progress = new AdmissionProgress();
    const plan = route(view, chain, asked) as Plan;
    const said = admit(view, chain, plan, { request: asked, principal: undefined }, progress);
    return { said, progress, events: events.filter(({ step }) => step === "filter") };
  };
  const explained = () =>
    explain(
      { snapshot: source.current, load, now: 1000 },
      { direction: "outbound", request: request({ authority: "l" }) },
    );
  return { rejections, ask, apply, explained, load };
}

test("adaptive concurrency lets the limit through, and tells those that it refuses", () => {
  const { rejections, ask, load } = listening(packed(AdaptiveConcurrencySchema, concurrency()));
  expect(rejections).toEqual([]);
  const watchers = [ask(), ask()].map(({ progress }) => progress.watchers[0]!);
  expect(ask().said.kind).toBe("continue");
  for (const watcher of watchers) watcher.onBegin(1000);
  const { said, events, progress } = ask();
  expect(said).toMatchObject({
    kind: "reply",
    status: 503,
    body: "reached concurrency limit",
    details: "reached_concurrency_limit",
    grpcStatus: 14,
  });
  expect(progress.watchers).toEqual([]);
  expect(events).toMatchObject([
    {
      subject: "adaptive concurrency l/f",
      verdict: "chosen",
      reason: "2 of at most 2 requests are under way while the unburdened service is measured",
      facts: { inFlight: 2, limit: 2, measuring: true },
    },
  ]);
  (said as AdmissionReply).watcher?.onRefused();
  expect([...load.controllers.gradients()].map(({ refused }) => refused)).toEqual([1]);
  watchers[0]!.onEnd(1010, { durationMs: 10, status: 200, grpc: false, grpcStatus: 0, cut: false });
  expect(ask().said.kind).toBe("continue");
});

test("admitting allocates nothing: what is said is always the same", () => {
  const { ask } = listening(packed(AdaptiveConcurrencySchema, concurrency()));
  expect(ask().progress.watchers[0]).toBe(ask().progress.watchers[0]);
});

test("what was learnt outlives a change of configuration, but not of settings", () => {
  const { ask, apply } = listening(packed(AdaptiveConcurrencySchema, concurrency()));
  const [before] = ask().progress.watchers;
  apply("l");
  expect(ask().progress.watchers[0]).toBe(before);
});

test("a virtual host's limit is its cluster's, whichever listener requests come by", () => {
  const off = packed(AdaptiveConcurrencySchema, concurrency(GRADIENT, { enabled: { defaultValue: false } }));
  const { ask, apply } = listening(off, packed(AdaptiveConcurrencySchema, concurrency()));
  apply("other");
  const [one] = ask().progress.watchers;
  expect(one).toBeDefined();
  expect(ask({ listener: "other" }).progress.watchers[0]).toBe(one);
  expect(listening(off).ask().progress.watchers).toEqual([]);
});

test("admission control holds back by the request's entropy, so that it can be told why", () => {
  const { ask, load, explained } = listening(packed(AdmissionControlSchema, CRITERIA));
  const [watcher] = ask().progress.watchers;
  expect(ask().events).toMatchObject([
    { verdict: "passed-over", reason: "0 of 0 requests of the last 30 s went well" },
  ]);
  const end = (status: number, more: object = {}) =>
    watcher!.onEnd(1000, { durationMs: 1, status, grpc: false, grpcStatus: 0, cut: false, ...more });
  for (let request = 0; request < 60; request++) end(request % 2 === 0 ? 503 : 499);
  // (60 - 30 / 0.95) / 61
  const refused = new Set<number>();
  for (let entropy = 0; entropy < 2000; entropy++) {
    const { said } = ask({ entropy });
    if (said.kind !== "reply") continue;
    refused.add(entropy);
    expect(said).toMatchObject({ status: 503, details: "denied_by_admission_control", grpcStatus: 14 });
  }
  expect(refused.size / 2000).toBeCloseTo((60 - 30 / 0.95) / 61, 1);
  const [one] = refused;
  expect(ask({ entropy: one! }).events).toMatchObject([
    {
      verdict: "chosen",
      reason: "30 of 60 requests of the last 30 s went well: 46.6% are held back, and this one is among them",
      facts: { requests: 60, successes: 30, probability: 0.466 },
    },
  ]);
  const told = explained();
  expect(JSON.stringify(told.steps)).toContain("30 of 60 requests of the last 30 s went well");
  // Later nothing is known of it any more.
  expect(ask({ entropy: one!, now: 40_000 }).said.kind).toBe("continue");
  end(200, { cut: true });
  end(200, { grpc: true, grpcStatus: 14 });
  end(200, { grpc: true, grpcStatus: -1 });
  end(200, { grpc: true, grpcStatus: 5 });
  expect([...load.controllers.windows()].map(({ succeeded, failed }) => [succeeded, failed])).toEqual([
    [31, 33],
  ]);
});

test("what counts as success can be said", () => {
  const config: Control = {
    evaluationCriteria: {
      case: "successCriteria",
      value: {
        httpCriteria: { httpSuccessStatus: [{ start: 200, end: 300 }] },
        grpcCriteria: { grpcSuccessStatus: [0] },
      },
    },
  };
  const { ask, load } = listening(packed(AdmissionControlSchema, config));
  const [watcher] = ask().progress.watchers;
  const end = (status: number, grpc: boolean, grpcStatus: number) =>
    watcher!.onEnd(1000, { durationMs: 1, status, grpc, grpcStatus, cut: false });
  end(299, false, -1);
  end(300, false, -1);
  end(200, true, 0);
  end(200, true, 5);
  expect([...load.controllers.windows()].map(({ succeeded, failed }) => [succeeded, failed])).toEqual([
    [2, 2],
  ]);
});

test.each<[Concurrency, string]>([
  [{}, "gradient_controller_config: must be set"],
  [concurrency({}), "concurrency_limit_params: must be set"],
  [concurrency({ ...GRADIENT, minRttCalcParams: {} }), "min_rtt_calc_params.interval: must be at least 1 ms"],
  [
    concurrency({ ...GRADIENT, concurrencyLimitParams: {} }),
    "concurrency_limit_params.concurrency_update_interval: must be at least 1 ms",
  ],
  [
    concurrency({ ...GRADIENT, sampleAggregatePercentile: { value: 101 } }),
    "sample_aggregate_percentile: must be between 0 and 100",
  ],
  [
    concurrency({
      ...GRADIENT,
      concurrencyLimitParams: { ...GRADIENT.concurrencyLimitParams, maxConcurrencyLimit: 1 },
    }),
    "min_concurrency: must not be above max_concurrency_limit",
  ],
])("adaptive concurrency refuses what cannot be: %#", (config, expected) => {
  expect(listening(packed(AdaptiveConcurrencySchema, config)).rejections.join("\n")).toContain(expected);
});

test.each<[Control, string]>([
  [{}, "success_criteria: must be set"],
  [{ ...CRITERIA, srThreshold: { defaultValue: { value: 0.5 } } }, "sr_threshold: must be at least 1"],
  [{ ...CRITERIA, samplingWindow: { seconds: 7200n } }, "sampling_window: must be at most 3600 seconds"],
  [{ ...CRITERIA, aggression: { defaultValue: Number.NaN } }, "aggression: must be a number"],
  [
    {
      evaluationCriteria: {
        case: "successCriteria",
        value: { httpCriteria: { httpSuccessStatus: [{ start: 99, end: 200 }] } },
      },
    },
    "http_success_status[0]: must lie within [100, 600)",
  ],
  [
    { evaluationCriteria: { case: "successCriteria", value: { grpcCriteria: { grpcSuccessStatus: [17] } } } },
    "grpc_success_status: must be between 0 and 16",
  ],
])("admission control refuses what cannot be: %#", (config, expected) => {
  expect(listening(packed(AdmissionControlSchema, config)).rejections.join("\n")).toContain(expected);
});
