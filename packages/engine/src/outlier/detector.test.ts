import { create } from "@bufbuild/protobuf";
import { DurationSchema } from "@bufbuild/protobuf/wkt";
import type { OutlierDetection } from "@tulle/xds/gen/envoy/config/cluster/v3/outlier_detection_pb.js";
import { beforeEach, expect, test } from "vitest";
import { UNHEALTHY_EJECTED } from "../contract.js";
import { createLoadTable, type SlotTable } from "../load/load-table.js";
import { createSnapshotSource } from "../snapshot/snapshot-source.js";
import type { SnapshotSource } from "../snapshot/contract.js";
import { edsCluster, endpoints, gone } from "../testing/resources.js";
import { CLUSTER_TYPE } from "@tulle/xds";
import { OutlierDetector, type OutlierEvent } from "./detector.js";
import { healthOf } from "./health.js";
import { offerProbe, takeProbe } from "./probation.js";
import { probeAnswered, recordAnswer, recordReached, recordUnreached } from "./record.js";

type Settings = Partial<Omit<OutlierDetection, "$typeName" | "$unknown">>;

let load: SlotTable;
let source: SnapshotSource;
let detector: OutlierDetector;
let events: OutlierEvent[];
let now: number;
let chance: number;

beforeEach(() => {
  load = createLoadTable({ maxSlots: 64 });
  source = createSnapshotSource({ load });
  events = [];
  now = 1000;
  chance = 0;
  detector = new OutlierDetector({
    load,
    random: () => chance,
    date: () => 1_700_000_000_000 + now,
    onEvent: (event) => events.push(event),
  });
});

function cluster(
  settings: Settings | undefined,
  count: number,
  name = "reviews",
  errorStatuses: readonly number[] = [],
  failureAccrual?: { jitterRatio: number; minSuccessRate?: number },
): void {
  const addresses = Array.from({ length: count }, (_, index) => ({ address: `10.0.0.${index + 1}` }));
  const rejections = source.apply([
    edsCluster(name, {
      ...(settings === undefined ? {} : { outlierDetection: settings }),
      metadata: {
        filterMetadata: {
          "tulle.dev": {
            outlierErrorStatuses: [...errorStatuses],
            ...(failureAccrual && { failureAccrual: { ...failureAccrual } }),
          },
        },
      },
    }),
    endpoints(name, addresses),
  ]);
  expect(rejections).toEqual([]);
  detector.sweep(source.current, now);
}

function slotOf(index: number): number {
  return source.current.cluster("reviews")!.endpoints[index]!.slot;
}

/** One answer of an endpoint, as the proxy tells it. */
function answer(index: number, status: number): void {
  const { outlier } = source.current.cluster("reviews")!;
  told(index, recordAnswer(load.results, outlier!, slotOf(index), status));
}

function unreached(index: number, timedOut = false): void {
  const { outlier } = source.current.cluster("reviews")!;
  told(index, recordUnreached(load.results, outlier!, slotOf(index), timedOut));
}

function told(index: number, bits: number): void {
  if (bits !== 0) detector.suspect(source.current, "reviews", slotOf(index), bits, now);
}

function answers(index: number, statuses: readonly number[]): void {
  for (const status of statuses) answer(index, status);
}

const times = (count: number, status: number): number[] => Array.from({ length: count }, () => status);
const seconds = (value: number) => create(DurationSchema, { seconds: BigInt(value) });
const ejected = (): number[] =>
  source.current
    .cluster("reviews")!
    .endpoints.flatMap(({ slot }, index) =>
      (load.unhealthy(slot) & UNHEALTHY_EJECTED) === 0 ? [] : [index],
    );

function passes(ms: number): void {
  now += ms;
  detector.sweep(source.current, now);
}

test("where statuses are listed, these are errors and no other answer is", () => {
  cluster({ maxEjectionPercent: 100 }, 4, "reviews", [404, 503]);
  answers(0, times(20, 500));
  expect(ejected()).toEqual([]);
  answers(0, [...times(4, 404), 500]);
  answers(0, [503, 404, 404, 503]);
  expect(ejected()).toEqual([]);
  answer(0, 404);
  expect(ejected()).toEqual([0]);
  expect(events.at(-1)?.reason).toBe("5 failures (404, 503) one after the other");
});

