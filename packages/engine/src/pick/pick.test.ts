import type { JsonObject } from "@bufbuild/protobuf";
import { Cluster_LbPolicy as LbPolicy } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { HealthStatus } from "@tulle/xds/gen/envoy/config/core/v3/health_check_pb.js";
import fc from "fast-check";
import { expect, test } from "vitest";
import { UNHEALTHY_CHECK, UNHEALTHY_DEGRADED, UNHEALTHY_EJECTED } from "../contract.js";
import type { EndpointPart } from "../snapshot/contract.js";
import type { LinkedCluster } from "../snapshot/linked-cluster.js";
import { balanced, hosts } from "../testing/balanced.js";
import { endpoints, type EndpointInit } from "../testing/resources.js";
import { smoothSchedule } from "./smooth-schedule.js";

const RETRY_ELSEWHERE = {
  retryOn: "connect-failure",
  retryHostPredicate: [{ name: "envoy.retry_host_predicates.previous_hosts" }],
  hostSelectionRetryMaxAttempts: 5n,
};

const THREE = [{ address: "a" }, { address: "b" }, { address: "c" }];

test("pick gives the same endpoint for the same view", () => {
  const mesh = balanced(THREE);
  for (let entropy = 0; entropy < 50; entropy++) expect(mesh.pick(entropy)).toBe(mesh.pick(entropy));
});

test("pick never chooses the busiest of two endpoints with least request", () => {
  fc.assert(
    fc.property(
      fc.nat(20),
      fc.nat(20),
      fc.integer({ min: 0, max: 0xffff_ffff }),
      (first, second, entropy) => {
        fc.pre(first !== second);
        const mesh = balanced([{ address: "a" }, { address: "b" }]);
        for (let count = 0; count < first; count++) mesh.load.begin(0, mesh.slotOf("a"));
        for (let count = 0; count < second; count++) mesh.load.begin(0, mesh.slotOf("b"));
        expect((mesh.pick(entropy) as EndpointPart).host).toBe(first < second ? "a" : "b");
      },
    ),
    { numRuns: 40 },
  );
});

test("pick shares requests by weight among idle endpoints with least request", () => {
  const mesh = balanced([
    { address: "a", weight: 1 },
    { address: "b", weight: 3 },
  ]);
  const counts = hosts(8000, (entropy) => mesh.pick(entropy));
  expect(Math.abs(counts.get("b")! - 6000)).toBeLessThan(200);
});

test("pick goes round in turn, by weight when weights differ", () => {
  const even = balanced(THREE, { lbPolicy: LbPolicy.ROUND_ROBIN });
  expect([0, 1, 2, 3].map((entropy) => (even.pick(entropy) as EndpointPart).host).join("")).toBe("abca");
  const weighted = balanced([{ address: "a", weight: 5 }, { address: "b" }, { address: "c" }], {
    lbPolicy: LbPolicy.ROUND_ROBIN,
  });
  expect(Array.from({ length: 7 }, () => (weighted.pick(0) as EndpointPart).host).join("")).toBe("aabacaa");
});

test("smoothSchedule gives every index its share and fits any weights into one cycle", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 20 }), (weights) => {
      const schedule = smoothSchedule(weights);
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      weights.forEach((weight, index) => {
        expect(schedule.filter((one) => one === index).length / schedule.length).toBeCloseTo(
          weight / total,
          10,
        );
      });
    }),
  );
  expect(smoothSchedule([4_000_000_000, 1, 0.5]).length).toBeLessThanOrEqual(4096);
});

test("pick draws at random with RANDOM", () => {
  const counts = hosts(6000, (entropy) => balancedRandom.pick(entropy));
  for (const name of ["a", "b", "c"]) expect(Math.abs(counts.get(name)! - 2000)).toBeLessThan(200);
});
const balancedRandom = balanced(THREE, { lbPolicy: LbPolicy.RANDOM });

test("pick takes healthy endpoints, degraded ones for what those cannot take, and fails with UH when there is neither", () => {
  const { HEALTHY, DEGRADED, UNHEALTHY, DRAINING } = HealthStatus;
  const names = (...health: HealthStatus[]) => {
    const mesh = balanced(health.map((one, index) => ({ address: `h${index}`, health: one })));
    return [...hosts(60, (entropy) => mesh.pick(entropy)).keys()].sort();
  };
  expect(names(HEALTHY, HEALTHY, DEGRADED, HEALTHY)).toEqual(["h0", "h1", "h3"]);
  expect(names(HEALTHY, UNHEALTHY, DEGRADED, HEALTHY)).toEqual(["h0", "h2", "h3"]);
  expect(names(UNHEALTHY, DEGRADED)).toEqual(["h1"]);
  expect(names(UNHEALTHY, DRAINING)).toEqual(["UH"]);
  expect(names()).toEqual(["UH"]);
});

