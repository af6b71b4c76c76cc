import { CLUSTER_TYPE, ENDPOINT_TYPE } from "@tulle/xds";
import { ClusterSchema } from "@tulle/xds/gen/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterConfigSchema } from "@tulle/xds/gen/envoy/extensions/clusters/aggregate/v3/cluster_pb.js";
import { expect, test } from "vitest";
import { UNHEALTHY_EJECTED, type AttemptState, type Plan } from "../contract.js";
import { createLoadTable } from "../load/load-table.js";
import { currentCluster } from "../route/current-cluster.js";
import { route } from "../route/route.js";
import type { HttpChain } from "../snapshot/contract.js";
import { createSnapshotSource } from "../snapshot/snapshot-source.js";
import { hosts } from "../testing/balanced.js";
import {
  apiListener,
  change,
  edsCluster,
  endpoints,
  packed,
  request,
  routes,
  routeTo,
  type EndpointInit,
} from "../testing/resources.js";
import type { Trace, TraceEvent } from "../trace.js";
import { pick } from "./pick.js";

function aggregate(name: string, ...clusters: string[]) {
  return change(CLUSTER_TYPE, name, ClusterSchema, {
    name,
    clusterDiscoveryType: {
      case: "clusterType",
      value: { name: "envoy.clusters.aggregate", typedConfig: packed(ClusterConfigSchema, { clusters }) },
    },
  });
}

/** Four endpoints `<first>.1` to `<first>.4`. */
const four = (first: number, more: Partial<EndpointInit> = {}): EndpointInit[] =>
  [1, 2, 3, 4].map((last) => ({ address: `10.0.${first}.${last}`, ...more }));

/** The aggregate `all` of `near` (10.0.1.x), then `far` (10.0.2.x); `ejected` are ill. */
function mesh(ejected: readonly string[] = [], more = [aggregate("all", "near", "far")]) {
  const load = createLoadTable();
  const source = createSnapshotSource({ load });
  const rejections = source.apply([
    apiListener("l", "r"),
    routes("r", [routeTo("all")]),
    ...more,
    edsCluster("near"),
    edsCluster("far"),
    endpoints("near", four(1)),
    endpoints("far", four(2)),
  ]);
  const eject = (address: string): void => {
    for (const cluster of source.current.clusters())
      for (const one of cluster.endpoints)
        if (one.host === address) load.setUnhealthy(one.slot, UNHEALTHY_EJECTED, true);
  };
  ejected.forEach(eject);
  const view = (entropy: number, trace?: Trace) => ({
    snapshot: source.current,
    load,
    now: 0,
    entropy,
    trace,
  });
  const plan = (): Plan => route(view(0), source.current.outbound("l") as HttpChain, request()) as Plan;
  const pickOne = (entropy: number, attempt: Partial<AttemptState> = {}, trace?: Trace) =>
    pick(view(entropy, trace), plan(), { attempts: 0, triedSlots: [], ...attempt });
  return { load, source, rejections, view, plan, pick: pickOne, eject };
}

/** How many of so many requests go to the members near (1) and far (2). */
function shares({ pick: one }: ReturnType<typeof mesh>, count = 4000): [number, number] {
  let near = 0;
  let far = 0;
  for (const [host, times] of hosts(count, (entropy) => one(entropy))) {
    if (host.startsWith("10.0.1.")) near += times;
    if (host.startsWith("10.0.2.")) far += times;
  }
  return [near / count, far / count];
}

test("the first member of an aggregate gets everything that its healthy endpoints can take, the next what they cannot", () => {
  expect(shares(mesh())).toEqual([1, 0]);
  expect(shares(mesh(["10.0.1.1"]))).toEqual([1, 0]);
  // Two of four, over-provisioned by 1.4: 70 %.
  const [near, far] = shares(mesh(["10.0.1.1", "10.0.1.2"]));
  expect(near).toBeCloseTo(0.7, 1);
  expect(near + far).toBe(1);
  expect(shares(mesh(four(1).map(({ address }) => address)))).toEqual([0, 1]);
});

test("shares follow when an endpoint is ejected, and when members come and go", () => {
  const moving = mesh();
  expect(shares(moving, 200)).toEqual([1, 0]);
  for (const { address } of four(1)) moving.eject(address);
  expect(shares(moving, 200)).toEqual([0, 1]);
  moving.source.apply([{ typeUrl: CLUSTER_TYPE, name: "far", version: "", bytes: undefined }]);
  expect(moving.pick(0)).toEqual({ kind: "fail", flag: "UH" });
  moving.source.apply([endpoints("near", four(3), "2")]);
  expect(hosts(40, moving.pick).size).toBe(4);
});