test("listed statuses say nothing of failures without an answer, nor of which ones are a gateway's", () => {
  cluster(
    {
      maxEjectionPercent: 100,
      consecutive5xx: 0,
      enforcingConsecutiveGatewayFailure: 100,
      consecutiveGatewayFailure: 3,
    },
    4,
    "reviews",
    [404, 503],
  );
  answers(0, [503, 503, 404, 503, 503]);
  expect(ejected()).toEqual([]);
  answer(0, 503);
  expect(ejected()).toEqual([0]);
  for (let i = 0; i < 3; i++) unreached(1);
  expect(ejected()).toEqual([0, 1]);
});

test("five 5xx one after the other eject, four with a success between do not", () => {
  cluster({ maxEjectionPercent: 50 }, 4);
  answers(0, [...times(4, 500), 200, ...times(4, 500)]);
  expect(ejected()).toEqual([]);
  answer(0, 500);
  expect(ejected()).toEqual([0]);
  expect(events).toEqual([
    {
      action: "ejected",
      cluster: "reviews",
      endpoint: "10.0.0.1:80",
      kind: "consecutive_5xx",
      reason: "5 failures (5xx) one after the other",
      ejections: 1,
      ejectedForMs: 30_000,
    },
  ]);
  expect(healthOf(load, slotOf(0))).toMatchObject({
    ejected: true,
    ejectedFor: "consecutive_5xx",
    ejectedAtMs: 1_700_000_001_000,
    ejectedUntilMs: 1_700_000_031_000,
    ejections: 1,
  });
  expect(detector.activeEjections("reviews")).toBe(1);
});

test("an ejected endpoint returns with the first interval that ends after its time, and stays longer each time", () => {
  cluster({ maxEjectionPercent: 50, interval: seconds(10), baseEjectionTime: seconds(15) }, 4);
  answers(0, times(5, 503));
  passes(10_000);
  expect(ejected()).toEqual([0]);
  passes(10_000);
  expect(ejected()).toEqual([]);
  expect(events.at(-1)).toMatchObject({ action: "returned", reason: "its time is over" });
  answers(0, times(5, 503));
  expect(events.at(-1)).toMatchObject({ action: "ejected", ejections: 2, ejectedForMs: 30_000 });
});

test("the time of an ejection grows to the longest and sinks with every interval in peace", () => {
  cluster(
    {
      maxEjectionPercent: 50,
      interval: seconds(10),
      baseEjectionTime: seconds(10),
      maxEjectionTime: seconds(25),
    },
    4,
  );
  const durations: number[] = [];
  const ejectAndReturn = (): void => {
    answers(0, times(5, 503));
    durations.push(events.at(-1)!.ejectedForMs);
    while (ejected().length > 0) passes(10_000);
  };
  for (let round = 0; round < 5; round++) ejectAndReturn();
  expect(durations).toEqual([10_000, 20_000, 25_000, 25_000, 25_000]);
  passes(10_000);
  passes(10_000);
  passes(10_000);
  ejectAndReturn();
  expect(durations.at(-1)).toBe(10_000);
});

test("jitter comes on top", () => {
  chance = 0.5;
  cluster({ maxEjectionPercent: 50, maxEjectionTimeJitter: seconds(4) }, 4);
  answers(0, times(5, 500));
  expect(events[0]).toMatchObject({ ejectedForMs: 32_000 });
});

test.each([
  [10, false, 4, 0],
  [10, true, 4, 1],
  [10, false, 10, 1],
  [50, false, 4, 2],
  [99, false, 4, 3],
  [100, false, 4, 4],
])(
  "of max_ejection_percent %d, always_eject_one_host %s and %d endpoints %d are ejected",
  (percent, always, count, wanted) => {
    cluster({ maxEjectionPercent: percent, alwaysEjectOneHost: always }, count);
    for (let index = 0; index < count; index++) answers(index, times(5, 500));
    expect(ejected()).toHaveLength(wanted);
    const spared = events.filter(({ action }) => action === "spared");
    expect(spared).toHaveLength(count - wanted);
    if (spared.length > 0) expect(spared[0]!.reason).toContain("max_ejection_percent");
  },
);

