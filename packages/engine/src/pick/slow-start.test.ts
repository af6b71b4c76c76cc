import { Cluster_LbPolicy as LbPolicy } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { HealthStatus } from "@tulle/xds/gen/envoy/config/core/v3/health_check_pb.js";
import { expect, test } from "vitest";

import { UNHEALTHY_CHECK } from "../contract.js";
import { balanced, hosts } from "../testing/balanced.js";
import { edsCluster, endpoints, type EndpointInit } from "../testing/resources.js";
import { warmth } from "./slow-start.js";

test.each([
  [1, 0, 0.1],
  [1, 10, 0.1],
  [1, 30, 0.3],
  [1, 99, 0.99],
  [1, 100, 1],
  [2, 25, 0.5],
  [0.5, 50, 0.25],
])(
  "with aggression %d an endpoint has after %d %% of its window %d of its weight",
  (aggression, age, expected) => {
    expect(warmth({ windowMs: 100, aggression, minWeight: 0.1 }, age)).toBeCloseTo(expected);
  },
);

const SLOW = { slowStartConfig: { slowStartWindow: { seconds: 60n } } };
const ROBIN = {
  lbPolicy: LbPolicy.ROUND_ROBIN,
  lbConfig: { case: "roundRobinLbConfig", value: SLOW },
} as const;
const LEAST = {
  lbPolicy: LbPolicy.LEAST_REQUEST,
  lbConfig: { case: "leastRequestLbConfig", value: SLOW },
} as const;

type Mesh = ReturnType<typeof balanced>;

function update(mesh: Mesh, list: readonly EndpointInit[], version: string): void {
  expect(mesh.source.apply([endpoints("c", list, version)])).toEqual([]);
}

/** Part of the requests that an endpoint gets at a moment. */
function part(mesh: Mesh, host: string, now: number): number {
  return (hosts(3000, (entropy) => mesh.pick(entropy, {}, now)).get(host) ?? 0) / 3000;
}

test.each([
  ["round robin", ROBIN],
  ["least request", LEAST],
])(
  "with %s a new endpoint gets a tenth of its part at first, and all of it when its window is over",
  (_n, cluster) => {
    const mesh = balanced([{ address: "old" }], cluster);
    expect(part(mesh, "old", 1000)).toBe(1);
    update(mesh, [{ address: "old" }, { address: "new" }], "2");
    expect(part(mesh, "new", 5000)).toBeCloseTo(0.1 / 1.1, 1);
    expect(part(mesh, "new", 35_000)).toBeCloseTo(0.5 / 1.5, 1);
    expect(part(mesh, "new", 66_000)).toBeCloseTo(0.5, 1);
    // A balance that has nothing more to warm up stays.
    const cold = mesh.source.current.cluster("c") as unknown as {
      balance: { at: (...a: unknown[]) => unknown };
    };
    expect(cold.balance.at(mesh.load, 1e9)).toBe(cold.balance.at(mesh.load, 2e9));
  },
);

test("the first endpoints of a cluster are not warmed up, and an update does not warm up who was there", () => {
  const mesh = balanced([{ address: "a" }, { address: "b", weight: 2 }], ROBIN);
  expect(part(mesh, "b", 1000)).toBeCloseTo(2 / 3, 1);
  update(mesh, [{ address: "a" }, { address: "b" }], "2");
  expect(part(mesh, "b", 2000)).toBeCloseTo(0.5, 1);
});

test("an endpoint that came before slow start was asked for is warm", () => {
  const mesh = balanced([{ address: "old" }], { lbPolicy: LbPolicy.ROUND_ROBIN });
  update(mesh, [{ address: "old" }, { address: "new" }], "2");
  expect(part(mesh, "new", 1000)).toBeCloseTo(0.5, 1);
  expect(mesh.source.apply([edsCluster("c", ROBIN)])).toEqual([]);
  expect(part(mesh, "new", 2000)).toBeCloseTo(0.5, 1);
});

test("an endpoint warms up from its first chance to get requests on: updates and ill health before do not count", () => {
  const mesh = balanced([{ address: "old" }], ROBIN);
  expect(part(mesh, "old", 1000)).toBe(1);
  const both = [{ address: "old" }, { address: "new" }];
  update(mesh, both, "2");
  update(mesh, [{ address: "old" }, { address: "new", health: HealthStatus.UNHEALTHY }], "3");
  expect(part(mesh, "new", 2000)).toBe(0);
  update(mesh, both, "4");
  mesh.load.setUnhealthy(mesh.slotOf("new"), UNHEALTHY_CHECK, true);
  expect(part(mesh, "new", 100_000)).toBe(0);
  mesh.load.setUnhealthy(mesh.slotOf("new"), UNHEALTHY_CHECK, false);
  expect(part(mesh, "new", 200_000)).toBeCloseTo(0.1 / 1.1, 1);
});

test("without slow start a new endpoint gets its whole part at once", () => {
  const mesh = balanced([{ address: "old" }]);
  update(mesh, [{ address: "old" }, { address: "new" }], "2");
  expect(part(mesh, "new", 0)).toBeCloseTo(0.5, 1);
});