test("priorities of a member stand before the next member", () => {
  const load = mesh();
  load.source.apply([endpoints("near", [...four(1), ...four(3, { priority: 1 })], "2")]);
  for (const { address } of four(1)) load.eject(address);
  const counts = hosts(400, load.pick);
  expect([...counts.keys()].every((host) => host.startsWith("10.0.3."))).toBe(true);
});

test("tries of a request are counted for the member that they go to", () => {
  const all = mesh(four(1).map(({ address }) => address));
  const attempt: AttemptState = { attempts: 0, triedSlots: [] };
  expect(currentCluster(all.view(7), all.plan(), attempt).name).toBe("far");
  for (let entropy = 0; entropy < 50; entropy++) {
    const some = mesh(["10.0.1.1", "10.0.1.2", "10.0.1.3"]);
    const picked = some.pick(entropy, { attempts: 2 });
    const cluster = currentCluster(some.view(entropy), some.plan(), { attempts: 2, affinity: undefined });
    expect(cluster.endpoints).toContain(picked);
  }
});

test("equal keys go to equal members, and a session to the member that has its endpoint", () => {
  const some = mesh(["10.0.1.1", "10.0.1.2"]);
  const members = new Set<string>();
  for (let key = 0; key < 40; key++) {
    const affinity = { key: { high: key * 7919, low: key }, boundTo: "", setCookie: "", named: [] };
    const names = [0, 1, 2].map(
      (entropy) => currentCluster(some.view(entropy), some.plan(), { attempts: 0, affinity }).name,
    );
    expect(new Set(names).size).toBe(1);
    members.add(names[0]!);
  }
  expect([...members].sort()).toEqual(["far", "near"]);
  const affinity = { key: undefined, boundTo: "10.0.2.3:80", setCookie: "", named: [] };
  expect(currentCluster(some.view(1), some.plan(), { attempts: 0, affinity }).name).toBe("far");
});

test("members are asked for, waited for, and may be aggregates; loops come to an end", () => {
  const load = createLoadTable();
  const source = createSnapshotSource({ load });
  source.apply([apiListener("l", "r"), routes("r", [routeTo("all")]), aggregate("all", "inner", "far")]);
  const wanted = (type: string): string[] => [...(source.wanted(["l"]).get(type) ?? [])].sort();
  expect(wanted(CLUSTER_TYPE)).toEqual(["all", "far", "inner"]);
  expect((source.current.outbound("l") as HttpChain).warm).toBe(false);
  source.apply([aggregate("inner", "all", "near"), edsCluster("far"), edsCluster("near")]);
  expect(wanted(CLUSTER_TYPE)).toEqual(["all", "far", "inner", "near"]);
  expect(wanted(ENDPOINT_TYPE)).toEqual(["far", "near"]);
  expect((source.current.outbound("l") as HttpChain).warm).toBe(false);
  source.apply([endpoints("far", four(2)), endpoints("near", four(1))]);
  const chain = source.current.outbound("l") as HttpChain;
  expect(chain.warm).toBe(true);
  const view = { snapshot: source.current, load, now: 0, entropy: 5 };
  const plan = route(view, chain, request()) as Plan;
  expect(currentCluster(view, plan, { attempts: 0, affinity: undefined }).name).toBe("near");
});

test("other types of clusters, and aggregates of nobody, are refused", () => {
  expect(mesh([], [aggregate("all")]).rejections[0]?.message).toContain("must be 1 to 64 names");
  const redis = change(CLUSTER_TYPE, "all", ClusterSchema, {
    name: "all",
    clusterDiscoveryType: { case: "clusterType", value: { name: "envoy.clusters.redis" } },
  });
  expect(mesh([], [redis]).rejections[0]?.message).toContain('"envoy.clusters.redis" is not supported');
});

test("the trace says what each member gets", () => {
  const events: TraceEvent[] = [];
  mesh(["10.0.1.1", "10.0.1.2"]).pick(1, {}, { add: (event) => void events.push(event) });
  const members = events.filter(
    ({ facts }) => facts?.["percent"] !== undefined && facts["priority"] === undefined,
  );
  expect(members.map(({ subject, facts }) => [subject, facts?.["percent"]])).toEqual([
    ["near", 70],
    ["far", 30],
  ]);
  expect(members.filter(({ verdict }) => verdict === "chosen")).toHaveLength(1);
});