test("gateway failures count for themselves, and other 5xx between them do not", () => {
  cluster(
    {
      consecutive5xx: 0,
      consecutiveGatewayFailure: 3,
      enforcingConsecutiveGatewayFailure: 100,
      maxEjectionPercent: 50,
    },
    4,
  );
  answers(0, [502, 503, 500, 504, 502, 501]);
  expect(ejected()).toEqual([]);
  answers(0, [502, 503, 504]);
  expect(ejected()).toEqual([0]);
  expect(healthOf(load, slotOf(0)).ejectedFor).toBe("consecutive_gateway_failure");
});

test("failures without an answer count as 5xx, unless they are told apart", () => {
  cluster({ maxEjectionPercent: 50 }, 4);
  for (let i = 0; i < 4; i++) unreached(0, i % 2 === 0);
  answer(0, 500);
  expect(events).toMatchObject([{ kind: "consecutive_5xx" }]);
  cluster({ maxEjectionPercent: 50, splitExternalLocalOriginErrors: true }, 4);
  for (let i = 0; i < 4; i++) unreached(1);
  answers(1, times(4, 500));
  expect(ejected()).toEqual([0]);
  unreached(1);
  expect(events.at(-1)).toMatchObject({ action: "ejected", kind: "consecutive_local_origin_failure" });
});

test("a connection that is made starts the count of local failures anew", () => {
  cluster(
    { maxEjectionPercent: 50, splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailure: 2 },
    4,
  );
  unreached(0);
  recordReached(load.results, source.current.cluster("reviews")!.outlier!, slotOf(0));
  unreached(0);
  expect(ejected()).toEqual([]);
  unreached(0);
  expect(ejected()).toEqual([0]);
});

test("the endpoint whose success rate is far below the others' is ejected", () => {
  cluster({ consecutive5xx: 0, maxEjectionPercent: 50, successRateRequestVolume: 10 }, 6);
  for (let index = 0; index < 6; index++) {
    answers(index, [...times(index === 3 ? 5 : 10, 200), ...times(index === 3 ? 5 : 0, 500)]);
  }
  passes(10_000);
  expect(ejected()).toEqual([3]);
  expect(events[0]!.reason).toMatch(/^50 % of 10 requests succeeded, less than the 56\.3 % that follow/);
});

test("success rates say nothing of few endpoints, or few requests", () => {
  cluster({ consecutive5xx: 0, maxEjectionPercent: 50, successRateRequestVolume: 10 }, 5);
  for (let index = 0; index < 4; index++) answers(index, times(10, index === 0 ? 500 : 200));
  answers(4, times(9, 200));
  passes(10_000);
  expect(ejected()).toEqual([]);
});

test("an error rate above 10 % within 30 s ejects", () => {
  cluster(
    {
      consecutive5xx: 0,
      enforcingSuccessRate: 0,
      interval: seconds(30),
      failurePercentageThreshold: 10,
      failurePercentageMinimumHosts: 1,
      failurePercentageRequestVolume: 20,
      enforcingFailurePercentage: 100,
      maxEjectionPercent: 50,
    },
    3,
  );
  const load20 = (index: number, failures: number): void =>
    answers(index, [...times(failures, 500), ...times(20 - failures, 200)]);
  load20(0, 1);
  load20(1, 2);
  passes(29_999);
  expect(ejected()).toEqual([]);
  passes(1);
  expect(ejected()).toEqual([1]);
  expect(events[0]!.reason).toBe("10 % of 20 requests failed, 10 % make an outlier");
  // What was counted before has been judged.
  load20(0, 1);
  passes(30_000);
  expect(ejected()).toEqual([]);
});