test("pick follows what the load table holds against endpoints, and forgets it when it is taken back", () => {
  const mesh = balanced(THREE);
  const seen = () => [...hosts(60, (entropy) => mesh.pick(entropy)).keys()].sort();
  expect(seen()).toEqual(["a", "b", "c"]);
  mesh.load.setUnhealthy(mesh.slotOf("a"), UNHEALTHY_EJECTED, true);
  mesh.load.setUnhealthy(mesh.slotOf("b"), UNHEALTHY_CHECK, true);
  expect(seen()).toEqual(["c"]);
  mesh.load.setUnhealthy(mesh.slotOf("c"), UNHEALTHY_DEGRADED, true);
  expect(seen()).toEqual(["c"]);
  mesh.load.setUnhealthy(mesh.slotOf("c"), UNHEALTHY_CHECK, true);
  expect(seen()).toEqual(["UH"]);
  for (const name of ["a", "b", "c"]) {
    mesh.load.setUnhealthy(mesh.slotOf(name), UNHEALTHY_EJECTED | UNHEALTHY_CHECK, false);
  }
  mesh.load.setUnhealthy(mesh.slotOf("c"), UNHEALTHY_DEGRADED, false);
  expect(seen()).toEqual(["a", "b", "c"]);
});

test("a balance is made anew only when an endpoint of its own cluster has changed", () => {
  const mesh = balanced(THREE);
  const { balance } = mesh.source.current.cluster("c") as LinkedCluster;
  const before = balance.at(mesh.load, 0);
  expect(balance.at(mesh.load, 0)).toBe(before);
  mesh.load.setUnhealthy(mesh.load.acquire("elsewhere:80"), UNHEALTHY_CHECK, true);
  expect(balance.at(mesh.load, 0)).toBe(before);
  mesh.load.setUnhealthy(mesh.slotOf("a"), UNHEALTHY_CHECK, true);
  expect(balance.at(mesh.load, 0)).not.toBe(before);
});

test("pick leaves endpoints that are being drained alone, and does not spill over because of them", () => {
  const list = [
    { address: "a" },
    { address: "b", health: HealthStatus.DRAINING },
    { address: "c", health: HealthStatus.DRAINING },
    { address: "far", priority: 1 },
  ];
  const mesh = balanced(list, { commonLbConfig: { healthyPanicThreshold: { value: 50 } } });
  expect([...hosts(60, (entropy) => mesh.pick(entropy)).keys()]).toEqual(["a"]);
});

test("pick spills over to the next priority what the first cannot take", () => {
  const { HEALTHY, UNHEALTHY } = HealthStatus;
  const list = [HEALTHY, UNHEALTHY, HEALTHY, UNHEALTHY].map((health, index) => ({
    address: `near${index}`,
    health,
  }));
  const mesh = balanced([...list, { address: "far", priority: 1 }]);
  const counts = hosts(6000, (entropy) => mesh.pick(entropy));
  // Half of the near ones with over-provisioning 1.4: 70 %.
  expect(Math.abs(counts.get("far")! - 1800)).toBeLessThan(150);
  expect(Math.abs(counts.get("near0")! - 2100)).toBeLessThan(150);
});

test("a panicking priority sends its part to all of its endpoints, or fails it when that is asked for", () => {
  const list = ["a", "b", "c", "d"].map((address, index) => ({
    address,
    health: index === 0 ? HealthStatus.HEALTHY : HealthStatus.UNHEALTHY,
  }));
  const zoneAware = { failTrafficOnPanic: true };
  const failing = balanced(list, {
    commonLbConfig: {
      healthyPanicThreshold: { value: 50 },
      localityConfigSpecifier: { case: "zoneAwareLbConfig", value: zoneAware },
    },
  });
  expect([...hosts(60, (entropy) => failing.pick(entropy)).keys()]).toEqual(["UH"]);
  const using = balanced(list, { commonLbConfig: { healthyPanicThreshold: { value: 50 } } });
  expect(hosts(60, (entropy) => using.pick(entropy)).size).toBe(4);
});

test("pick stays with the first priority that has a healthy endpoint", () => {
  const list = (health: HealthStatus) => [
    { address: "far", priority: 1 },
    { address: "near", health },
  ];
  expect([...hosts(20, (entropy) => balanced(list(HealthStatus.HEALTHY)).pick(entropy)).keys()]).toEqual([
    "near",
  ]);
  expect([...hosts(20, (entropy) => balanced(list(HealthStatus.UNHEALTHY)).pick(entropy)).keys()]).toEqual([
    "far",
  ]);
});

