import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import type { ClusterSchema } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { HealthStatus } from "@tulle/xds/gen/envoy/config/core/v3/health_check_pb.js";
import { ClientSideWeightedRoundRobinSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/client_side_weighted_round_robin/v3/client_side_weighted_round_robin_pb.js";
import { OverrideHostSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/override_host/v3/override_host_pb.js";
import { RandomSubsettingSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/random_subsetting/v3/random_subsetting_pb.js";
import { RoundRobinSchema } from "@tulle/xds/gen/envoy/extensions/load_balancing_policies/round_robin/v3/round_robin_pb.js";
import { expect, test } from "vitest";
import { createLoadTable } from "../load/load-table.js";
import { createSnapshotSource } from "../snapshot/snapshot-source.js";
import { balanced, hostOf, hosts } from "../testing/balanced.js";
import { edsCluster, packed } from "../testing/resources.js";
import type { EndpointPart } from "../snapshot/contract.js";
import { mix } from "../entropy.js";
import { roundRobin } from "./policies.js";
import { randomSubsetting } from "./random-subsetting.js";
import { createCandidates } from "./weighted-draw.js";

type ClusterInit = MessageInitShape<typeof ClusterSchema>;

const listed = (...configs: Any[]) => ({
  policies: configs.map((typedConfig) => ({ typedExtensionConfig: { name: "x", typedConfig } })),
});
const by = (...configs: Any[]): ClusterInit => ({ loadBalancingPolicy: listed(...configs) }) as ClusterInit;
const ROUND_ROBIN = packed(RoundRobinSchema);
const seconds = (count: number) => ({ seconds: BigInt(count) });

// Weights by reports

const REPORTED = by(
  packed(ClientSideWeightedRoundRobinSchema, {
    blackoutPeriod: seconds(10),
    weightExpirationPeriod: seconds(60),
    errorUtilizationPenalty: 2,
  }),
);
const THREE = [{ address: "10.0.0.1" }, { address: "10.0.0.2" }, { address: "10.0.0.3" }];

/** Endpoints that report every second from 1 s to `untilMs`. */
function reporting(
  reports: Readonly<Record<string, readonly [utilization: number, requests: number, errors: number]>>,
  untilMs = 20_000,
) {
  const mesh = balanced(THREE, REPORTED);
  const gap = mesh.source.current.cluster("c")!.reportGapMs!;
  for (let at = 1000; at <= untilMs; at += 1000) {
    for (const [address, [utilization, requestsPerSecond, errorsPerSecond]] of Object.entries(reports)) {
      const report = { utilization, requestsPerSecond, errorsPerSecond };
      mesh.load.reports.note(mesh.slotOf(address), report, at, gap);
    }
  }
  return { ...mesh, shares: (now: number) => hosts(700, (entropy) => mesh.pick(entropy, {}, now)) };
}

test("endpoints get requests by what they report: twice as busy for the same work is half as many", () => {
  const { shares } = reporting({
    "10.0.0.1": [0.2, 100, 0],
    "10.0.0.2": [0.4, 100, 0],
    "10.0.0.3": [0.8, 100, 0],
  });
  const counts = shares(20_000);
  expect(counts.get("10.0.0.1")! / counts.get("10.0.0.3")!).toBeCloseTo(4, 1);
  expect(counts.get("10.0.0.2")! / counts.get("10.0.0.3")!).toBeCloseTo(2, 1);
});

test("errors count as load, by their share of the requests and the penalty", () => {
  // 0.3 + 10/100 * 2 = 0.5, against 0.25.
  const { shares } = reporting({ "10.0.0.1": [0.3, 100, 10], "10.0.0.2": [0.25, 100, 0] });
  const counts = shares(20_000);
  expect(counts.get("10.0.0.2")! / counts.get("10.0.0.1")!).toBeCloseTo(2, 1);
});

test("an endpoint without a report gets the mean of the others, and one alone that reports changes nothing", () => {
  const two = reporting({ "10.0.0.1": [0.1, 10, 0], "10.0.0.2": [0.3, 10, 0] }).shares(20_000);
  // Weights 100, 33.3 and their mean 66.7.
  expect(two.get("10.0.0.1")! / two.get("10.0.0.3")!).toBeCloseTo(1.5, 1);
  const one = reporting({ "10.0.0.1": [0.1, 10, 0] }).shares(20_000);
  expect(Math.max(...one.values()) - Math.min(...one.values())).toBeLessThanOrEqual(1);
});

test("reports count after the blackout, and not when they are too old; then the blackout begins anew", () => {
  const loads = { "10.0.0.1": [0.1, 10, 0], "10.0.0.2": [0.9, 10, 0] } as const;
  const even = (counts: Map<string, number>): boolean =>
    Math.max(...counts.values()) - Math.min(...counts.values()) <= 1;
  expect(even(reporting(loads, 9000).shares(9000))).toBe(true);
  const mesh = reporting(loads, 15_000);
  expect(even(mesh.shares(15_000))).toBe(false);
  expect(even(mesh.shares(75_000))).toBe(true);
  const report = { utilization: 0.1, requestsPerSecond: 10, errorsPerSecond: 0 };
  for (const address of ["10.0.0.1", "10.0.0.2"])
    mesh.load.reports.note(mesh.slotOf(address), report, 80_000, 60_000);
  expect(even(mesh.shares(81_100))).toBe(true);
});

test("weights follow new reports within the update period, and no sooner", () => {
  const mesh = reporting({ "10.0.0.1": [0.5, 10, 0], "10.0.0.2": [0.5, 10, 0], "10.0.0.3": [0.5, 10, 0] });
  const before = mesh.shares(20_000).get("10.0.0.1")!;
  const busy = { utilization: 5, requestsPerSecond: 10, errorsPerSecond: 0 };
  mesh.load.reports.note(mesh.slotOf("10.0.0.1"), busy, 20_100, 60_000);
  expect(Math.abs(mesh.shares(20_500).get("10.0.0.1")! - before)).toBeLessThan(3);
  expect(mesh.shares(21_000).get("10.0.0.1")! / before).toBeLessThan(0.2);
});

test("reports that would have to be fetched, and a negative penalty, are refused", () => {
  const refusal = (config: object) =>
    createSnapshotSource({ load: createLoadTable() }).apply([
      edsCluster("c", by(packed(ClientSideWeightedRoundRobinSchema, config))),
    ])[0]?.message;
  expect(refusal({ enableOobLoadReport: true })).toContain("enable_oob_load_report: is not supported");
  expect(refusal({ errorUtilizationPenalty: -1 })).toContain("must not be negative");
});

// Random subsets

const endpoints = (count: number, from = 0): EndpointPart[] =>
  Array.from(
    { length: count },
    (_, index) => ({ key: `10.0.0.${from + index}:80`, slot: index }) as EndpointPart,
  );

/** The endpoints that a proxy uses. */
function used(identity: number, list: readonly EndpointPart[], size: number): Set<string> {
  const balancer = randomSubsetting(
    size,
    roundRobin,
  )(
    createCandidates(
      list,
      list.map(() => 1),
    ),
  );
  const load = createLoadTable({ maxSlots: 4, identity });
  const keys = Array.from({ length: size * 3 }, (_, bits) =>
    balancer.choose({ load, clusterSlot: 0, bits, key: undefined, again: 0, now: 0 }),
  );
  return new Set(keys.map(({ key }) => key));
}

test("every proxy uses so many endpoints, the same ones always, and all proxies together use all alike", () => {
  const list = endpoints(50);
  const counts = new Map<string, number>();
  for (let proxy = 0; proxy < 500; proxy++) {
    const identity = mix(proxy, 7);
    const subset = used(identity, list, 10);
    expect(subset.size).toBe(10);
    expect(used(identity, list, 10)).toEqual(subset);
    for (const key of subset) counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  // Expected 100 each; five standard deviations of a binomial.
  expect(Math.min(...counts.values())).toBeGreaterThan(55);
  expect(Math.max(...counts.values())).toBeLessThan(145);
});

test("one endpoint more or less changes one of a proxy's at most", () => {
  const list = endpoints(50);
  for (let proxy = 0; proxy < 100; proxy++) {
    const identity = mix(proxy, 9);
    const before = used(identity, list, 10);
    for (const after of [
      used(identity, [...list, ...endpoints(1, 200)], 10),
      used(identity, list.slice(1), 10),
    ])
      expect([...before].filter((key) => !after.has(key)).length).toBeLessThanOrEqual(1);
  }
});

test("a subset is of what can take requests, and of no more than there is", () => {
  const subset = (list: Parameters<typeof balanced>[0]) =>
    balanced(list, by(packed(RandomSubsettingSchema, { subsetSize: 2, childPolicy: listed(ROUND_ROBIN) })));
  const healthy = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"];
  const all = [...hosts(40, subset(healthy.map((address) => ({ address }))).pick).keys()];
  expect(all).toHaveLength(2);
  const ill = healthy.map((address) => ({
    address,
    ...(all.includes(address) && { health: HealthStatus.UNHEALTHY }),
  }));
  const others = [...hosts(40, subset(ill).pick).keys()].sort();
  expect(others).toEqual(healthy.filter((address) => !all.includes(address)));
  expect(hosts(10, subset([{ address: "10.0.0.9" }]).pick).size).toBe(1);
});

// Endpoints that the request names

const NAMED = by(
  packed(OverrideHostSchema, {
    overrideHostSources: [{ header: "X-Endpoint" }, { header: "x-other" }],
    fallbackPolicy: listed(ROUND_ROBIN),
  }),
);

test("a request goes to the endpoint that it names, and tries go on to the next of them", () => {
  const mesh = balanced(THREE, NAMED);
  const ask = (value: string, tried: readonly string[] = []) =>
    hostOf(
      mesh.ask(
        { headers: ["x-endpoint", value] },
        { attempt: { attempts: tried.length, triedSlots: tried.map(mesh.slotOf) } },
      ).picked,
    );
  for (let entropy = 0; entropy < 5; entropy++) expect(ask("10.0.0.2:80")).toBe("10.0.0.2");
  expect(ask("10.0.0.9:80, 10.0.0.3:80")).toBe("10.0.0.3");
  expect(ask("10.0.0.3:80,10.0.0.1:80", ["10.0.0.3"])).toBe("10.0.0.1");
  const { picked } = mesh.ask({ headers: ["x-other", "10.0.0.1:80"] });
  expect(hostOf(picked)).toBe("10.0.0.1");
});

test("a request that names nobody of the cluster, or somebody who is ill, is balanced like any other", () => {
  const mesh = balanced(
    [...THREE.slice(0, 2), { address: "10.0.0.3", health: HealthStatus.UNHEALTHY }],
    NAMED,
  );
  const to = (value: string) => hosts(20, () => mesh.ask({ headers: ["x-endpoint", value] }).picked);
  for (const value of ["10.0.0.3:80", "10.0.0.1", "evil.example:80", "", ",,", "10.0.0.1:80x"])
    expect([...to(value).keys()].sort()).toEqual(["10.0.0.1", "10.0.0.2"]);
});