test("connections and answers in time have rates of their own", () => {
  const settings = {
    splitExternalLocalOriginErrors: true,
    consecutiveLocalOriginFailure: 0,
    enforcingLocalOriginSuccessRate: 0,
    failurePercentageMinimumHosts: 1,
    failurePercentageRequestVolume: 5,
    enforcingFailurePercentageLocalOrigin: 100,
    maxEjectionPercent: 50,
  };
  cluster(settings, 3);
  const { outlier } = source.current.cluster("reviews")!;
  recordReached(load.results, outlier!, slotOf(0));
  for (let i = 0; i < 9; i++) unreached(0);
  passes(10_000);
  expect(events).toMatchObject([{ kind: "local_origin_failure_percentage" }]);
});

test("chance decides as often as enforcing says", () => {
  cluster({ maxEjectionPercent: 100, enforcingConsecutive5xx: 30 }, 2);
  chance = 0.3;
  answers(0, times(5, 500));
  expect(events).toMatchObject([{ action: "unenforced" }]);
  chance = 0.29;
  answers(0, times(5, 500));
  expect(ejected()).toEqual([0]);
});

test("a passing health check returns an endpoint, unless that is off", () => {
  for (const uneject of [true, false]) {
    cluster({ maxEjectionPercent: 50, successfulActiveHealthCheckUnejectHost: uneject }, 2);
    answers(0, times(5, 500));
    const part = source.current.cluster("reviews")!;
    detector.onCheckPassed(part, part.endpoints[0]!);
    expect(ejected()).toEqual(uneject ? [] : [0]);
  }
});

test("an endpoint returns when its rules go", () => {
  cluster({ maxEjectionPercent: 50 }, 2);
  const slot = slotOf(0);
  answers(0, times(5, 500));
  source.apply([edsCluster("reviews")]);
  detector.sweep(source.current, now);
  expect(load.unhealthy(slot)).toBe(0);
  expect(events.at(-1)).toMatchObject({
    action: "returned",
    reason: "its cluster detects no outliers any more",
  });
});

test("an endpoint returns when its cluster goes, for the others that have it", () => {
  cluster({ maxEjectionPercent: 50 }, 2);
  cluster(undefined, 2, "other");
  const slot = slotOf(0);
  answers(0, times(5, 500));
  expect(load.unhealthy(slot)).toBe(UNHEALTHY_EJECTED);
  source.apply([gone(CLUSTER_TYPE, "reviews")]);
  expect(detector.sweep(source.current, now)).toBeUndefined();
  expect(load.unhealthy(slot)).toBe(0);
});

test("no cluster loses its last endpoint by another one's rules", () => {
  cluster({ maxEjectionPercent: 50 }, 2);
  cluster(undefined, 1, "other");
  answers(0, times(5, 500));
  expect(ejected()).toEqual([]);
  expect(events).toMatchObject([
    { action: "spared", reason: expect.stringContaining("the last usable endpoint of other") },
  ]);
  answers(1, times(5, 500));
  expect(ejected()).toEqual([1]);
});

test("a cluster whose own rules allow it loses its last endpoint", () => {
  cluster({ maxEjectionPercent: 50 }, 2);
  cluster({ maxEjectionPercent: 100 }, 1, "other");
  answers(0, times(5, 500));
  expect(ejected()).toEqual([0]);
});

test.each<[string, Settings]>([
  ["outlier_detection.interval: must be above zero", { interval: seconds(0) }],
  ["outlier_detection.max_ejection_percent: must be at most 100", { maxEjectionPercent: 101 }],
])("a cluster is refused: %s", (message, settings) => {
  const [rejection] = source.apply([edsCluster("reviews", { outlierDetection: settings })]);
  expect(rejection?.message).toContain(message);
});

/** As a request that goes to an endpoint on probation: takes it, and tells what became of it. */
function probe(index: number, status: number): boolean {
  const part = source.current.cluster("reviews")!;
  const endpoint = part.endpoints[index]!;
  if (!takeProbe(load, part, endpoint)) return false;
  const bits = recordAnswer(load.results, part.outlier!, endpoint.slot, status);
  detector.suspect(
    source.current,
    "reviews",
    endpoint.slot,
    bits | probeAnswered(part.outlier!, status),
    now,
  );
  return true;
}