test("pick uses all endpoints when fewer are healthy than the panic threshold asks for", () => {
  const list = [
    { address: "a" },
    { address: "b", health: HealthStatus.UNHEALTHY },
    { address: "c", health: HealthStatus.UNHEALTHY },
  ];
  const panicking = balanced(list, { commonLbConfig: { healthyPanicThreshold: { value: 50 } } });
  expect(hosts(60, (entropy) => panicking.pick(entropy)).size).toBe(3);
  const calm = balanced(list, { commonLbConfig: { healthyPanicThreshold: { value: 30 } } });
  expect(hosts(60, (entropy) => calm.pick(entropy)).size).toBe(1);
});

test("pick weighs localities before endpoints when the cluster says so", () => {
  const list = [
    { address: "a", localityWeight: 1, weight: 10 },
    { address: "b", localityWeight: 3 },
    { address: "c", localityWeight: 0 },
  ];
  const mesh = balanced(list, {
    commonLbConfig: { localityConfigSpecifier: { case: "localityWeightedLbConfig", value: {} } },
  });
  const counts = hosts(8000, (entropy) => mesh.pick(entropy));
  expect(counts.get("c")).toBeUndefined();
  expect(Math.abs(counts.get("b")! - 6000)).toBeLessThan(200);
});

test("pick avoids endpoints that were tried when the retry policy asks for it, until all were", () => {
  const mesh = balanced(THREE, {}, { retryPolicy: RETRY_ELSEWHERE });
  const tried = [mesh.slotOf("a"), mesh.slotOf("b")];
  expect([...hosts(200, (entropy) => mesh.pick(entropy, { attempts: 2, triedSlots: tried })).keys()]).toEqual(
    ["c"],
  );
  const all = [...tried, mesh.slotOf("c")];
  expect(hosts(200, (entropy) => mesh.pick(entropy, { attempts: 3, triedSlots: all })).has("UH")).toBe(false);
  const anywhere = balanced(THREE);
  expect(
    hosts(200, (entropy) => anywhere.pick(entropy, { attempts: 1, triedSlots: [anywhere.slotOf("a")] })).has(
      "a",
    ),
  ).toBe(true);
});

test("pick fails with UO when the cluster has as many requests as it may have", () => {
  const mesh = balanced(THREE, { circuitBreakers: { thresholds: [{ maxRequests: 1 }] } });
  mesh.load.begin(mesh.plan.cluster.slot, mesh.slotOf("a"));
  expect(mesh.pick(0)).toEqual({ kind: "fail", flag: "UO" });
  mesh.load.end(mesh.plan.cluster.slot, mesh.slotOf("a"));
  expect("host" in mesh.pick(0)).toBe(true);
});

test("pick sees endpoints that came after the request was routed", () => {
  const mesh = balanced([{ address: "a" }]);
  mesh.source.apply([endpoints("c", [{ address: "b" }], "2")]);
  expect((mesh.pick(0) as EndpointPart).host).toBe("b");
});

test("retries do without endpoints of some labels, as long as there are others; first tries do not mind", () => {
  const labelled = (address: string, lb: JsonObject): EndpointInit => ({
    address,
    metadata: { "envoy.lb": lb },
  });
  const omitsCanaries = {
    retryOn: "5xx",
    retryHostPredicate: [{ name: "envoy.retry_host_predicates.omit_canary_hosts" }],
    hostSelectionRetryMaxAttempts: 2n,
  };
  const list = [labelled("new", { canary: true }), labelled("old", { canary: false }), { address: "plain" }];
  const mesh = balanced(list, { lbPolicy: LbPolicy.RANDOM }, { retryPolicy: omitsCanaries });
  const first = hosts(300, (entropy) => mesh.pick(entropy));
  expect([...first.keys()].sort()).toEqual(["new", "old", "plain"]);
  const retried = hosts(300, (entropy) =>
    mesh.pick(entropy, { attempts: 1, triedSlots: [mesh.slotOf("old")] }),
  );
  // Without `previous_hosts` what was tried may be tried again.
  expect([...retried.keys()].sort()).toEqual(["old", "plain"]);
  const alone = balanced([list[0]!], {}, { retryPolicy: omitsCanaries });
  expect(alone.pick(1, { attempts: 1, triedSlots: [alone.slotOf("new")] })).toMatchObject({ host: "new" });
});