const ACCRUAL: Settings = {
  consecutive5xx: 3,
  enforcingSuccessRate: 0,
  maxEjectionPercent: 100,
  baseEjectionTime: seconds(1),
  maxEjectionTime: seconds(5),
};

test("with failure accrual penalties double up to the longest, and every one ends in probation at its very time", () => {
  cluster(ACCRUAL, 1, "reviews", [], { jitterRatio: 0 });
  answers(0, times(3, 500));
  const penalties = [events.at(-1)!.ejectedForMs];
  for (let round = 0; round < 4; round++) {
    passes(penalties.at(-1)! - 1);
    expect(healthOf(load, slotOf(0))).toMatchObject({ ejected: true, onProbation: false });
    expect(probe(0, 200)).toBe(false);
    passes(1);
    expect(events.at(-1)).toMatchObject({
      action: "probation",
      reason: "its penalty is over: one request decides",
    });
    expect(healthOf(load, slotOf(0))).toMatchObject({ ejected: true, onProbation: true });
    expect(probe(0, 500)).toBe(true);
    expect(events.at(-1)).toMatchObject({ action: "ejected", reason: "the request on probation failed" });
    penalties.push(events.at(-1)!.ejectedForMs);
  }
  expect(penalties).toEqual([1000, 2000, 4000, 5000, 5000]);
  passes(5000);
  expect(probe(0, 200)).toBe(true);
  expect(events.at(-1)).toMatchObject({ action: "returned", reason: "the request on probation succeeded" });
  expect(load.unhealthy(slotOf(0))).toBe(0);
  answers(0, times(3, 500));
  expect(events.at(-1)).toMatchObject({ action: "ejected", ejectedForMs: 1000 });
});

test("jitter of failure accrual is a share of the penalty", () => {
  chance = 0.5;
  cluster(ACCRUAL, 1, "reviews", [], { jitterRatio: 0.4 });
  answers(0, times(3, 500));
  expect(events.at(-1)!.ejectedForMs).toBe(1200);
});

test("on probation one request decides; another one may try when nothing is heard of it, or it says nothing", () => {
  cluster(ACCRUAL, 2, "reviews", [], { jitterRatio: 0 });
  answers(0, times(3, 500));
  passes(1000);
  const part = source.current.cluster("reviews")!;
  const take = (): boolean => takeProbe(load, part, part.endpoints[0]!);
  expect([take(), take()]).toEqual([true, false]);
  offerProbe(load, slotOf(0));
  expect([take(), take()]).toEqual([true, false]);
  passes(10_000);
  expect([take(), take()]).toEqual([true, false]);
  // Answers to requests from before decide nothing.
  answer(0, 200);
  expect(ejected()).toEqual([0]);
  expect(events.filter(({ action }) => action === "probation")).toHaveLength(1);
});

test("a success rate below the threshold ejects as soon as there are requests enough, and 429 is no success", () => {
  cluster(
    {
      ...ACCRUAL,
      consecutive5xx: 0,
      failurePercentageThreshold: 20,
      failurePercentageRequestVolume: 5,
      failurePercentageMinimumHosts: 1,
      enforcingFailurePercentage: 100,
    },
    2,
    "reviews",
    [],
    { jitterRatio: 0, minSuccessRate: 0.8 },
  );
  answers(0, [500, 200, 200, 200, 200]);
  expect(ejected()).toEqual([]);
  answer(0, 429);
  expect(ejected()).toEqual([0]);
  expect(events.at(-1)).toMatchObject({
    kind: "failure_percentage",
    reason: "66.7 % of 6 requests succeeded, it must be 80 %",
  });
  answers(1, [500, 500, 500, 500]);
  passes(10_000);
  answers(1, [500, 500, 500, 500]);
  expect(ejected()).toEqual([0]);
});
